"""`[credential."NAME"]` limits a credential to nodes."""

from collections.abc import Iterator

import pytest

from cucmd.config import Config, ConfigError, CredentialUse, load

CLUSTERS = """
[clusters.berlin]
publisher = "pub"
nodes = ["sub:2022"]
[clusters.bern]
nodes = ["other"]
"""


@pytest.mark.parametrize(
    ("use", "node", "allowed"),
    [
        ('clusters = ["berlin"]', "pub:22", True),
        ('clusters = ["berlin"]', "PUB.:22", True),
        ('clusters = ["berlin"]', "sub:2022", True),
        ('clusters = ["berlin"]', "sub:22", False),
        ('clusters = ["berlin"]', "evil:22", False),
        ('nodes = ["a", "b:2022"]', "a:22", True),
        ('nodes = ["a", "b:2022"]', "b:2022", True),
        ('nodes = ["a", "b:2022"]', "a:2022", False),
        ('nodes = ["a"]\nclusters = ["bern"]', "a:22", True),
        ('nodes = ["a"]\nclusters = ["bern"]', "other:22", True),
    ],
)
def test_credential_is_limited_to_nodes(write, use, node, allowed):
    config = load(write(f'{CLUSTERS}[credential."cucmd.x"]\n{use}\n'), {})
    assert config.may_send("cucmd.x", node) is allowed
    assert config.may_send("cucmd.y", node)


class Counted(tuple[str, ...]):
    """Counts how often its elements are looked at."""

    looks = 0

    def __iter__(self) -> Iterator[str]:
        self.looks += 1
        return super().__iter__()


def test_nodes_are_parsed_once():
    """Parsing them for each node of a job would block the event loop for seconds."""
    names = Counted(f"n{number}" for number in range(100))
    config = Config(credential_uses={"x": CredentialUse("x", names)})
    assert all(config.may_send("x", f"n{number}") for number in range(100))
    assert not config.may_send("x", "n100")
    assert names.looks == 1


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("[credential.x]\nnodes = []\n", "credential.x", "has no nodes"),
        ("[credential.x]\nnodes = ['a b']\n", "credential.x.nodes[0]", "expected a host name"),
        ("[credential.x]\nnodez = ['a']\n", "credential.x.nodez", "did you mean 'nodes'"),
        ("[credential.x]\nclusters = ['bonn']\n", "credential.x.clusters[0]", "no such cluster"),
        ("[credential.'a/b']\nnodes = ['a']\n", 'credential."a/b"', "expected a name"),
        ("[credential]\nx = 1\n", "credential.x", "expected a table"),
        ("[credential.cucmd.x]\nnodes = ['a']\n", "credential.cucmd.x", '[credential."cucmd.x"]'),
    ],
)
def test_error_names_its_key(problem, text, key, reason):
    _, found_key, found_reason = problem(CLUSTERS + text)
    assert found_key == key
    assert reason in found_reason


@pytest.mark.parametrize("use", ["clusters = ['bern']", "nodes = ['pub']"])
def test_cluster_credential_needs_all_nodes(write, use):
    own = CLUSTERS.replace("[clusters.bern]", "credential = 'x'\n[clusters.bern]")
    with pytest.raises(ConfigError) as caught:
        load(write(f"{own}[credential.x]\n{use}\n"), {})
    assert caught.value.key == "clusters.berlin.credential"
    load(write(f"{own}[credential.x]\nnodes = ['pub', 'sub:2022']\n"), {})
