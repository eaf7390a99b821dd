"""Makes a table of jobs, one line for each job.

With a width, the table is the first of these in which the column WHAT is readable:

    all columns; the last two, TARGET and WHAT, are cut to the width, with a mark where they are
    cut; WHAT is cut between words unless its first word is too long
    the same without OWNER if all jobs have the same owner, else without TIME
    the same without both
    the same without LABELS too (no table has LABELS unless a job has labels)

If WHAT is readable in none of them, it is left out; so is TARGET if it would be too short. If no
table fits even so, it is the narrowest one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from cucmctl.cli.printer import visible
from cucmctl.text import render
from cucmctl.text.kind_text import text_of
from cucmctl.text.table import cut, cut_mark, table, width_of
from cucmd.protocol.jobs import JobSummary

# Older jobs are shown with the year instead of the time of day.
_RECENT = timedelta(days=180)
# Cells. A column that would have to be cut further is left out.
_LEAST = 8
_END_OF_WORD = r"(?<=[ /])|(?=[ ,;])"
# Cells, about as many as the name of a profile. If WHAT would have fewer, other columns are
# left out.
_LEAST_WHAT = 12


def jobs(
    summaries: Iterable[JobSummary],
    now: datetime,
    *,
    colour: bool = False,
    columns: int | None = None,
    ascii_only: bool = False,
) -> Iterator[str]:
    """Yields a table of jobs, fitted into `columns` if that is not None."""
    headings = ["JOB", "STATUS", "KIND", "CREATED", "NODES", "SIZE", "TIME", "LABELS"]
    headings += ["OWNER", "TARGET", "WHAT"]
    found = list(summaries)
    rows = [_row(job, now) for job in found]
    if not any(job.labels for job in found):
        headings, rows = _without(("LABELS",), headings, rows)
    if columns is not None:
        rest = []  # for each job the first target, and the number of other nodes as `+8`
        for job in found:
            name, others = render.first_target(job)
            rest.append((name, f" +{others}" if others else ""))
        headings, rows = _fitting(headings, rows, rest, columns, cut_mark(ascii_only=ascii_only))
    yield from table(headings, rows, right="NODES SIZE TIME", colour=colour)


def _row(job: JobSummary, now: datetime) -> list[str]:
    return [
        job.job_id,
        job.status,
        job.kind,
        moment(job.created_at, now),
        f"{job.nodes_succeeded}/{job.nodes_total}",
        render.size(job.bytes_received),
        render.took(job.started_at, job.completed_at, now, job.ran_before),
        ", ".join(f"{key}={value}" for key, value in sorted((job.labels or {}).items())),
        "" if job.owner is None else render.user(job.owner),
        render.target(job),
        text_of(job).summarize(job),
    ]


def moment(at: datetime, now: datetime) -> str:
    """Returns a short time: recent times have no year, others no time of day."""
    form = "%m-%d %H:%M" if now - at < _RECENT else "%Y-%m-%d"
    return at.astimezone().strftime(form)


def _fitting(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    short: Sequence[tuple[str, str]],
    columns: int,
    mark: str,
) -> tuple[list[str], list[list[str]]]:
    """Fits headings and rows into `columns`.

    short  for each row the first name of its target, and the number of other nodes
    """
    owners = {row[headings.index("OWNER")] for row in rows}
    less = ["OWNER", "TIME"] if len(owners) == 1 else ["TIME", "OWNER"]
    less.append("LABELS")
    in_turn = [less[:count] for count in range(len(less) + 1)]
    tables = [
        _last_cut(*_without(left_out, headings, rows), short, columns, mark) for left_out in in_turn
    ]
    enough = min(_LEAST_WHAT, max((width_of(visible(row[-1])) for row in rows), default=0))
    with_what = [made for made in tables if made[2] >= enough]
    with_target = [made for made in tables if "TARGET" in made[0]]
    fit = [made for made in tables if max(map(width_of, table(*made[:2], right=""))) <= columns]
    headings, rows, _ = (with_what or with_target or fit or tables[-1:])[0]
    return headings, rows


def _without(
    names: Sequence[str], headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    kept = [at for at, heading in enumerate(headings) if heading not in names]
    return [headings[at] for at in kept], [[visible(row[at]) for at in kept] for row in rows]


def _last_cut(
    headings: list[str],
    rows: list[list[str]],
    short: Sequence[tuple[str, str]],
    columns: int,
    mark: str,
) -> tuple[list[str], list[list[str]], int]:
    """Cuts or removes the last two columns, so that lines fit. Also returns the width of WHAT."""
    widths = [max(map(width_of, column)) for column in zip(headings, *rows, strict=True)]
    left = columns - sum(widths[:-2]) - 2 * (len(widths) - 3)
    target_width = min(widths[-2], left - 2)
    if left - 4 - target_width < _LEAST_WHAT:  # short targets make room for WHAT
        shortest = max((width_of(visible(name)) + len(more) for name, more in short), default=0)
        target_width = min(target_width, max(shortest, left - 4 - _LEAST_WHAT))
    rest = left - 2 - target_width - 2
    if target_width < min(_LEAST, widths[-2]):
        count = len(headings) - 2
        return headings[:count], [row[:count] for row in rows], 0
    for row, (name, more) in zip(rows, short, strict=True):
        if width_of(row[-2]) > target_width:
            row[-2] = cut(visible(name), target_width - len(more), mark) + more
        row[-1] = _cut_between_words(row[-1], rest, mark)
    if rest >= min(_LEAST, widths[-1]):
        return headings, rows, rest
    return headings[:-1], [row[:-1] for row in rows], 0


def _cut_between_words(text: str, width: int, mark: str) -> str:
    """Cuts to `show status; …`. In a path, a name counts as a word: `cm/trace/…`."""
    if width_of(text) <= width:
        return text
    ends = re.finditer(_END_OF_WORD, text[: max(0, width)])  # later ones do not fit
    heads = [text[: found.start()] for found in ends]
    fit = [head for head in heads if head and width_of(head) <= width - len(mark)]
    return fit[-1] + mark if fit else cut(text, width, mark)
