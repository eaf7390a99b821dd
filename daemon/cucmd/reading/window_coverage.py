"""PURE. Says which part of the requested window the traces of a node cover.

A time can mean two moments, if the clock was set back or its zone is not known. Such a time counts
as both, and a result that holds for only one of them is unknown.

    first stamp     at or before the start of the window    the trace covers the start
                    after the start                         the trace begins late
    last stamp      at or after the end of the window       the trace covers the end
                    before the end                          the trace ends early
    either          can be both                             unknown

A trace may begin late because the node has nothing older, or because its service was started then.
If a trace ends early, or if nothing came of a path, the files may have been written to for longer
than the request allowed, so a gap has the `written_for` with which a request would get them.

A gap in the middle of a trace is more than a minute between the end of a file and the beginning of
the next. It is no gap if the numbers or dates in the two names follow each other, as those of
SDL001_100_000123.txt and SDL001_100_000124.txt do: then the node has no file in between, and has
written nothing. So most files need not be read to their end. Files of which the names differ in
more than the last number, such as those of two processes, are compared by their times only.

The text (coverage_text.py) has times by the node's clock. A `Gap` has a moment, if it is certain,
so that clients can show it in another time zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase
from itertools import pairwise

import msgspec

from cucmd.job.coverage import (
    MOST_LOGS,
    MOST_MIDDLE,
    MOST_SPANS,
    MOST_SPANS_OF_NODE,
    Gap,
    LogCoverage,
    Span,
)
from cucmd.reading.stamps import Stamp
from cucmd.reading.trace_files import Trace, TraceFile, follow_each_other, local_time

# Nodes are asked for whole minutes.
_MINUTE = timedelta(minutes=1)
# Local clocks are at most 12 hours behind UTC and 14 hours ahead of it.
_FARTHEST_BEHIND, _FARTHEST_AHEAD = timedelta(hours=12), timedelta(hours=14)
# Whether the offset in a header includes summer time is not known (vos/NODES.md, section 7.1).
_SUMMER_TIME = timedelta(hours=1)
_SUMMER_OR_NOT = (timedelta(), timedelta(minutes=30), _SUMMER_TIME)
# The most traces that are named in one text.
MOST_NAMED = 3
_LONGEST_NAME = 80


class RequestedWindow(msgspec.Struct, frozen=True):
    """Holds the ends of the requested window, or None for an end that was not requested."""

    since: datetime | None = None
    until: datetime | None = None


class Clock(msgspec.Struct, frozen=True):
    """Describes the node's clock. zone: None if not known. ahead: how far it is ahead of ours."""

    zone: tzinfo | None = None
    ahead: timedelta = timedelta()


class Paths:
    """Finds the paths of a collection to which a received file belongs."""

    def __init__(self, paths: Sequence[str], *, recurs: bool = False) -> None:
        self._count = len(paths)
        self._recurs = recurs
        # By folder: the position of a path, and its pattern for names.
        self._patterns: dict[str, list[tuple[int, str]]] = {}
        for position, path in enumerate(paths):
            spec = "/".join(part for part in path.split("/") if part)
            folder, _, name = spec.rpartition("/")
            self._patterns.setdefault(folder, []).append((position, name))
            if "*" not in name:  # the path may be a folder
                self._patterns.setdefault(spec, []).append((position, "*"))
        self._deepest = max((folder.count("/") + 1 for folder in self._patterns), default=0)

    def of(self, file: str) -> set[int]:
        """Returns the positions of the paths that a file belongs to.

        The set is empty if the node uses names that are not known (vos/NODES.md, 5.6).
        """
        if self._count == 1:
            return {0}
        folder, _, name = file.rpartition("/")
        folders = {folder}
        if self._recurs:  # limited, since a hostile name may have thousands of folders
            parts = folder.split("/", self._deepest)[: self._deepest]
            folders.update("/".join(parts[:depth]) for depth in range(len(parts) + 1))
        return {
            position
            for parent in folders
            for position, pattern in self._patterns.get(parent, ())
            if fnmatchcase(name, pattern)
        }


class PathFound(msgspec.Struct, frozen=True):
    """Holds the traces that came of one path.

    traces  None if no file came
    longer  the `written_for` with which later files come; None if there are no later files
    """

    path: str
    traces: Sequence[Trace] | None
    longer: str | None = None


def find_gaps(paths: Iterable[PathFound], window: RequestedWindow, clock: Clock) -> tuple[Gap, ...]:
    """Returns the parts that are certainly missing, in the order of the paths."""
    found: list[Gap] = []
    for path in paths:
        if path.traces is None:
            found.append(Gap(path.path, "all", path.longer))
            continue
        for trace in compare_traces(path.traces, window, clock):
            name = printable_name(trace.name) if len(path.traces) > 1 else None
            if trace.missing_before:
                at = _moment(trace.first, clock)
                found.append(Gap(path.path, "begin", None, trace.missing_before, at, name))
            if trace.missing_after:
                at = _moment(trace.last, clock)
                found.append(Gap(path.path, "end", path.longer, trace.missing_after, at, name))
            for hole in longest_holes(trace):
                at, until = _moment(hole.begin, clock), _moment(hole.end, clock)
                found.append(Gap(path.path, "middle", None, hole.seconds, at, name, until))
    return tuple(found)


def cover_logs(
    traces: Iterable[Trace], window: RequestedWindow, clock: Clock
) -> tuple[LogCoverage, ...]:
    """Returns which parts of the window each trace covers. If there are many, incomplete ones."""
    traces = list(traces)
    found = [
        LogCoverage(printable_name(one.name), one.spans, one.is_unclear or None)
        for one in sorted(compare_traces(traces, window, clock), key=lambda one: one.covers)
    ]
    unknown = (trace for trace in traces if trace.begin is None)
    found += [LogCoverage(printable_name(trace.name), (), True) for trace in unknown]
    found = sorted(found[:MOST_LOGS], key=lambda log: log.log)
    most = MOST_SPANS
    while sum(min(most, len(log.spans)) for log in found) > MOST_SPANS_OF_NODE:
        most -= 1
    return tuple(
        msgspec.structs.replace(log, spans=_without_short_gaps(log.spans, most)) for log in found
    )


def _without_short_gaps(spans: Sequence[Span], most: int) -> tuple[Span, ...]:
    """Returns at most so many spans, by joining those with the shortest gaps between them."""
    gaps = sorted(range(1, len(spans)), key=lambda at: spans[at - 1].end - spans[at].begin)
    ends = [0, *sorted(gaps[: most - 1]), len(spans)]
    return tuple(Span(spans[at].begin, spans[end - 1].end) for at, end in pairwise(ends) if end)


def longest_holes(trace: TraceCoverage) -> list[Hole]:
    """Returns the longest holes of a trace, in the order of time."""
    longest = sorted(trace.holes, key=lambda hole: -hole.seconds)[:MOST_MIDDLE]
    return sorted(longest, key=lambda hole: hole.begin.local)


class TraceCoverage(msgspec.Struct, frozen=True):
    """Says how much of the window a trace lacks.

    missing_before, missing_after: seconds of the window before and after the trace that are
    certainly missing. is_unclear: it is unknown whether the trace covers the window. spans: the
    parts of the window that it certainly covers. holes: what is certainly missing between them.
    """

    name: str
    first: Stamp
    last: Stamp
    missing_before: int
    missing_after: int
    is_unclear: bool
    spans: tuple[Span, ...] = ()
    holes: tuple[Hole, ...] = ()

    @property
    def covers(self) -> bool:
        return not (self.missing_before or self.missing_after or self.holes or self.is_unclear)


class Hole(msgspec.Struct, frozen=True):
    """Describes a part of the window that is missing in the middle of a trace.

    begin, end  the stamps before and after the hole
    seconds     how much of the window is certainly missing
    """

    begin: Stamp
    end: Stamp
    seconds: int


def compare_traces(
    traces: Iterable[Trace], window: RequestedWindow, clock: Clock
) -> list[TraceCoverage]:
    """Compares each trace that has a known stamp with the window."""
    coverages = []
    for trace in traces:
        if trace.begin is None:
            continue
        first = _by_node_clock(trace.begin, clock)
        last = first if trace.end is None else _by_node_clock(trace.end, clock)
        missing_before = missing_after = 0
        is_unclear = False
        if window.since is not None:
            begins_late = _is_at_or_after(first, window.since + _MINUTE, clock)
            if begins_late:
                # The seconds of the window before the first stamp.
                earliest, _ = possible_moments(first, clock) or (window.since, window.since)
                end = earliest if window.until is None else min(earliest, window.until)
                missing_before = int((end - window.since).total_seconds())
            is_unclear = begins_late is None
        if window.until is not None:
            end_needed = window.until - _MINUTE
            reached = None if trace.end is None else _is_at_or_after(last, end_needed, clock)
            if reached is False:
                # The seconds of the window after the last stamp.
                _, latest = possible_moments(last, clock) or (window.until, window.until)
                begin = latest if window.since is None else max(latest, window.since)
                missing_after = int((window.until - begin).total_seconds())
            is_unclear = is_unclear or reached is None
        # The missing part may be in the files that could not be read.
        if (trace.unknown or trace.partial) and (missing_before or missing_after):
            missing_before, missing_after, is_unclear = 0, 0, True
        spans, holes, has_unclear_hole = _spans_and_holes(trace, window, clock)
        if trace.unknown or trace.partial:
            holes, has_unclear_hole = (), has_unclear_hole or bool(holes)
        is_unclear = is_unclear or has_unclear_hole
        missing = (missing_before, missing_after)
        found = TraceCoverage(trace.name, first, last, *missing, is_unclear, spans, holes)
        coverages.append(found)
    return coverages


def _spans_and_holes(
    trace: Trace, window: RequestedWindow, clock: Clock
) -> tuple[tuple[Span, ...], tuple[Hole, ...], bool]:
    """Returns the parts of the window that the trace covers, what is certainly missing between
    them, and whether more may be missing.
    """
    clock = Clock(clock.zone)  # an error of the clock moves all stamps, and makes no hole
    parts: list[tuple[Stamp, Stamp]] = []
    is_unclear = False
    for files in trace.series():
        before: TraceFile | None = None
        for file in files:
            begin = _by_node_clock(file.first.stamp, clock)
            end = begin if file.end is None else _by_node_clock(file.end, clock)
            if before is not None:
                follows = follow_each_other(before.name, file.name)
                is_unclear = is_unclear or (before.end is None and not follows)
                if before.end is None or follows:
                    begin, earlier_end = parts.pop()
                    end = max(earlier_end, end, key=local_time)
            parts.append((begin, end))
            before = file
    merged: list[tuple[Stamp, Stamp]] = []
    holes = []
    for begin, end in sorted(parts, key=lambda part: part[0].local):
        if merged:
            last = merged[-1][1]
            least, most = _seconds_between(last, begin, window, clock)
            if begin.local - last.local <= _MINUTE or most <= _MINUTE.total_seconds():
                merged[-1] = merged[-1][0], max(last, end, key=local_time)
                continue
            if least > _MINUTE.total_seconds():
                holes.append(Hole(last, begin, int(least)))
            else:
                is_unclear = True
        merged.append((begin, end))
    spans = (_span(begin, end, window, clock) for begin, end in merged)
    return tuple(span for span in spans if span is not None), tuple(holes), is_unclear


def _seconds_between(
    begin: Stamp, end: Stamp, window: RequestedWindow, clock: Clock
) -> tuple[float, float]:
    """Returns the least and the most seconds of the window that can be between two stamps."""
    first, last = possible_moments(begin, clock), possible_moments(end, clock)
    if first is None or last is None:
        return 0.0, float("inf")
    (earliest, latest), (earliest_end, latest_end) = first, last
    return _seconds(latest, earliest_end, window), _seconds(earliest, latest_end, window)


def _seconds(begin: datetime, end: datetime, window: RequestedWindow) -> float:
    span = _span_of(begin, end, window)
    return 0.0 if span is None else (span.end - span.begin).total_seconds()


def _span(begin: Stamp, end: Stamp, window: RequestedWindow, clock: Clock) -> Span | None:
    """Returns the part of the window that is certainly between two stamps."""
    first, last = possible_moments(begin, clock), possible_moments(end, clock)
    return None if first is None or last is None else _span_of(first[1], last[0], window)


def _span_of(begin: datetime, end: datetime, window: RequestedWindow) -> Span | None:
    """Returns the part of the window between two moments, or None if nothing of it is."""
    begin = begin if window.since is None else max(begin, window.since)
    end = end if window.until is None else min(end, window.until)
    return Span(begin, end) if begin <= end else None


def _by_node_clock(stamp: Stamp, clock: Clock) -> Stamp:
    """Returns the stamp in the node's zone. Some processes write times of another zone."""
    if stamp.moment is None or clock.zone is None:
        return stamp
    shown = stamp.moment.astimezone(clock.zone)
    return Stamp(shown.replace(tzinfo=None, fold=0), shown.utcoffset(), exact=True)


def _is_at_or_after(stamp: Stamp, moment: datetime, clock: Clock) -> bool | None:
    """Returns whether the stamp is at or after `moment`, or None if this is not certain."""
    possible = possible_moments(stamp, clock)
    if possible is None:
        return None
    earliest, latest = possible
    if earliest >= moment:
        return True
    return False if latest < moment else None


def possible_moments(stamp: Stamp, clock: Clock) -> tuple[datetime, datetime] | None:
    """Returns the earliest and the latest moment that a stamp can mean, in UTC.

    Returns None if the clock never shows that time. A clock that is wrong now may have been right
    when the stamp was written.
    """
    if stamp.moment is not None:
        earliest = latest = stamp.moment
    elif clock.zone is not None:
        found = _in_zone(stamp, clock.zone)
        if not found:
            return None
        earliest, latest = min(found), max(found)
    else:
        local = stamp.local.replace(tzinfo=UTC)
        if stamp.offset is not None:
            earliest = local - stamp.offset - _SUMMER_TIME
            latest = local - stamp.offset + _SUMMER_TIME
        else:
            earliest, latest = local - _FARTHEST_AHEAD, local + _FARTHEST_BEHIND
    return min(earliest, earliest - clock.ahead), max(latest, latest - clock.ahead)


def _moment(stamp: Stamp, clock: Clock) -> datetime | None:
    """Returns the moment that a stamp means by the node's clock, or None if it can be several."""
    if stamp.moment is not None:
        return stamp.moment
    found = set() if clock.zone is None else _in_zone(stamp, clock.zone)
    return found.pop() if len(found) == 1 else None


def _in_zone(stamp: Stamp, zone: tzinfo) -> set[datetime]:
    """Returns the moments at which a clock of that zone shows the time: none, one, or two.

    When the clock shows a time twice, the offset in the header does not tell which moment is meant:
    it is not known whether that offset includes summer time. If the offset is of another zone, such
    as the node's earlier zone, no moment is returned.
    """
    found = set()
    for fold in (0, 1):
        utc = stamp.local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        shown = utc.astimezone(zone)
        if shown.replace(tzinfo=None, fold=0) != stamp.local:
            continue
        if (
            stamp.offset is None
            or (shown.utcoffset() or timedelta()) - stamp.offset in _SUMMER_OR_NOT
        ):
            found.add(utc)
    return found


def unknown_parts(traces: Iterable[Trace], unread: int) -> list[str]:
    """Returns texts that say how many files tell nothing about the window."""
    texts = []
    if unknown := sum(trace.unknown for trace in traces):
        files = "1 file has" if unknown == 1 else f"{unknown} files have"
        texts.append(f"{files} no time stamps that are known")
    if unread:
        texts.append(f"{'1 file' if unread == 1 else f'{unread} files'} could not be read")
    return texts


def first_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if names[MOST_NAMED:] else ""
    return ", ".join(map(printable_name, names[:MOST_NAMED])) + more


def printable_name(name: str) -> str:
    """Returns a name from the node in printable characters and limited length."""
    name = name if len(name) <= _LONGEST_NAME else f"...{name[-_LONGEST_NAME:]}"
    return "".join(character if character.isprintable() else "?" for character in name)


def first_and_last(coverages: Sequence[TraceCoverage]) -> tuple[Stamp, Stamp]:
    """Returns the first and the last stamp by the node's clock."""
    first = min((trace.first for trace in coverages), key=lambda stamp: stamp.local)
    return first, max((trace.last for trace in coverages), key=lambda stamp: stamp.local)
