"""Holds the parts of the daemon that every job uses, and the slots for jobs and connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import msgspec
import trio

from cucmd.config import Limits
from cucmd.job.job import Job
from cucmd.jobs.job_counts import JobCounts
from cucmd.jobs.job_feed import JobFeed
from cucmd.jobs.login_trials import WorkingLogins
from cucmd.jobs.node_work import WorkOnNode
from cucmd.store import Store

# The IP address of a node and its port, from `node/resolver.py`. All names of a node have the same
# address, and so share its slots. If the lookup fails, the host of the request instead of the IP.
Address: TypeAlias = tuple[str, int]


class Slots:
    """Limits how many jobs run, how many connections to nodes there are, and how many sessions each
    node has.

    Slots are given in the order of the requests. The slot of a connection is free again only after
    the connection has closed. Limits can change while jobs run. A lower limit ends nothing that
    runs: it takes effect as slots become free.
    """

    def __init__(self, limits: Limits) -> None:
        self.jobs = trio.CapacityLimiter(limits.jobs)
        self.connections = trio.CapacityLimiter(limits.connections)
        self._sessions: dict[Address, trio.CapacityLimiter] = {}

    def change_limits(self, limits: Limits) -> None:
        self.jobs.total_tokens = limits.jobs
        self.connections.total_tokens = limits.connections

    @asynccontextmanager
    async def session(self, address: Address, most: int) -> AsyncIterator[None]:
        """Takes one of the `most` session slots of the node at `address`, then a connection slot.

        The order matters: a task that waits for a busy node must not hold a connection slot that
        another node could use.
        """
        limiter = self._sessions.setdefault(address, trio.CapacityLimiter(most))
        # A reload may have changed the limit since the limiter was made. The newest request has the
        # newest limit.
        limiter.total_tokens = most
        try:
            async with limiter, self.connections:
                yield
        finally:
            statistics = limiter.statistics()
            # Idle limiters are removed, because a daemon that runs for months meets any number of
            # addresses. Tasks that wait keep theirs, so that no second limiter is made beside it.
            idle = not statistics.borrowed_tokens and not statistics.tasks_waiting
            if idle and self._sessions.get(address) is limiter:
                del self._sessions[address]


# Returns the address of a node, from its host and port in the request.
Locate: TypeAlias = Callable[[str, int], Awaitable[Address]]


class JobServices(msgspec.Struct, frozen=True):
    """Holds the parts of the daemon that every job uses. They are the same for all jobs."""

    store: Store
    feed: JobFeed[Job]
    slots: Slots
    work_on_node: WorkOnNode
    locate: Locate
    working_logins: WorkingLogins = msgspec.field(default_factory=WorkingLogins)
    counts: JobCounts = msgspec.field(default_factory=JobCounts)
