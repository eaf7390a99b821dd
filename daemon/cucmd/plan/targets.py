"""PURE. Says what the names of a request stand for: nodes, clusters, and parts of clusters.

    name              stands for
    a node            itself
    NAME              the nodes of that cluster of the configuration
    NAME:publisher    its publisher
    NAME:subscribers  its nodes but the publisher and those of IM and Presence
    NAME:cups         its nodes of IM and Presence

A node that only a discovery has named is taken where the request says so for that name
(`discovered`), and then it is known who has named it. Such a name may be that of a node that was
asked, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cucmd.config import Config, InvalidValue, wrong_value
from cucmd.job.cluster import ClusterNode
from cucmd.job.node import Node
from cucmd.node_name import InvalidNode, node_key, parse_node
from cucmd.plan.known_clusters import (
    PUBLISHER,
    KnownCluster,
    NodeKey,
    asked_cluster,
    discoveries_by_key,
    keys_of,
    known_cluster,
)
from cucmd.store import StoredDiscovery

PARTS = ("publisher", "subscribers", "cups")
CUPS = "cups"  # IM and Presence, in the word of a node


def split_part(name: str) -> tuple[str, str | None]:
    """Returns (cluster, part of it), or (name, None). No port is such a word."""
    cluster, _, part = name.rpartition(":")
    return (cluster, part) if part in PARTS else (name, None)


def needs_discoveries(names: Sequence[str], discovered: Sequence[str] | None) -> bool:
    """Says whether what nodes have said of their clusters decides what the names stand for."""
    return bool(discovered) or any(split_part(name)[1] for name in names)


def expand(
    config: Config,
    discoveries: Sequence[StoredDiscovery],
    names: Sequence[str],
    discovered: Sequence[str] = (),
) -> tuple[Node, ...]:
    """Returns the nodes of a request, each once, in the order of the names. Raises `InvalidValue`.

    `discoveries`: the newest first. Only those of the clusters that are named are looked at.
    """
    if not names:
        raise InvalidValue("nodes", "is empty; expected a node or a cluster")
    bases = {split_part(name)[0] for name in names}
    for position, name in enumerate(discovered):
        if name not in bases:
            raise InvalidValue(f"discovered[{position}]", wrong_value(name, "is not one of nodes"))
    by_asked = discoveries_by_key(discoveries)
    nodes: dict[NodeKey, Node] = {}
    for name in dict.fromkeys(names):  # once: to repeat a name must not cost work
        try:
            for node in _nodes(config, by_asked, name, discovered):
                key = node_key(*parse_node(node.node))
                before = nodes.setdefault(key, node)
                if before.named_by is not None and node.named_by is None:
                    nodes[key] = node
        except (InvalidNode, _Unknown) as error:
            raise InvalidValue(
                f"nodes[{names.index(name)}]", wrong_value(name, str(error))
            ) from None
    return tuple(nodes.values())


class _Unknown(Exception):
    """Says why nothing is known that the name could stand for."""


def _nodes(
    config: Config,
    by_asked: Mapping[NodeKey, StoredDiscovery],
    name: str,
    discovered: Sequence[str],
) -> Sequence[Node]:
    base, part = split_part(name)
    with_found = base in discovered
    if part is None and not with_found:
        configured = config.clusters.get(name)
        return [Node(member) for member in configured.members] if configured else [Node(name)]
    cluster: KnownCluster | None = None
    if base in config.clusters:
        cluster = known_cluster(config.clusters[base], by_asked)
    elif found := [by_asked[key] for key in keys_of(base) if key in by_asked]:
        cluster = asked_cluster(found[0])
    if cluster is None or (with_found and cluster.discovery is None):
        raise _Unknown("there is no such cluster" if part and not with_found else _NOT_ASKED)
    if part == CUPS and cluster.discovery is None:
        raise _Unknown(_NOT_ASKED)
    nodes = [node for node in cluster.nodes if node.configured or with_found or not cluster.name]
    chosen = [node for node in nodes if part is None or _is_of(part, node, cluster)]
    if not chosen:
        raise _Unknown("the cluster has no such node; name one of its nodes")
    asked = cluster.discovery.asked if cluster.discovery else None
    known = set(keys_of(asked)) if asked else set()  # the node that was asked was named by a person
    return [
        Node(
            one.node,
            named_by=None if one.configured or known.issuperset(keys_of(one.node)) else asked,
        )
        for one in chosen
    ]


_NOT_ASKED = "which nodes that are is not known; ask first: cucmctl discover"


def _is_of(part: str, node: ClusterNode, cluster: KnownCluster) -> bool:
    is_publisher = node.node == cluster.publisher or (
        cluster.publisher is None and node.member is not None and node.member.role == PUBLISHER
    )
    is_cups = node.member is not None and node.member.product == CUPS
    match part:
        case "publisher":
            return is_publisher
        case "cups":
            return is_cups
    return not is_publisher and not is_cups
