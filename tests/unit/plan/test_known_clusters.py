"""Clusters are as the configuration and their nodes name them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cucmd.config import Config, load
from cucmd.job.discover import Found, Member
from cucmd.job.node import Node
from cucmd.plan.known_clusters import KnownCluster, describe_nodes, has_node, known_clusters
from cucmd.store import StoredDiscovery

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


def test_cluster_without_discovery(tmp_path: Path) -> None:
    berlin, bern = known(tmp_path)
    assert (berlin.name, berlin.publisher, berlin.discovery) == ("berlin", "PUB", None)
    assert shown(berlin) == [
        ("PUB", True, None),
        ("SUB1.example.org.", True, None),
        ("gone", True, None),
    ]
    assert shown(bern) == [("b", True, None)]


def test_configured_names_win(tmp_path: Path) -> None:
    berlin, _ = known(tmp_path, discovery("pub", IMP, SUB, PUB))
    assert shown(berlin) == [
        ("PUB", True, PUB),
        ("SUB1.example.org.", True, SUB),
        ("gone", True, None),
        ("10.0.0.3", False, IMP),
    ]


def test_newest_discovery_counts(tmp_path: Path) -> None:
    newer, older = discovery("sub1.example.org", PUB, SUB), discovery("pub", IMP, hours_ago=1)
    berlin, *others = known(tmp_path, newer, older)
    assert berlin.discovery == newer
    assert [one.name for one in others] == ["bern"]


def test_other_port_is_other_node(tmp_path: Path) -> None:
    other = Member("pub:2022", "10.0.0.1", "pub", "Publisher", "callmanager", "pub.example.org")
    berlin, _, apart = known(tmp_path, discovery("pub:2022", other))
    assert berlin.discovery is None
    assert (apart.name, apart.publisher) == (None, "pub:2022")


def test_discovered_cluster_has_no_name(tmp_path: Path) -> None:
    paris = discovery("p2", Member("p2", "10.9.0.2", "p2", "Subscriber", "x"), PUB)
    *_, last = known(tmp_path, paris)
    assert (last.name, last.publisher) == (None, "pub")
    assert [node.node for node in last.nodes] == ["pub", "p2"]


@pytest.mark.parametrize("name", ["pub", "PUB.:22", "10.0.0.1", "pub.example.org", "gone", "imp1"])
def test_has_node(tmp_path: Path, name: str) -> None:
    clusters = known(tmp_path, discovery("pub", PUB, SUB, IMP))
    assert [one.name for one in clusters if has_node(one, name)] == ["berlin"]
    for other in ("pub:2022", "elsewhere", "no name", ""):
        assert not any(has_node(one, other) for one in clusters)


def described(tmp_path: Path, found: list[StoredDiscovery], *nodes: str) -> list[Node]:
    return list(describe_nodes(config(tmp_path), found, [Node(node) for node in nodes]))


def test_nodes_get_their_names(tmp_path: Path) -> None:
    told = replace(discovery("pub", PUB, SUB, IMP), found=Found((PUB, SUB, IMP), "14.0.1"))
    nodes = described(tmp_path, [told], "10.0.0.1", "sub1.example.org", "10.0.0.3", "10.0.0.9")
    assert [(node.name, node.role, node.product, node.version) for node in nodes] == [
        ("pub", "Publisher", "callmanager", "14.0.1"),
        ("sub1", "Subscriber", "callmanager", "14.0.1"),
        ("imp1", "Subscriber", "cups", None),  # its product has versions of its own
        (None, None, None, None),
    ]


def test_newest_discovery_names_nodes(tmp_path: Path) -> None:
    renamed = discovery("pub", replace(SUB, name="new"))
    older = discovery("pub", SUB, hours_ago=1)
    assert [node.name for node in described(tmp_path, [renamed, older], "10.0.0.2")] == ["new"]


def test_described_node_keeps_its_name(tmp_path: Path) -> None:
    known = replace(Node("10.0.0.1"), name="sub1", role="Publisher")
    both = [known, Node("10.0.0.2")]
    before, other = describe_nodes(config(tmp_path), [discovery("pub", PUB, SUB)], both)
    assert (before, other.name) == (known, "sub1+10.0.0.2")


@pytest.mark.parametrize("asked", ["b", "10.66.0.6"])
def test_other_clusters_name_no_configured_node(tmp_path: Path, asked: str) -> None:
    """Somebody who cancels or exports `pub` must not get another node."""
    liar = Member("10.0.0.7", "10.0.0.7", "pub", "Publisher", "", "sub1.example.org")
    told, claimed = described(tmp_path, [discovery(asked, liar)], "sub1.example.org", "10.0.0.7")
    assert (told.name, claimed.name) == (None, "pub")


def test_host_name_finds_its_cluster(tmp_path: Path) -> None:
    on_a_port = replace(IMP, node="10.0.0.3:2022")
    *_, found = known(tmp_path, discovery("x:2022", on_a_port))
    assert has_node(found, "IMP1")
    assert not has_node(found, "imp")
