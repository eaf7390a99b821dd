"""Messages about a cluster that is asked for its nodes."""

from datetime import UTC, datetime

from cucmctl.client.cluster import MOST_NAMED, describe_changes, discover_first
from cucmctl.client.errors import DiscoveryFailed
from cucmd.job.cluster import ClusterNode
from cucmd.job.discover import Member
from cucmd.job.work_request import Login
from cucmd.protocol.jobs import Job
from cucmd.protocol.knowledge import Cluster

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


def cluster(*named: str, configured: tuple[str, ...] = ()) -> Cluster:
    nodes = [ClusterNode(one, False, Member(one, one, one, "Subscriber", "x")) for one in named]
    nodes += [ClusterNode(one, True) for one in configured]
    return Cluster(len(nodes), len(configured), nodes=tuple(nodes), discovered_at=NOW)


def test_unknown_clusters_have_no_changes() -> None:
    assert describe_changes(None, cluster("a")) == []
    assert describe_changes(cluster("a", "b"), cluster("b", "a")) == []


def test_new_and_gone_nodes() -> None:
    new, gone = describe_changes(cluster("a", "b"), cluster("b", "c", configured=("a",)))
    assert new.startswith("new")
    assert new.endswith(": c")
    assert gone.startswith("gone")
    assert gone.endswith(": a")


def test_changes_have_names() -> None:
    named = ClusterNode("10.0.0.3", False, Member("10.0.0.3", "10.0.0.3", "sub2", "x", "x"))
    after = Cluster(1, 0, nodes=(named,), discovered_at=NOW)
    (line,) = describe_changes(cluster(), after)
    assert line.endswith(": sub2 (10.0.0.3)")


def test_many_nodes_are_counted() -> None:
    many = [f"n{number}" for number in range(MOST_NAMED + 3)]
    (line,) = describe_changes(cluster(), cluster(*many))
    assert line.endswith(f"{many[MOST_NAMED - 1]} and 3 more")


def test_notes_of_a_discovery_are_told(job, node) -> None:
    found = job(node("pub", "succeeded", notes=("1 line in no known form",)), status="succeeded")

    class Asked:
        """A client whose node printed a line in an unknown form."""

        def discover(self, publisher: str, **fields: object) -> Job:
            return found

        def wait(self, job_id: str) -> Job:
            return found

        def clusters(self, name: str | None = None) -> tuple[Cluster, ...]:
            return ()

    said: list[str] = []
    discover_first(Asked(), "pub", login=Login("a", "b"), tell=said.append)
    assert said == ["pub: 1 line in no known form"]


def test_failed_discovery_names_node_once(job, node) -> None:
    refused = job(node("pub", "failed", error="pub refused the login of u"), status="failed")
    assert str(DiscoveryFailed(refused)).count("pub") == 1
