"""Lists what runs now: one line for each node that is at work, of all jobs, the fastest first.

    jobs: 2 running, 1 waiting; nodes: 3 at work, 3 waiting; 1.6 MB/s
    3 of 200 connections to nodes; 120.4 GB free for files
    NODE      DOING             RATE         SIZE  FILES  JOB
    ccm-pub   transfer      1.2 MB/s  4.1/45.6 MB   4/27  3f2a0011
    ccm-sub1  transfer    410.0 kB/s      0/12 MB   0/12  3f2a0011
    ccm-sub2  command   silent 1m12s          0 B      0  77c01d5e

The last columns are left out if the terminal is too narrow for them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Unpack

from msgspec import Struct

from cucmctl.cli.printer import Layout
from cucmctl.text import pace, render
from cucmctl.text.kind_text import text_of
from cucmctl.text.pace import SILENT, Rates
from cucmctl.text.table import cut, cut_mark, table, width_of
from cucmd.protocol.figures import FiguresReply
from cucmd.protocol.jobs import Job, Node

_COLUMNS = ("NODE", "DOING", "RATE", "SIZE", "FILES", "JOB")


class RunningNode(Struct, omit_defaults=True):
    """Describes a node at work. rate is in bytes per second. silent is for how many seconds it has
    sent nothing, if that is worth a word.
    """

    job_id: str
    kind: str
    node: str
    doing: str
    rate: float
    files_received: int
    bytes_received: int
    files_announced: int | None = None
    bytes_announced: int | None = None
    name: str | None = None
    silent: float | None = None


class Running:
    """Holds the jobs that run, and figures of the daemon, as they were seen last."""

    def __init__(self) -> None:
        self._jobs: Sequence[Job] = ()
        self._rates: dict[str, Rates] = {}
        self._now = 0.0
        self.figures: FiguresReply | None = None

    def observe(self, jobs: Sequence[Job], figures: FiguresReply, now: float) -> None:
        """Notes the jobs that run at the moment `now`."""
        self._jobs, self.figures, self._now = jobs, figures, now
        self._rates = {job.job_id: self._rates.get(job.job_id, Rates()) for job in jobs}
        for job in jobs:
            self._rates[job.job_id].observe(job, now)

    def nodes(self, at: datetime) -> list[RunningNode]:
        """Returns the nodes at work, the fastest first. `at` is the present time."""
        found = [
            self._describe(job, node, at)
            for job in self._jobs
            for node in job.nodes
            if node.status == "running"
        ]
        return sorted(found, key=lambda node: -node.rate)

    def _describe(self, job: Job, node: Node, at: datetime) -> RunningNode:
        text = text_of(job)
        silence = 0.0 if text.sends_nothing_now(node) else pace.silence(node, at) or 0.0
        packed = job.collection.compress  # the announced numbers are those before compression
        return RunningNode(
            job_id=job.job_id,
            kind=job.kind,
            node=node.node,
            doing=text.phase(node),
            rate=round(self._rates[job.job_id].rate_of(node.node, self._now), 1),
            files_received=node.files_received,
            bytes_received=node.bytes_received,
            files_announced=None if packed else node.files_announced,
            bytes_announced=None if packed else node.bytes_announced,
            name=node.name,
            silent=round(silence, 1) if silence >= SILENT else None,
        )

    def lines(
        self, at: datetime, rows: int | None = None, **layout: Unpack[Layout]
    ) -> Iterator[str]:
        """Yields lines that fit into the layout, at most `rows` of them if that is not None."""
        if self.figures is None:
            return
        nodes, columns = self.nodes(at), layout.get("columns")
        mark = cut_mark(ascii_only=layout.get("ascii_only", False))
        heading = _heading(self.figures, nodes)
        yield from heading if columns is None else (cut(text, columns, mark) for text in heading)
        space = len(nodes) if rows is None else max(0, rows - 3)
        if len(nodes) > space:
            space = max(0, space - 1)  # one line has the number of the others
        if shown := [_row(node) for node in nodes[:space]]:
            count = len(_COLUMNS)
            plain = layout.copy()
            plain["colour"] = False  # escapes would count for the width
            width = columns or sys.maxsize
            while count > 2 and max(map(width_of, _table(shown, count, plain))) > width:
                count -= 1
            yield from _table(shown, count, layout)
        if len(nodes) > space:
            yield f"and {len(nodes) - space} more"


def _heading(figures: FiguresReply, nodes: Sequence[RunningNode]) -> tuple[str, str]:
    jobs, of_nodes = Counter[str](), Counter[str]()
    for job in figures.jobs:
        jobs[job.status] += job.jobs
    for node in figures.nodes:
        of_nodes[node.status] += node.nodes
    rate = render.size(int(sum(node.rate for node in nodes)))
    used = f"{figures.node_connections} of {figures.node_connections_limit} connections to nodes"
    free = ""
    if figures.free_bytes is not None:
        room = max(0, figures.free_bytes - (figures.kept_free_bytes or 0))
        free = f"; {render.size(room)} free for files"
    return (
        f"jobs: {jobs['running']} running, {jobs['queued']} waiting; "
        f"nodes: {of_nodes['running']} at work, {of_nodes['pending']} waiting; {rate}/s",
        f"{used}{free}",
    )


def _table(rows: Sequence[tuple[str, ...]], count: int, layout: Layout) -> Iterator[str]:
    """Yields the table with the first `count` columns."""
    cells = [row[:count] for row in rows]
    return table(_COLUMNS[:count], cells, right="RATE SIZE FILES", **layout)


def _row(node: RunningNode) -> tuple[str, ...]:
    rate = f"{render.size(int(node.rate))}/s" if node.rate else ""
    if node.silent is not None:
        rate = f"silent {render.duration(node.silent)}"
    return (
        node.node if node.name is None else f"{node.name} ({node.node})",
        node.doing,
        rate,
        render.progress(node.bytes_received, node.bytes_announced),
        render.counted(node.files_received, node.files_announced),
        node.job_id[:8],
    )
