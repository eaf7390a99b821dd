"""Holds what every job needs of the daemon, and its slots for what runs at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import msgspec
import trio

from cucmd.config import Limits
from cucmd.jobs.events import JobFeed
from cucmd.jobs.hold_back import Trusted
from cucmd.jobs.node_work import WorkOnNode
from cucmd.store import Store

# A node as `node/resolver.py` gives it, so that all its names share its slots.
Address: TypeAlias = tuple[str, int]


class Slots:
    """Holds the daemon's slots for jobs, connections to nodes and sessions on a node.

    They are given in the order of the requests, and one is free again only after its connection has
    closed. Limits can change while jobs run. A lower one ends nothing: it applies as jobs end.
    """

    def __init__(self, limits: Limits) -> None:
        self.jobs = trio.CapacityLimiter(limits.jobs)
        self._connections = trio.CapacityLimiter(limits.connections)
        self._sessions: dict[Address, trio.CapacityLimiter] = {}

    def change(self, limits: Limits) -> None:
        self.jobs.total_tokens = limits.jobs
        self._connections.total_tokens = limits.connections

    @asynccontextmanager
    async def session(self, address: Address, most: int) -> AsyncIterator[None]:
        """Takes a slot of the node at `address`, which has `most`, then a slot for a connection.

        In this order: a task that waits for a busy node must not hold a connection that another
        node could use.
        """
        limiter = self._sessions.setdefault(address, trio.CapacityLimiter(most))
        limiter.total_tokens = most
        try:
            async with limiter, self._connections:
                yield
        finally:
            statistics = limiter.statistics()
            idle = not statistics.borrowed_tokens and not statistics.tasks_waiting
            if idle and self._sessions.get(address) is limiter:
                del self._sessions[address]


# (host, port) to what its other names have in common with it.
Locate: TypeAlias = Callable[[str, int], Awaitable[Address]]


class JobServices(msgspec.Struct, frozen=True):
    """Holds what every job needs of the daemon; the same for all, and never changed."""

    store: Store
    feed: JobFeed
    slots: Slots
    work_on_node: WorkOnNode
    locate: Locate
    trusted: Trusted = msgspec.field(default_factory=Trusted)
