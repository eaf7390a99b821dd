"""Gives the nodes of jobs the names that a discovery has found after the start of the job.

The names are written into the jobs, and are not looked up for each reply. So lists, filters,
commands that name a node, exports and pages all use the same names and need no code for this. A
node that has a name in a job keeps this name, even if a later discovery finds another one.

This happens when the daemon starts and after each discovery. It reads the distinct names of the
nodes of all jobs, and then only the jobs in which a node gets a name.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeAlias

import trio
from msgspec.structs import replace

from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.jobs.job_errors import JobInUse, UnknownJob
from cucmd.jobs.supervisor import Supervisor
from cucmd.node_name import InvalidNode, parse_node
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

# Returns the nodes, with the names and roles that are known now.
Describe: TypeAlias = Callable[[Sequence[Node]], Sequence[Node]]


class LateNames:
    """Names the nodes of jobs while `run` runs.

    describer  returns a function that describes nodes as the last discoveries have found them
    """

    def __init__(
        self, supervisor: Supervisor, store: Store, describer: Callable[[], Awaitable[Describe]]
    ) -> None:
        self._supervisor = supervisor
        self._store = store
        self._describer = describer
        self._discovered = trio.Event()
        store.on_discovered = self._wake

    def _wake(self) -> None:
        self._discovered.set()

    async def run(self) -> None:
        while True:
            self._discovered = trio.Event()
            try:
                await self._name_all()
            except StoreFailed as error:
                text = "older jobs get names of nodes with the next discovery only: %s"
                log.warning(text, error)
            except Exception:
                log.exception("naming the nodes of jobs: a defect")  # and the daemon goes on
            await self._discovered.wait()

    async def _name_all(self) -> None:
        describe = await self._describer()
        nodes = [Node(name) for name in await self._store.target_names() if _is_node(name)]
        known = [node.node for node in describe(nodes) if node.role is not None]

        def named(job: Job) -> Job:
            now, described = datetime.now(UTC), describe(job.nodes)
            return replace(
                job,
                nodes=tuple(
                    node if node.name == before.name else replace(node, named_at=now)
                    for before, node in zip(job.nodes, described, strict=True)
                ),
            )

        for job_id in await self._store.undescribed(known):
            with suppress(UnknownJob, JobInUse):  # the job is being deleted or retried
                await self._supervisor.relabel(job_id, named)


def _is_node(name: str) -> bool:
    """Returns whether the name can be that of a node. Requests may name clusters, too."""
    try:
        parse_node(name)
    except InvalidNode:
        return False
    return True
