"""Clusters are as the configuration and their nodes name them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cucmd.api.knowledge_methods import KnowledgeMethods
from cucmd.config import Config, load
from cucmd.job.discover import Found, Member
from cucmd.plan.known_clusters import KnownCluster, has_node, known_clusters
from cucmd.protocol.knowledge import (
    ClustersRequest,
    Credential,
    CredentialsRequest,
    ProfilesRequest,
)
from cucmd.store import StoredDiscovery, StoreFailed
from cucmd.varlink import Caller, VarlinkError
from rig.credentials import named_credential

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PUB = Member("pub", "10.0.0.1", "pub", "Publisher", "callmanager", "pub.example.org")
SUB = Member("10.0.0.2", "10.0.0.2", "sub1", "Subscriber", "callmanager", "sub1.example.org")
IMP = Member("10.0.0.3", "10.0.0.3", "imp1", "Subscriber", "cups")
BERLIN = """
[clusters.berlin]
publisher = "PUB"
nodes = ["SUB1.example.org.", "gone"]
[clusters.bern]
nodes = ["b"]
"""
CALLER = Caller(1000, 1000, frozenset(), 1)


def discovery(asked: str, *members: Member, hours_ago: int = 0) -> StoredDiscovery:
    return StoredDiscovery(asked, NOW - timedelta(hours=hours_ago), "0a1b2c3d4e5f", Found(members))


def config(tmp_path: Path, more: str = "") -> Config:
    file = tmp_path / "cucmd.toml"
    file.write_text(BERLIN + more)
    return load(file, {})


def known(tmp_path: Path, *discoveries: StoredDiscovery) -> list[KnownCluster]:
    """Returns the known clusters. `discoveries`: the newest first."""
    return list(known_clusters(config(tmp_path), discoveries))


def shown(cluster: KnownCluster) -> list[tuple[str, bool, Member | None]]:
    return [(node.node, node.configured, node.member) for node in cluster.nodes]


def test_without_a_discovery_a_cluster_is_as_the_configuration_has_it(tmp_path: Path) -> None:
    berlin, bern = known(tmp_path)
    assert (berlin.name, berlin.publisher, berlin.discovery) == ("berlin", "PUB", None)
    assert shown(berlin) == [
        ("PUB", True, None),
        ("SUB1.example.org.", True, None),
        ("gone", True, None),
    ]
    assert shown(bern) == [("b", True, None)]


def test_a_node_in_both_has_the_name_of_the_configuration(tmp_path: Path) -> None:
    berlin, _ = known(tmp_path, discovery("pub", IMP, SUB, PUB))
    assert shown(berlin) == [
        ("PUB", True, PUB),
        ("SUB1.example.org.", True, SUB),
        ("gone", True, None),
        ("10.0.0.3", False, IMP),
    ]


def test_the_newest_of_what_a_node_of_the_cluster_has_said_counts(tmp_path: Path) -> None:
    newer, older = discovery("sub1.example.org", PUB, SUB), discovery("pub", IMP, hours_ago=1)
    berlin, *others = known(tmp_path, newer, older)
    assert berlin.discovery == newer
    assert [one.name for one in others] == ["bern"]


def test_names_with_another_port_are_other_nodes(tmp_path: Path) -> None:
    other = Member("pub:2022", "10.0.0.1", "pub", "Publisher", "callmanager", "pub.example.org")
    berlin, _, apart = known(tmp_path, discovery("pub:2022", other))
    assert berlin.discovery is None
    assert (apart.name, apart.publisher) == (None, "pub:2022")


def test_what_was_only_asked_for_is_a_cluster_without_a_name(tmp_path: Path) -> None:
    paris = discovery("p2", Member("p2", "10.9.0.2", "p2", "Subscriber", "x"), PUB)
    *_, last = known(tmp_path, paris)
    assert (last.name, last.publisher) == (None, "pub")
    assert [node.node for node in last.nodes] == ["pub", "p2"]


@pytest.mark.parametrize("name", ["pub", "PUB.:22", "10.0.0.1", "pub.example.org", "gone", "imp1"])
def test_a_cluster_is_found_by_any_name_of_its_nodes(tmp_path: Path, name: str) -> None:
    clusters = known(tmp_path, discovery("pub", PUB, SUB, IMP))
    assert [one.name for one in clusters if has_node(one, name)] == ["berlin"]
    for other in ("pub:2022", "elsewhere", "no name", ""):
        assert not any(has_node(one, other) for one in clusters)


async def unused(extra: object) -> tuple[str, ...]:
    """Stands for a reload, which must not be asked for."""
    raise AssertionError


class Discoveries:
    """Stands for the store."""

    def __init__(self, *kept: StoredDiscovery, error: Exception | None = None) -> None:
        self.kept, self.error = kept, error

    async def discoveries(self) -> tuple[StoredDiscovery, ...]:
        if self.error:
            raise self.error
        return self.kept


def knowledge(
    config: Config, *kept: StoredDiscovery, error: Exception | None = None
) -> KnowledgeMethods:
    return KnowledgeMethods(Discoveries(*kept, error=error), lambda: config, {}, unused)


async def test_a_reply_has_nodes_only_with_a_name(tmp_path: Path) -> None:
    ask = knowledge(config(tmp_path), discovery("pub", PUB, SUB, IMP)).clusters
    berlin, bern = (await ask(CALLER, ClustersRequest())).clusters
    assert (berlin.nodes, berlin.nodes_total, berlin.nodes_configured) == (None, 4, 3)
    assert (berlin.discovered_at, bern.discovered_at) == (NOW, None)
    for name in ("berlin", "imp1"):
        (named,) = (await ask(CALLER, ClustersRequest(name))).clusters
        assert [node.node for node in named.nodes or ()] == [
            "PUB",
            "SUB1.example.org.",
            "gone",
            "10.0.0.3",
        ]
    assert (await ask(CALLER, ClustersRequest("berln"))).clusters == ()


async def test_a_store_that_cannot_be_read_is_a_refusal(tmp_path: Path) -> None:
    ask = knowledge(config(tmp_path), error=StoreFailed("no")).clusters
    with pytest.raises(VarlinkError) as caught:
        await ask(CALLER, ClustersRequest())
    assert caught.value.name.endswith(".StorageFailed")


async def test_profiles_are_those_built_in_and_those_of_the_file(tmp_path: Path) -> None:
    own = '[profiles.mine]\npaths = ["x"]\nlast = "1h"\n'
    ask = knowledge(config(tmp_path, own)).profiles
    everything = (await ask(CALLER, ProfilesRequest())).profiles
    assert {"mine", "callmanager"} <= {one.name for one in everything}
    (mine,) = (await ask(CALLER, ProfilesRequest("mine"))).profiles
    assert (mine.paths, mine.last) == (("x",), "1h")
    assert (mine.products, mine.leaves_out) == (None, None)
    (sip,) = (await ask(CALLER, ProfilesRequest("sip"))).profiles
    assert sip.products == ("Unified CM",)
    assert "callmanager" in (sip.leaves_out or "")
    with pytest.raises(VarlinkError) as caught:
        await ask(CALLER, ProfilesRequest("yours"))
    assert caught.value.name.endswith(".ProfileNotFound")


async def test_credentials_are_names_and_what_they_are_tied_to(tmp_path: Path) -> None:
    given = tmp_path / "given"
    more = named_credential(given, "ops", "admin-of-ops", "secret of ops")
    named_credential(given, "free", "admin-of-free", "secret of free")
    (given / "not a name.password").touch()
    more += '[credential.ops]\nclusters = ["berlin"]\n'
    ask = knowledge(config(tmp_path, more)).credentials
    reply = await ask(CALLER, CredentialsRequest())
    assert reply.credentials == (
        Credential("free", tied=False),
        Credential("ops", tied=True, nodes=(), clusters=("berlin",)),
    )
    assert "secret" not in str(reply)
    assert "admin" not in str(reply)


async def test_without_a_directory_there_are_no_credentials(tmp_path: Path) -> None:
    reply = await knowledge(config(tmp_path)).credentials(CALLER, CredentialsRequest())
    assert reply.credentials == ()
    gone = config(tmp_path, f'[credentials]\ndirectory = "{tmp_path / "gone"}"\n')
    with pytest.raises(VarlinkError) as caught:
        await knowledge(gone).credentials(CALLER, CredentialsRequest())
    assert caught.value.name.endswith(".StorageFailed")
