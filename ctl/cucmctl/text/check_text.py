"""PURE. Shows the results of a check as a table.

A cell is empty if its step was not reached. The table does not say why a step failed: the remarks
below the table do, as for any job.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Unpack

from cucmctl.cli.printer import Layout, visible
from cucmctl.text import render
from cucmctl.text.kind_text import KindText
from cucmctl.text.remarks import join_names
from cucmctl.text.table import table as text_table
from cucmd.job.check import Checked
from cucmd.protocol.jobs import Job

STEPS = ("NODE", "PORT", "KEY", "LOGIN", "PROMPT", "CLOCK", "LOGS FREE", "RECEIVER")
MACHINE = ("PRODUCT", "VERSION")
_RIGHT = "CLOCK"


class CheckText(KindText):
    """The text of checks."""

    def describe(self, job: Job) -> Iterator[str]:
        yield "checks whether a collection can be expected to work"

    def findings(self, job: Job, **layout: Unpack[Layout]) -> Iterable[str]:
        return table(job, **layout) if any(node.checked is not None for node in job.nodes) else ()

    def result(self, job: Job, files: str) -> str:
        return f"{render.count_of(sum(bool(node.checked) for node in job.nodes), 'node')} checked"


TEXT = CheckText()


def asks_receiver(job: Job) -> bool:
    """Returns whether the check of any node included the transfer of a file."""
    return any(node.checked and node.checked.receiver != "not_asked" for node in job.nodes)


def table(job: Job, **layout: Unpack[Layout]) -> Iterator[str]:
    """Yields a line for each node.

    If the table would be wider than `columns`, product and version stand below it instead, once for
    all nodes that have the same.
    """
    steps = STEPS if asks_receiver(job) else STEPS[:-1]
    seen = [node.checked or Checked() for node in job.nodes]
    rows = [
        (node.short_name, *_steps(checked))[: len(steps)]
        for node, checked in zip(job.nodes, seen, strict=True)
    ]
    machines = [(checked.product or "", checked.version or "") for checked in seen]
    whole = [(*row, *machine) for row, machine in zip(rows, machines, strict=True)]
    headings = (*steps, *MACHINE)
    columns = layout.get("columns")
    if columns is None or _width(headings, whole) <= columns:
        yield from text_table(headings, whole, right=_RIGHT, **layout)
        return
    yield from text_table(steps, rows, right=_RIGHT, **layout)
    nodes_of: dict[str, list[str]] = {}  # product and version -> the nodes
    for node, machine in zip(job.nodes, machines, strict=True):
        if text := " ".join(filter(None, machine)):
            nodes_of.setdefault(visible(text), []).append(visible(node.short_name))
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
