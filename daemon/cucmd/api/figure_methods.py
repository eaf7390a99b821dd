"""Answers `Figures`, without the store: monitoring has to work while the disk does not."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from cucmd import __version__
from cucmd.histogram import SHORT, Histogram
from cucmd.job.work import KINDS, kind_of
from cucmd.jobs.services import JobServices
from cucmd.jobs.supervisor import Supervisor
from cucmd.protocol.figures import (
    DurationFigure,
    FiguresReply,
    FiguresRequest,
    JobFigure,
    NodeFigure,
)
from cucmd.varlink import Caller

_JOB_STATES, _NODE_STATES = ("queued", "running"), ("pending", "running")


class FigureMethods:
    """Answers the calls for figures.

    others  returns the other fields of the reply, about parts that this package does not know
    lag     how late the event loop runs tasks
    """

    def __init__(
        self,
        supervisor: Supervisor,
        services: JobServices,
        others: Callable[[], Awaitable[Mapping[str, Any]]],
    ) -> None:
        self._supervisor = supervisor
        self._services = services
        self._others = others
        self._started_at = datetime.now(UTC)
        self.lag = Histogram(SHORT)

    async def figures(self, caller: Caller, request: FiguresRequest) -> FiguresReply:
        others = await self._others()
        counts, unfinished = self._services.counts, self._supervisor.unfinished
        jobs = Counter({(kind_of(kind), state): 0 for kind in KINDS for state in _JOB_STATES})
        jobs.update((job.kind, job.status) for job in unfinished)
        nodes = Counter(dict.fromkeys(_NODE_STATES, 0))
        nodes.update(node.status for job in unfinished for node in job.nodes if not node.settled)
        connections = self._services.slots.connections.statistics()
        return FiguresReply(
            version=__version__,
            python=platform.python_version(),
            started_at=self._started_at,
            jobs=_of_jobs(jobs),
            jobs_ended=_of_jobs(counts.jobs),
            nodes=tuple(NodeFigure(status, number) for status, number in nodes.items()),
            nodes_ended=tuple(_ends(counts.nodes, named=bool(request.per_node))),
            durations=tuple(self._durations()),
            node_connections=connections.borrowed_tokens,
            node_connections_limit=int(connections.total_tokens),
            node_connections_wanted=connections.tasks_waiting,
            **others,
        )

    def _durations(self) -> Iterator[DurationFigure]:
        named: dict[str, Histogram] = {
            **{str(phase): seen for phase, seen in self._services.counts.durations.items()},
            **{f"store_{how}": seen for how, seen in self._services.store.latencies.items()},
            "event_loop_lag": self.lag,
        }
        for name, seen in named.items():
            yield DurationFigure(name, seen.bounds, tuple(seen.counts), seen.total)


def _of_jobs(counts: Mapping[tuple[str, str], int]) -> tuple[JobFigure, ...]:
    return tuple(JobFigure(kind, status, number) for (kind, status), number in counts.items())


def _ends(
    counts: Mapping[tuple[str, str, str | None], int], *, named: bool
) -> Iterator[NodeFigure]:
    """Yields a figure for each node if `named`. Then yields, for each kind of end, how many nodes
    ended so, without the nodes that were yielded before.
    """
    others = Counter[tuple[str, str | None]]()
    for (node, status, code), number in counts.items():
        if not node:
            others[status, code] += number
        elif named:
            others[status, code] -= number
            yield NodeFigure(status, number, code, node)
    for (status, code), number in others.items():
        yield NodeFigure(status, number, code)
