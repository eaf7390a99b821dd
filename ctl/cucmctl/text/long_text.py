"""Shows for each node when its phases began, and what each of its logs covers: `status --long`."""

from __future__ import annotations

from collections.abc import Iterator

from cucmctl.cli.printer import visible
from cucmctl.text import render
from cucmctl.text.table import wrapped
from cucmctl.text.window import periods
from cucmd.job.coverage import LogCoverage
from cucmd.protocol.jobs import Job, Node


def details(job: Job, *, columns: int | None = None) -> Iterator[str]:
    """Yields the details of each node that has any, below a line with its name."""
    for node in job.nodes:
        lines = [*_phases(node), *(_log(log) for log in node.logs or ())]
        if lines:
            yield from ("", visible(node.full_name))
        for line in lines:
            yield from wrapped(f"  {visible(line)}", columns)


def _phases(node: Node) -> Iterator[str]:
    for attempt in node.earlier or ():
        begun = "" if attempt.started_at is None else f"{render.local(attempt.started_at)} to "
        yield f"attempt {attempt.attempt}: {begun}{render.local(attempt.completed_at)}"
    phases = [(one.phase, one.began_at) for one in node.phases or ()]
    if phases and node.completed_at is not None:
        phases.append((node.status, node.completed_at))
    if phases:
        times = (f"{name} {began.astimezone():%H:%M:%S}" for name, began in phases)
        yield f"phases: {', '.join(times)}"


def _log(log: LogCoverage) -> str:
    covered = periods((span.begin, span.end) for span in log.spans)
    if log.unclear:
        return f"{log.log}: {covered}; the rest is unclear" if covered else f"{log.log}: unclear"
    return f"{log.log}: {covered or 'nothing of the window'}"
