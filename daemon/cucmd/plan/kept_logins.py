"""Keeps logins in memory, so that a user types a password once and not for every job.

A login is kept for one owner and some targets. The owner is the user of the socket, together with
the person for whom that user calls: a program that calls for several people has a login of its own
for each of them. A target is a node, or a cluster of the configuration.

What ends it                            what is forgotten
    its time is over                    the login
    the owner forgets it, or a target   the login, or the login for that target
    a node refuses it                   the login for all targets that it was kept for in one call
    the daemon ends                     everything, because nothing is written to the disk

A job gets its own reference to the login when it is planned, and drops it when it has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from math import inf
from typing import TypeAlias

import msgspec
import trio

from cucmd.config import Config, InvalidValue, wrong_value
from cucmd.job.node import Node
from cucmd.node.ports import Credentials
from cucmd.node_name import InvalidNode, node_key, parse_node
from cucmd.plan.known_clusters import NodeKey, node_keys

log = logging.getLogger(__name__)

# Seconds for which a login is kept: if the request does not say how long, and at most.
USUAL_SECONDS = 30 * 60
MOST_SECONDS = 12 * 3600
MOST_TARGETS = 100  # for which logins of one user are kept

# The uid, and the name of the person for whom that user calls, if it calls for somebody else.
Owner: TypeAlias = tuple[int, str | None]
# The name of a cluster, or the key of a node.
Target: TypeAlias = str | NodeKey


class KeptLogin(msgspec.Struct, frozen=True):
    """Holds a login that is kept for one target.

    name          the target as the owner has named it
    deadline      when the login is forgotten, by trio's clock
    accept_nodes  the login also counts for nodes that the target has named in a discovery
    forget        forgets the login, which a node has refused
    """

    owner: Owner
    target: Target
    name: str
    login: Credentials
    deadline: float
    accept_nodes: bool
    forget: Callable[[], None]

    @property
    def is_valid(self) -> bool:
        return trio.current_time() < self.deadline


Kept: TypeAlias = Mapping[Target, KeptLogin]


class KeptLogins:
    """Holds the kept logins of all owners."""

    def __init__(self) -> None:
        self._kept: list[KeptLogin] = []
        self._changed = trio.Event()

    async def run(self) -> None:
        """Forgets each login when its time is over. Never returns."""
        while True:
            self._changed = trio.Event()
            with trio.move_on_at(min((kept.deadline for kept in self._kept), default=inf)):
                await self._changed.wait()
            self._forget(lambda kept: not kept.is_valid, "its time is over")

    def of(self, owner: Owner) -> dict[Target, KeptLogin]:
        """Returns the logins of this owner whose time is not over."""
        own = (kept for kept in self._kept if kept.owner == owner and kept.is_valid)
        return {kept.target: kept for kept in own}

    def keep(
        self,
        owner: Owner,
        targets: Mapping[Target, str],
        login: tuple[str, str],
        seconds: float,
        *,
        accept_nodes: bool,
    ) -> None:
        """Keeps a login, in place of earlier logins for these targets. Raises `InvalidValue`.

        targets  each target, and how the owner has named it
        login    the username and the password
        """
        others = [k for k in self._kept if k.owner != owner or k.target not in targets]
        if sum(kept.owner[0] == owner[0] for kept in others) + len(targets) > MOST_TARGETS:
            reason = f"logins of one user are kept for at most {MOST_TARGETS} nodes and clusters"
            raise InvalidValue("nodes", reason)
        deadline, credentials = trio.current_time() + seconds, Credentials(*login)

        def forget() -> None:
            self._forget(lambda kept: kept.login is credentials, "a node has refused it")

        self._kept = others + [
            KeptLogin(owner, target, name, credentials, deadline, accept_nodes, forget)
            for target, name in targets.items()
        ]
        self._changed.set()
        for name in targets.values():
            log.info("a login of uid %d for %s is kept for %d s", owner[0], name, seconds)

    def forget(self, owner: Owner, targets: Collection[Target] | None) -> int:
        """Forgets the logins for these targets, or all logins of this owner. Returns how many."""
        return self._forget(
            lambda kept: kept.owner == owner and (targets is None or kept.target in targets),
            "its owner asked for it",
        )

    def _forget(self, is_chosen: Callable[[KeptLogin], bool], why: str) -> int:
        chosen = [kept for kept in self._kept if is_chosen(kept)]
        self._kept = [kept for kept in self._kept if not is_chosen(kept)]
        for kept in chosen:
            log.info("the login of uid %d for %s is forgotten: %s", kept.owner[0], kept.name, why)
        return len(chosen)


def targets_of(config: Config, names: Iterable[str]) -> dict[Target, str]:
    """Returns the targets for which names stand, each with its name. Raises `InvalidValue`."""
    targets: dict[Target, str] = {}
    for position, name in enumerate(names):
        try:
            target = name if name in config.clusters else node_key(*parse_node(name))
        except InvalidNode as error:
            raise InvalidValue(f"nodes[{position}]", wrong_value(name, str(error))) from None
        targets[target] = name
    if not targets:
        raise InvalidValue("nodes", "is empty; expected a node or a cluster")
    return targets


def find_kept(
    config: Config, kept: Kept, node: Node, username: str | None, *, accepted: bool
) -> KeptLogin | None:
    """Returns the login that is kept for a node: for the node itself, or else for its cluster.

    A node that a discovery has named counts as such only in the configuration. A login that is kept
    for the node that has named it is returned if such nodes are accepted.
    Returns None for a login of another `username`, and if there is no login.
    """
    for name in filter(None, (node.node, node.named_by)):
        targets: tuple[Target, ...] = (*node_keys(name), config.for_node(name).name)
        for target in targets:
            found = kept.get(target)
            if (
                found is not None
                and username in (None, found.login.username)
                and (name == node.node or accepted or found.accept_nodes)
            ):
                return found
    return None
