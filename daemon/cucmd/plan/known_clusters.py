"""PURE. Says what is known of clusters: the configuration, and what their nodes have said last.

The configuration names nodes, and a discovery adds to it. A node that is in both has the name that
the configuration has for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from cucmd.config import ClusterSettings, Config
from cucmd.job.cluster import ClusterNode
from cucmd.job.discover import Member
from cucmd.node_name import InvalidNode, node_key, parse_node
from cucmd.store import StoredDiscovery

# (host, port), the same for every spelling
NodeKey = tuple[str, int]
PUBLISHER = "Publisher"


class KnownCluster(msgspec.Struct, frozen=True):
    """Describes a cluster. It has a name if the configuration has it, and a discovery if somebody
    has asked for its nodes.
    """

    name: str | None
    publisher: str | None
    nodes: tuple[ClusterNode, ...]
    discovery: StoredDiscovery | None = None


def known_clusters(
    config: Config, discoveries: Iterable[StoredDiscovery]
) -> Iterator[KnownCluster]:
    """Yields the clusters of the configuration, then those that somebody has only asked for, by the
    names of the nodes that were asked. `discoveries`: the newest first.
    """
    by_asked = discoveries_by_key(discoveries)
    taken: set[str] = set()
    for cluster in config.clusters.values():
        keys = (key for name in cluster.members for key in keys_of(name))
        taken.update(by_asked[key].asked for key in keys if key in by_asked)
        yield known_cluster(cluster, by_asked)
    for discovery in sorted(by_asked.values(), key=lambda one: one.asked):
        if discovery.asked not in taken:
            yield asked_cluster(discovery)


def discoveries_by_key(discoveries: Iterable[StoredDiscovery]) -> dict[NodeKey, StoredDiscovery]:
    """Sorts them by the node that was asked, in the same order; of two of one node the first
    counts.
    """
    by_asked: dict[NodeKey, StoredDiscovery] = {}
    for discovery in discoveries:
        for key in keys_of(discovery.asked):
            by_asked.setdefault(key, discovery)
    return by_asked


def known_cluster(
    cluster: ClusterSettings, by_asked: Mapping[NodeKey, StoredDiscovery]
) -> KnownCluster:
    """Returns a cluster of the configuration, with the newest of what its nodes have said."""
    keys = [key for name in cluster.members for key in keys_of(name)]
    mine = [by_asked[key] for key in keys if key in by_asked]
    last = max(mine, key=lambda one: one.found_at, default=None)
    found = () if last is None else last.found.members
    member_of: dict[NodeKey, Member] = {}
    for member in found:
        for key in _all_keys(member):
            member_of.setdefault(key, member)
    nodes = [
        ClusterNode(name, True, next((member_of[k] for k in keys_of(name) if k in member_of), None))
        for name in cluster.members
    ]
    taken = {node.member for node in nodes}
    nodes += [ClusterNode(one.node, False, one) for one in found if one not in taken]
    return KnownCluster(cluster.name, cluster.publisher, tuple(nodes), last)


def asked_cluster(discovery: StoredDiscovery) -> KnownCluster:
    """Makes a cluster that is not in the configuration; its publisher is first, if it names one."""
    members = sorted(discovery.found.members, key=lambda member: member.role != PUBLISHER)
    publisher = members[0].node if members and members[0].role == PUBLISHER else None
    nodes = tuple(ClusterNode(member.node, False, member) for member in members)
    return KnownCluster(None, publisher, nodes, discovery)


def has_node(cluster: KnownCluster, name: str) -> bool:
    """Says whether it has a node of that name, in any spelling, or was asked by it."""
    wanted = set(keys_of(name))
    if cluster.discovery and not wanted.isdisjoint(keys_of(cluster.discovery.asked)):
        return True
    for node in cluster.nodes:
        if not wanted.isdisjoint(keys_of(node.node)):
            return True
        if node.member is not None and not wanted.isdisjoint(_all_keys(node.member)):
            return True
    return False


def keys_of(name: str) -> tuple[NodeKey, ...]:
    """Returns the key of a node's name; none for a text that is no name of a node."""
    try:
        return (node_key(*parse_node(name)),)
    except InvalidNode:
        return ()


def _all_keys(member: Member) -> Iterator[NodeKey]:
    """Yields the keys of a member by each of its names, all with the port by which it was named."""
    yield from keys_of(member.node)
    port = next((port for _, port in keys_of(member.node)), None)
    for name in (member.address, member.fqdn, member.name):
        for host, _ in keys_of(name) if name else ():
            if port is not None:
                yield host, port
