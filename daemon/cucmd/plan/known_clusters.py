"""PURE. Combines what the configuration and what discoveries say about clusters.

The configuration names nodes, and a discovery adds nodes. A node that is in both has the name that
the configuration uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from cucmd.config import ClusterSettings, Config
from cucmd.job.cluster import ClusterNode
from cucmd.job.discover import Member
from cucmd.job.node import Node
from cucmd.node_name import InvalidNode, node_key, parse_node, short_names
from cucmd.store import StoredDiscovery

# (host, port), the same for every spelling of a name.
NodeKey = tuple[str, int]
PUBLISHER = "Publisher"


class KnownCluster(msgspec.Struct, frozen=True):
    """Describes a cluster.

    name       its name in the configuration, or None if only a discovery has found the cluster
    discovery  the last discovery of the cluster, if there was one
    """

    name: str | None
    publisher: str | None
    nodes: tuple[ClusterNode, ...]
    discovery: StoredDiscovery | None = None


def known_clusters(
    config: Config, discoveries: Iterable[StoredDiscovery]
) -> Iterator[KnownCluster]:
    """Yields the clusters of the configuration, then the clusters that only a discovery has found,
    ordered by the name of the node that was asked. `discoveries` begin with the newest.
    """
    by_asked = index_discoveries(discoveries)
    with_cluster: set[str] = set()
    for cluster in config.clusters.values():
        keys = (key for name in cluster.members for key in node_keys(name))
        with_cluster.update(by_asked[key].asked for key in keys if key in by_asked)
        yield configured_cluster(cluster, by_asked)
    for discovery in sorted(by_asked.values(), key=lambda found: found.asked):
        if discovery.asked not in with_cluster:
            yield discovered_cluster(discovery)


def index_discoveries(discoveries: Iterable[StoredDiscovery]) -> dict[NodeKey, StoredDiscovery]:
    """Returns the discoveries by the node that was asked, in the same order.

    If the same node was asked twice, the first discovery in the sequence counts.
    """
    by_asked: dict[NodeKey, StoredDiscovery] = {}
    for discovery in discoveries:
        for key in node_keys(discovery.asked):
            by_asked.setdefault(key, discovery)
    return by_asked


def configured_cluster(
    cluster: ClusterSettings, by_asked: Mapping[NodeKey, StoredDiscovery]
) -> KnownCluster:
    """Returns a cluster of the configuration, with the newest discovery of one of its nodes."""
    keys = [key for name in cluster.members for key in node_keys(name)]
    discoveries = [by_asked[key] for key in keys if key in by_asked]
    last = max(discoveries, key=lambda discovery: discovery.found_at, default=None)
    found = () if last is None else last.found.members
    member_of: dict[NodeKey, Member] = {}
    for member in found:
        for key in _member_keys(member):
            member_of.setdefault(key, member)
    nodes = [
        ClusterNode(
            name, True, next((member_of[k] for k in node_keys(name) if k in member_of), None)
        )
        for name in cluster.members
    ]
    known = {node.member for node in nodes}
    nodes += [ClusterNode(member.node, False, member) for member in found if member not in known]
    return KnownCluster(cluster.name, cluster.publisher, tuple(nodes), last)


def discovered_cluster(discovery: StoredDiscovery) -> KnownCluster:
    """Returns a cluster that is not in the configuration. If its publisher is known, it is the
    first node.
    """
    members = sorted(discovery.found.members, key=lambda member: member.role != PUBLISHER)
    publisher = members[0].node if members and members[0].role == PUBLISHER else None
    nodes = tuple(ClusterNode(member.node, False, member) for member in members)
    return KnownCluster(None, publisher, nodes, discovery)


def describe_nodes(
    config: Config, discoveries: Iterable[StoredDiscovery], nodes: Sequence[Node]
) -> tuple[Node, ...]:
    """Returns the nodes of a job, with what `discoveries` say of them. These begin with the newest.

    A node that has a role was described before. It keeps its name, by which people know it by now.
    For a node of the configuration, only discoveries of its own cluster count. People name nodes by
    what is said here, so a node of another cluster must not be able to choose the name.
    """
    # (cluster of the node that was asked, or "" for any; host; port) -> what was said
    said: dict[tuple[str, str, int], tuple[Member, str | None]] = {}
    for discovery in discoveries:
        found, cluster = discovery.found, config.for_node(discovery.asked).name
        asked, port = node_key(*parse_node(discovery.asked))
        products = {member.product for member in found.members if member.node == discovery.asked}
        for member in found.members:
            version = found.version if member.product in products else None
            hosts = [member.address, member.fqdn or "", member.name]
            hosts += [asked] if member.node == discovery.asked else []
            for host in hosts:
                for of_cluster in (cluster, ""):
                    key = of_cluster, host.lower().removesuffix("."), port
                    said.setdefault(key, (member, version))
    keys = [
        (config.for_node(node.node, node.named_by).name, *node_key(*parse_node(node.node)))
        for node in nodes
    ]
    described = [
        said.get(key, (None, None)) if node.role is None else (None, None)
        for node, key in zip(nodes, keys, strict=True)
    ]
    host_names = {node.node: node.host_name for node in nodes}
    host_names |= {
        node.node: member.name
        for node, (member, _) in zip(nodes, described, strict=True)
        if member is not None
    }
    names = short_names(host_names)
    return tuple(
        node
        if member is None
        else replace(
            node,
            name=names[node.node],
            role=member.role,
            product=member.product or None,
            version=version,
        )
        for node, (member, version) in zip(nodes, described, strict=True)
    )


def has_node(cluster: KnownCluster, name: str) -> bool:
    """Says whether the cluster has a node of this name, or was found by asking such a node.

    The host name of a node needs no port.
    """
    wanted = set(node_keys(name))
    if cluster.discovery and not wanted.isdisjoint(node_keys(cluster.discovery.asked)):
        return True
    for node in cluster.nodes:
        if not wanted.isdisjoint(node_keys(node.node)):
            return True
        if node.member is not None and (
            name.lower() == node.member.name.lower()
            or not wanted.isdisjoint(_member_keys(node.member))
        ):
            return True
    return False


def node_keys(name: str) -> tuple[NodeKey, ...]:
    """Returns the key of a node's name, or an empty tuple if the text is not the name of a node."""
    try:
        return (node_key(*parse_node(name)),)
    except InvalidNode:
        return ()


def _member_keys(member: Member) -> Iterator[NodeKey]:
    """Yields a key for each name of a member. All keys have the port of `member.node`."""
    yield from node_keys(member.node)
    port = next((port for _, port in node_keys(member.node)), None)
    for name in (member.address, member.fqdn, member.name):
        for host, _ in node_keys(name) if name else ():
            if port is not None:
                yield host, port
