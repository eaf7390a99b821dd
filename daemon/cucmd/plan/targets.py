"""PURE. What the names of a request stand for: nodes, clusters, and parts of clusters.

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

from collections.abc import Collection, Mapping, Sequence

import msgspec

from cucmd.config import Config, InvalidValue
from cucmd.config.errors import found
from cucmd.node_name import InvalidNode, node_key, parse_node
from cucmd.plan.known import (
    PUBLISHER,
    KnownCluster,
    KnownNode,
    asked_cluster,
    discoveries_by_key,
    keys_of,
    known_cluster,
)
from cucmd.store import Discovery

PARTS = ("publisher", "subscribers", "cups")
CUPS = "cups"  # IM and Presence, in the word of a node


class Target(msgspec.Struct, frozen=True):
    """`named_by`: the node that has named it; None: the request or the configuration has."""

    node: str
    named_by: str | None = None


def split_part(name: str) -> tuple[str, str | None]:
    """(cluster, part of it), or (name, None). No port is such a word."""
    cluster, _, part = name.rpartition(":")
    return (cluster, part) if part in PARTS else (name, None)


def needs_discoveries(names: Sequence[str], discovered: Sequence[str] | None) -> bool:
    """Whether what nodes have said of their clusters decides what the names stand for."""
    return bool(discovered) or any(split_part(name)[1] for name in names)


def expand(
    config: Config,
    discoveries: Sequence[Discovery],
    names: Sequence[str],
    discovered: Sequence[str],
) -> tuple[Target, ...]:
    """The nodes of a request, each once, in the order of the names. Raises `InvalidValue`.

    `discoveries`: the newest first. Only those of the clusters that are named are looked at.
    """
    if not names or not needs_discoveries(names, discovered):
        return tuple(map(Target, config.expand(names)))
    _check_discovered(names, discovered)
    targets: dict[tuple[str, int], Target] = {}
    by_asked = discoveries_by_key(discoveries)
    first_of = {name: position for position, name in reversed(list(enumerate(names)))}
    for name in dict.fromkeys(names):
        parameter = f"nodes[{first_of[name]}]"
        for target in _targets(config, by_asked, name, discovered, parameter):
            try:
                key = node_key(*parse_node(target.node))
            except InvalidNode as error:
                raise InvalidValue(parameter, found(target.node, str(error))) from None
            before = targets.setdefault(key, target)
            if before.named_by is not None and target.named_by is None:
                targets[key] = target
    return tuple(targets.values())


def _check_discovered(names: Sequence[str], discovered: Sequence[str]) -> None:
    bases = {split_part(name)[0] for name in names}
    for position, name in enumerate(discovered):
        if name not in bases:
            raise InvalidValue(f"discovered[{position}]", found(name, "is not one of nodes"))


def _targets(
    config: Config,
    by_asked: Mapping[tuple[str, int], Discovery],
    name: str,
    discovered: Collection[str],
    parameter: str,
) -> Sequence[Target]:
    base, part = split_part(name)
    with_found = base in discovered
    if base not in config.clusters and part is None and not with_found:
        return [Target(name)]
    cluster = _cluster(config, by_asked, base)
    if cluster is None or (with_found and cluster.discovery is None):
        reason = "there is no such cluster" if part and not with_found else _NOT_ASKED
        raise InvalidValue(parameter, found(name, reason))
    if part == CUPS and cluster.discovery is None:
        raise InvalidValue(parameter, found(name, _NOT_ASKED))
    nodes = [node for node in cluster.nodes if node.configured or with_found or not cluster.name]
    chosen = [node for node in nodes if part is None or _is_of(part, node, cluster)]
    if not chosen:
        raise InvalidValue(parameter, found(name, "the cluster has no such node"))
    asked = cluster.discovery.asked if cluster.discovery else None
    return [Target(one.node, None if _is_known(one, asked) else asked) for one in chosen]


_NOT_ASKED = "which nodes that are is not known; ask first: cucmctl discover"


def _cluster(
    config: Config, by_asked: Mapping[tuple[str, int], Discovery], base: str
) -> KnownCluster | None:
    if base in config.clusters:
        return known_cluster(config.clusters[base], by_asked)
    asked = [by_asked[key] for key in keys_of(base) if key in by_asked]
    return asked_cluster(asked[0]) if asked else None


def _is_known(node: KnownNode, asked: str | None) -> bool:
    return node.configured or (asked is not None and keys_of(node.node) == keys_of(asked))


def _is_of(part: str, node: KnownNode, cluster: KnownCluster) -> bool:
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
