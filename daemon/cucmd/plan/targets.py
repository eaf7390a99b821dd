"""PURE. Finds the nodes for which the names of a request stand.

    name              stands for
    a node            itself
    NAME              the nodes of the cluster NAME of the configuration
    NAME:publisher    its publisher
    NAME:subscribers  its other nodes, without those of IM and Presence
    NAME:cups         its nodes of IM and Presence

If the request lists a name in `discovered`, the name also stands for the nodes that the last
discovery of this cluster, or of this node, has found. A node that is not in the configuration
remembers which node has named it.
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
    configured_cluster,
    discovered_cluster,
    index_discoveries,
    node_keys,
)
from cucmd.store import StoredDiscovery

PARTS = ("publisher", "subscribers", "cups")
CUPS = "cups"  # what a node calls the product IM and Presence


def split_part(name: str) -> tuple[str, str | None]:
    """Returns (cluster, part of the cluster), or (name, None) for other names.

    A port is a number, so it cannot be taken for a part.
    """
    cluster, _, part = name.rpartition(":")
    return (cluster, part) if part in PARTS else (name, None)


def expand_names(
    config: Config,
    discoveries: Sequence[StoredDiscovery],
    names: Sequence[str],
    discovered: Sequence[str] = (),
) -> tuple[Node, ...]:
    """Returns the nodes of a request, each once, in the order of the names.

    `discoveries` begin with the newest. Raises `InvalidValue`.
    """
    if not names:
        raise InvalidValue("nodes", "is empty; expected a node or a cluster")
    bases = {split_part(name)[0] for name in names}
    for position, name in enumerate(discovered):
        if name not in bases:
            raise InvalidValue(f"discovered[{position}]", wrong_value(name, "is not one of nodes"))
    by_asked = index_discoveries(discoveries)
    nodes: dict[NodeKey, Node] = {}
    for name in dict.fromkeys(names):  # each name once, so that repeated names cost nothing
        try:
            for node in _find_nodes(config, by_asked, name, discovered):
                key = node_key(*parse_node(node.node))
                before = nodes.setdefault(key, node)
                if before.named_by is not None and node.named_by is None:
                    nodes[key] = node
        except (InvalidNode, _UnknownName) as error:
            raise InvalidValue(
                f"nodes[{names.index(name)}]", wrong_value(name, str(error))
            ) from None
    return tuple(nodes.values())


class _UnknownName(Exception):
    """A name stands for no known node. The text says why."""


def _find_nodes(
    config: Config,
    by_asked: Mapping[NodeKey, StoredDiscovery],
    name: str,
    discovered: Sequence[str],
) -> Sequence[Node]:
    """Returns the nodes for which one name stands. Raises `_UnknownName`."""
    base, part = split_part(name)
    with_found = base in discovered
    if part is None and not with_found:
        configured = config.clusters.get(name)
        return [Node(member) for member in configured.members] if configured else [Node(name)]
    cluster: KnownCluster | None = None
    if base in config.clusters:
        cluster = configured_cluster(config.clusters[base], by_asked)
    elif found := [by_asked[key] for key in node_keys(base) if key in by_asked]:
        cluster = discovered_cluster(found[0])
    if cluster is None or (with_found and cluster.discovery is None):
        raise _UnknownName("there is no such cluster" if part and not with_found else _NOT_ASKED)
    if part == CUPS and cluster.discovery is None:
        raise _UnknownName(_NOT_ASKED)
    nodes = [node for node in cluster.nodes if node.configured or with_found or not cluster.name]
    chosen = [node for node in nodes if part is None or _is_in_part(part, node, cluster)]
    if not chosen:
        raise _UnknownName("the cluster has no such node; give the name of a node")
    asked = cluster.discovery.asked if cluster.discovery else None
    # The node that was asked was named by a person, not by the discovery.
    known = set(node_keys(asked)) if asked else set()
    return [
        Node(
            node.node,
            named_by=None if node.configured or known.issuperset(node_keys(node.node)) else asked,
        )
        for node in chosen
    ]


_NOT_ASKED = "its nodes are not known; run cucmctl discover first"


def _is_in_part(part: str, node: ClusterNode, cluster: KnownCluster) -> bool:
    """Says whether the node belongs to this part of the cluster."""
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
