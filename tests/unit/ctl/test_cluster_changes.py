"""Which nodes of a cluster are new, and which are gone."""

from datetime import UTC, datetime

from cucmctl.cluster import MOST_NAMED, changes
from cucmd.api.structs import Member
from cucmd.api.structs_clusters import Cluster, ClusterNode

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


def cluster(*named: str, configured: tuple[str, ...] = ()) -> Cluster:
    nodes = [ClusterNode(one, False, Member(one, one, one, "Subscriber", "x")) for one in named]
    nodes += [ClusterNode(one, True) for one in configured]
    return Cluster(len(nodes), len(configured), nodes=tuple(nodes), discovered_at=NOW)


def test_what_was_not_known_before_has_not_changed() -> None:
    assert changes(None, cluster("a")) == []
    assert changes(cluster("a", "b"), cluster("b", "a")) == []


def test_new_and_gone_are_a_line_each() -> None:
    new, gone = changes(cluster("a", "b"), cluster("b", "c", configured=("a",)))
    assert new.startswith("new")
    assert new.endswith(": c")
    assert gone.startswith("gone")
    assert gone.endswith(": a")


def test_many_are_counted() -> None:
    many = [f"n{number}" for number in range(MOST_NAMED + 3)]
    (line,) = changes(cluster(), cluster(*many))
    assert line.endswith(f"{many[MOST_NAMED - 1]} and 3 more")
