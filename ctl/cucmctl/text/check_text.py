"""PURE. Shows the results of a check as a table.

A cell is empty if its step was not reached. The table does not say why a step failed: the remarks
below the table do, as for any job.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Unpack

from msgspec.structs import replace

from cucmctl.cli.printer import Layout, visible
from cucmctl.text import render
from cucmctl.text.kind_text import KindText, Part, Table, lines_of
from cucmctl.text.remarks import join_names
from cucmd.job.check import Checked
from cucmd.protocol.jobs import Job

STEPS = ("NODE", "PORT", "KEY", "LOGIN", "PROMPT", "CLOCK", "LOGS FREE", "RECEIVER")
MACHINE = ("PRODUCT", "VERSION")
_RIGHT = "CLOCK"


class CheckText(KindText):
    """The text of checks."""

    def describe(self, job: Job) -> Iterator[str]:
        yield "checks whether a collection can be expected to work"

    def parts(self, job: Job) -> Iterator[Part]:
        if any(node.checked is not None for node in job.nodes):
            yield _whole(job)

    def findings(self, job: Job, **layout: Unpack[Layout]) -> Iterable[str]:
        return table(job, **layout) if any(self.parts(job)) else ()

    def result(self, job: Job, files: str) -> str:
        return f"{render.count_of(sum(bool(node.checked) for node in job.nodes), 'node')} checked"


TEXT = CheckText()


def asks_receiver(job: Job) -> bool:
    """Returns whether the check of any node included the transfer of a file."""
    return any(node.checked and node.checked.receiver != "not_asked" for node in job.nodes)


def _whole(job: Job) -> Table:
    """Returns a row for each node."""
    steps = STEPS if asks_receiver(job) else STEPS[:-1]
    rows = []
    for node in job.nodes:
        seen = node.checked or Checked()
        if seen.reachable and seen.host_key is None and node.failure is not None:
            seen = replace(seen, host_key="failed")  # no SSH came to be
        cells = (node.short_name, *_steps(seen))[: len(steps)]
        rows.append((*cells, seen.product or "", seen.version or ""))
    return Table((*steps, *MACHINE), rows, _RIGHT)


def table(job: Job, **layout: Unpack[Layout]) -> Iterator[str]:
    """Yields a line for each node.

    If the table would be wider than `columns`, product and version stand below it instead, once for
    all nodes that have the same.
    """
    whole = _whole(job)
    columns = layout.get("columns")
    if columns is None or _width(whole.headings, whole.rows) <= columns:
        yield from lines_of([whole], **layout)
        return
    steps = len(whole.headings) - len(MACHINE)
    rows = [row[:steps] for row in whole.rows]
    yield from lines_of([Table(whole.headings[:steps], rows, _RIGHT)], **layout)
    nodes_of: dict[str, list[str]] = {}  # product and version -> the nodes
    for row in whole.rows:
        if text := " ".join(filter(None, row[steps:])):
            nodes_of.setdefault(visible(text), []).append(visible(row[0]))
    for text, names in nodes_of.items():
        everywhere = len(names) == len(job.nodes) > 1
        yield f"{text}: {'all nodes' if everywhere else join_names(names, all_names=False)}"


def _steps(seen: Checked) -> tuple[str, ...]:
    """Returns the cells for STEPS, except the node."""
    clock = free = ""
    if (ahead := seen.clock_ahead) is not None:  # `+7m00s`, `-3s`
        clock = f"{'-' if ahead < 0 else '+'}{render.duration(abs(ahead))}"
    if seen.logging_free is not None:
        total = seen.logging_total
        share = f" ({100 * seen.logging_free // total}%)" if total else ""
        free = f"{render.size(seen.logging_free)}{share}"
    receiver = "" if seen.receiver in (None, "not_asked") else seen.receiver
    done = {None: "", True: "ok", False: "failed"}
    logged_in = done[seen.login], done[seen.prompt]
    return done[seen.reachable], seen.host_key or "", *logged_in, clock, free, receiver


def _width(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    cells = [headings, *([visible(cell) for cell in row] for row in rows)]
    return sum(2 + max(map(len, column)) for column in zip(*cells, strict=True)) - 2
