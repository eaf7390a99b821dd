"""PURE. What is known of clusters: the configuration, and what their nodes have said last.

The one rule: the configuration names nodes, and a discovery adds to it. A node that is in both has
the name that the configuration has for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from cucmd.config import Cluster, Config
from cucmd.job import Member
from cucmd.node_name import InvalidNode, node_key, parse_node
from cucmd.store import Discovery

# (host, port), the same for every spelling
Key = tuple[str, int]
PUBLISHER = "Publisher"


class KnownNode(msgspec.Struct, frozen=True):
    """A node of a cluster. `member` None: the last discovery did not name it, or there is none."""

    node: str
    configured: bool
    member: Member | None = None


class KnownCluster(msgspec.Struct, frozen=True):
    """`name` None: it is not in the configuration. `discovery` None: nobody has asked for it."""

    name: str | None
    publisher: str | None
    nodes: tuple[KnownNode, ...]
    discovery: Discovery | None = None


def known_clusters(config: Config, discoveries: Sequence[Discovery]) -> Iterator[KnownCluster]:
    """Those of the configuration, then those that were only asked for. `discoveries`: the newest
    first, each of another node.
    """
    by_asked = discoveries_by_key(discoveries)
    configured: set[Key] = set()
    for cluster in config.clusters.values():
        configured.update(key for name in cluster.members for key in keys_of(name))
        yield known_cluster(cluster, by_asked)
    for key, discovery in by_asked.items():
        if key not in configured:
            yield asked_cluster(discovery)


def discoveries_by_key(discoveries: Iterable[Discovery]) -> dict[Key, Discovery]:
    """By the node that was asked, in the same order; of two of one node the first."""
    by_asked: dict[Key, Discovery] = {}
    for discovery in discoveries:
        for key in keys_of(discovery.asked):
            by_asked.setdefault(key, discovery)
    return by_asked


def known_cluster(cluster: Cluster, by_asked: Mapping[Key, Discovery]) -> KnownCluster:
    """A cluster of the configuration, with the newest of what its nodes have said."""
    keys = [key for name in cluster.members for key in keys_of(name)]
    mine = [by_asked[key] for key in keys if key in by_asked]
    last = max(mine, key=lambda one: one.found_at, default=None)
    found = () if last is None else last.found.members
    member_of: dict[Key, Member] = {}
    for member in found:
        for key in _all_keys(member):
            member_of.setdefault(key, member)
    nodes = [
        KnownNode(name, True, next((member_of[k] for k in keys_of(name) if k in member_of), None))
        for name in cluster.members
    ]
    taken = {node.member for node in nodes}
    nodes += [KnownNode(one.node, False, one) for one in found if one not in taken]
    return KnownCluster(cluster.name, cluster.publisher, tuple(nodes), last)


def asked_cluster(discovery: Discovery) -> KnownCluster:
    """A cluster that is not in the configuration; its publisher is first, if it names one."""
    members = sorted(discovery.found.members, key=lambda member: member.role != PUBLISHER)
    publisher = members[0].node if members and members[0].role == PUBLISHER else None
    nodes = tuple(KnownNode(member.node, False, member) for member in members)
    return KnownCluster(None, publisher, nodes, discovery)


def with_node(clusters: Sequence[KnownCluster], name: str) -> list[KnownCluster]:
    """The clusters that have a node of that name, in any spelling, or that were asked by it."""
    wanted = set(keys_of(name))
    return [
        cluster
        for cluster in clusters
        if any(not wanted.isdisjoint(_of(node)) for node in cluster.nodes)
        or (cluster.discovery and not wanted.isdisjoint(keys_of(cluster.discovery.asked)))
    ]


def keys_of(name: str) -> tuple[Key, ...]:
    """The key of a node's name; none for a text that is no name of a node."""
    try:
        return (node_key(*parse_node(name)),)
    except InvalidNode:
        return ()


def _of(node: KnownNode) -> set[Key]:
    own = set(keys_of(node.node))
    return own if node.member is None else own | set(_all_keys(node.member))


def _all_keys(member: Member) -> Iterator[Key]:
    """The keys of a member by each of its names, all with the port by which it was named."""
    yield from keys_of(member.node)
    port = next((port for _, port in keys_of(member.node)), None)
    for name in (member.address, member.fqdn, member.name):
        for host, _ in keys_of(name) if name else ():
            if port is not None:
                yield host, port
