"""PURE. Says which files the coverage of a job shows to be missing for the searched time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cucmd.job.collect import Collect
from cucmd.job.coverage import LogCoverage
from cucmd.job.job import Job
from cucmd.job.node import Node, Succeeded
from cucmd.protocol.cases import MissingLog

# As for a coverage: nodes are asked for whole minutes.
_MINUTE = timedelta(minutes=1)
_NOT_COLLECTED = "the job has not collected this time"
_NUMBERS = re.compile(r"[._-]?\d+(?:[._-]\d+)*")  # as in the names of logs


def missing_logs(
    job: Job,
    nodes: Sequence[Node],
    since: datetime | None,
    until: datetime | None,
    path: str | None,
) -> Iterator[MissingLog]:
    """Yields what is missing.

    since, until, path: what was searched, as in `protocol.cases.Search`.
    """
    work = job.work
    for node in nodes:
        if not isinstance(node.state, Succeeded):
            failure = job.failure_of(node)
            reason = f"it is {node.status}" if failure is None else failure.message
            yield MissingLog(node.node, reason=reason)
        if not isinstance(work, Collect) or not node.settled:
            continue
        for begin, end in _not_collected(work, since, until):
            yield MissingLog(node.node, None, begin, end, reason=_NOT_COLLECTED)
        begins = [time for time in (since, work.since) if time is not None]
        ends = [time for time in (until, work.until) if time is not None]
        yield from _missing_of_node(node, max(begins, default=None), min(ends, default=None), path)


def _not_collected(
    work: Collect, since: datetime | None, until: datetime | None
) -> Iterator[tuple[datetime, datetime]]:
    """Yields the parts of the time that was searched before and after the job's window."""
    if since is not None and work.since is not None and since < work.since - _MINUTE:
        yield since, min(work.since, until or work.since)
    if until is not None and work.until is not None and until > work.until + _MINUTE:
        yield max(work.until, since or work.until), until


def _missing_of_node(
    node: Node, begin: datetime | None, end: datetime | None, path: str | None
) -> Iterator[MissingLog]:
    if begin is not None and end is not None and begin >= end:
        return
    is_known = node.coverage is not None and (node.gaps or node.logs)
    if isinstance(node.state, Succeeded) and not is_known:
        reason = node.coverage or "what its files cover is not known yet"
        yield MissingLog(node.node, unclear=True, reason=reason)
    for gap in node.gaps:
        if gap.missing == "all" and (path is None or path in gap.path or gap.path in path):
            yield MissingLog(node.node, gap.path, begin, end)
    for log in node.logs:
        if path is None or _NUMBERS.sub("*", path) in log.log:
            yield from _missing_of(node.node, log, begin, end)


def _missing_of(
    node: str, log: LogCoverage, begin: datetime | None, end: datetime | None
) -> Iterator[MissingLog]:
    covered_to = begin
    parts = []
    for span in log.spans:
        if covered_to is not None and span.begin > covered_to:
            parts.append((covered_to, span.begin if end is None else min(span.begin, end)))
        covered_to = span.end if covered_to is None else max(covered_to, span.end)
    if end is not None and (covered_to is None or covered_to < end):
        parts.append((covered_to or end, end))
    missing = [part for part in parts if part[1] - part[0] > _MINUTE]
    if log.unclear and (missing or not log.spans):
        yield MissingLog(node, log.log, unclear=True)
    elif not log.unclear:
        yield from (MissingLog(node, log.log, *part) for part in missing)
