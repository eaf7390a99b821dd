"""A list of jobs as a table.

The one rule: each job is one line. With a width, the last columns are cut to it, or left out: what
a job collects first, then its target. A mark stands where something is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from cucmctl import render
from cucmctl.names import mark
from cucmctl.printer import visible
from cucmctl.table import table
from cucmd.api.structs import JobSummary

# A moment that is older has its year, and not its time of day.
_RECENT = timedelta(days=180)
# A column that can be cut is left out where it would be shorter.
_LEAST = 8


def jobs(
    summaries: Iterable[JobSummary],
    now: datetime,
    *,
    colour: bool = False,
    columns: int | None = None,
    ascii_only: bool = False,
) -> Iterator[str]:
    headings = ["JOB", "STATUS", "CREATED", "NODES", "SIZE", "TIME", "OWNER", "TARGET", "COLLECTS"]
    found = list(summaries)
    rows = [_row(job, now) for job in found]
    if columns is not None:
        rest = [_short_target(job) for job in found]
        headings, rows = _fitting(headings, rows, rest, columns, mark(ascii_only=ascii_only))
    return table(headings, rows, right="NODES SIZE TIME", colour=colour)


def _row(job: JobSummary, now: datetime) -> list[str]:
    """The cells of a job. A daemon of before tells neither owner nor target."""
    done = job.nodes_done - job.nodes_failed if job.nodes_succeeded is None else job.nodes_succeeded
    return [
        job.job_id,
        job.status,
        _moment(job.created_at, now),
        f"{done}/{job.nodes_total}",
        render.size(job.bytes_received),
        render.took(job.started_at, job.completed_at, now),
        "" if job.owner is None else render.user(job.owner),
        render.target(job.targets, job.first_node, job.nodes_total),
        _does(job),
    ]


def _does(job: JobSummary) -> str:
    """What it collects; of other work, which it is. A daemon of before tells nothing."""
    if job.kind not in (None, "collect"):
        return f"({job.kind})"
    return render.collected(job.collection) if job.collection is not None else ""


def _moment(at: datetime, now: datetime) -> str:
    form = "%m-%d %H:%M" if now - at < _RECENT else "%Y-%m-%d"
    return at.astimezone().strftime(form)


def _short_target(job: JobSummary) -> tuple[str, str]:
    """A target in short: its first name, and how many more nodes there are, `+8`."""
    if job.targets and len(job.targets) == 1:
        return job.targets[0], ""
    return job.first_node or "", f" +{job.nodes_total - 1}" if job.nodes_total > 1 else ""


def _fitting(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    short: Sequence[tuple[str, str]],
    columns: int,
    mark: str,
) -> tuple[list[str], list[list[str]]]:
    """The last two columns cut, or left out, so that a line fits. `short`: as `_short_target`."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *shown, strict=True)]
    left = columns - sum(widths[:-2]) - 2 * (len(widths) - 3)
    target_width = min(widths[-2], left - 2)
    rest = left - 2 - target_width - 2
    if target_width < _LEAST:
        count = len(headings) - 2
        return [*headings[:count]], [row[:count] for row in shown]
    for row, (name, more) in zip(shown, short, strict=True):
        if len(row[-2]) > target_width:
            row[-2] = _cut(visible(name), target_width - len(more), mark) + more
        row[-1] = _cut(row[-1], rest, mark)
    count = len(headings) if rest >= _LEAST else len(headings) - 1
    return [*headings[:count]], [row[:count] for row in shown]


def _cut(text: str, width: int, mark: str) -> str:
    return text if len(text) <= width else text[: max(0, width - len(mark))] + mark
