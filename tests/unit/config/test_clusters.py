"""Which settings a node and a job have, and errors in clusters."""

import pytest

from cucmd.config import SshSettings
from cucmd.job.timeouts import Timeouts


def test_cluster_overrides_its_keys(loaded):
    config = loaded(
        "[timeouts]\nlogin = 100\n"
        "[clusters.lab]\n"
        "publisher = '10.0.0.1'\n"
        "nodes = ['10.0.0.2:2022', 'cucm3']\n"
        "credential = 'lab-admin'\n"
        "legacy_algorithms = true\n"
        "node = 60\n"
        "sessions_per_node = 1\n"
    )
    settings = config.for_node("CUCM3:22")
    assert settings.ssh == SshSettings(legacy_algorithms=True)
    assert settings.timeouts == Timeouts(login=100.0, node=60.0)
    assert settings.limits.sessions_per_node == 1
    assert settings.credential == "lab-admin"


def test_other_nodes_have_general_settings(loaded):
    config = loaded("[clusters.lab]\nnodes = ['a:2022']\nlegacy_algorithms = true\n")
    settings = config.for_node("a")
    assert (settings.ssh, settings.timeouts, settings.limits) == (
        config.ssh,
        config.timeouts,
        config.limits,
    )
    assert settings.credential is None


def test_job_settings_need_one_cluster(loaded):
    config = loaded(
        "[clusters.a]\nnodes = ['a1', 'a2']\nconcurrency = 1\n[clusters.b]\npublisher = 'b1'\n"
    )
    assert config.for_job(["a1", "a2"]).limits.concurrency == 1
    assert config.for_job(["a1", "b1"]).limits.concurrency == 8
    assert config.for_job(["a1", "other"]).limits.concurrency == 8
    assert config.for_job(["other"]).limits.concurrency == 8


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        ("[clusters.lab]\nnodes = []", 1, "clusters.lab", "has no node"),
        ("[clusters.'a b']\nnodes = ['a']", 1, 'clusters."a b"', "expected a name"),
        ("[clusters.a]\nnodes = [\n'x',\n'X:22'\n]", 2, "clusters.a.nodes[1]", "'a' already"),
        (
            "[clusters.a]\nnodes=['x']\n[clusters.b]\npublisher='x'",
            4,
            "clusters.b.publisher",
            "'a'",
        ),
        ("[clusters.a]\nnodes = 'x'", 2, "clusters.a.nodes", "expected a list"),
        ("[clusters.a]\nnodes = ['x', 3]", 2, "clusters.a.nodes[1]", "3: expected a string"),
        ("[clusters.a]\nnodes=['x']\ncredential='../x'", 3, "clusters.a.credential", "a name"),
        ("[clusters.a]\nnodes = ['x']\nqueued = 3", 3, "clusters.a.queued", "known are publisher"),
        ("[clusters.a]\nnodes=['x']\n[clusters.a.ssh]", 3, "clusters.a.ssh", "is not known"),
    ],
)
def test_wrong_cluster_is_refused(problem, text, line, key, reason):
    found_line, found_key, found_reason = problem(text)
    assert (found_line, found_key) == (line, key)
    assert reason in found_reason
