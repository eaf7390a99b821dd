"""PURE. Writes in one line which part of the window a node's traces cover, by the node's clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo

from cucmd.job.coverage import Gap, format_missing
from cucmd.job.duration import longest_written_for
from cucmd.reading.trace_files import Trace
from cucmd.reading.window_coverage import (
    MOST_NAMED,
    Clock,
    RequestedWindow,
    TraceCoverage,
    compare_traces,
    first_and_last,
    first_names,
    longest_holes,
    printable_name,
    unknown_parts,
)


def describe(
    traces: Sequence[Trace],
    window: RequestedWindow,
    clock: Clock,
    unread: int = 0,
    gaps: Sequence[Gap] = (),
) -> str:
    """Returns a line such as "covers 13:00 to 15:00 (Europe/Berlin)"; "" if there are no traces.

    unread: how many more files there are that could not be read.
    """
    coverages = compare_traces(traces, window, clock)
    parts = [_describe_traces(coverages, window, clock)] if coverages else []
    parts += unknown_parts(traces, unread)
    if parts and not coverages:
        parts[0] = f"coverage unknown: {parts[0]}"
    if missing_paths := [gap.path for gap in gaps if gap.missing == "all"]:
        parts.append(f"nothing came of {first_names(missing_paths)}")
    if options := [gap.written_for for gap in gaps if gap.written_for is not None]:
        option = f"start --written-for {longest_written_for(options)}"
        parts.append(f"files that are written to for longer come with {option}")
    return "; ".join(parts)


def _describe_traces(
    coverages: Sequence[TraceCoverage], window: RequestedWindow, clock: Clock
) -> str:
    """Returns a text about the covered part, and about the first few incomplete traces."""
    if window.since is None and window.until is None:
        first, last = first_and_last(coverages)
        times = _TimeFormat([first.local, last.local], clock)
        return f"from {times.show(first.local)} to {times.show(last.local)}{times.zone}"
    incomplete = [trace for trace in coverages if not trace.covers]
    if all(trace.is_unclear for trace in coverages):
        first, last = first_and_last(coverages)
        times = _TimeFormat([first.local, last.local], clock)
        seen = f"from {times.show(first.local)} to {times.show(last.local)}{times.zone}"
        return f"coverage unknown: {_why_unclear(clock)}; time stamps {seen}"
    # The ends of the window by the node's clock, or the first or last stamp if an end is open.
    bounds: tuple[datetime, ...] = ()
    if clock.zone is not None:
        first, last = first_and_last(coverages)
        since = _local(window.since, clock.zone) if window.since else first.local
        until = _local(window.until, clock.zone) if window.until else last.local
        bounds = since, until
    shown_traces = incomplete[:MOST_NAMED]
    moments = [trace.first.local for trace in shown_traces if trace.missing_before]
    moments += [trace.last.local for trace in shown_traces if trace.missing_after]
    for hole in (hole for trace in shown_traces for hole in longest_holes(trace)):
        moments += [hole.begin.local, hole.end.local]
    times = _TimeFormat([*bounds, *moments], clock)
    texts = []
    for trace in shown_traces:
        text = ", ".join(_missing_parts(trace, times)) or "is unclear"
        texts.append(text if len(coverages) == 1 else f"{printable_name(trace.name)} {text}")
    if len(incomplete) > len(shown_traces):
        texts.append(f"and {len(incomplete) - len(shown_traces)} more")
    if len(incomplete) == len(coverages):
        return "; ".join(texts) + times.zone
    if not bounds:
        covered = "the window, whatever the node's time zone is"
    elif window.until is None:
        covered = f"{times.show(since)} on, the last time stamp is of {times.show(until)}"
        covered += times.zone
    elif window.since is None:
        covered = f"up to {times.show(until)}, the first time stamp is of {times.show(since)}"
        covered += times.zone
    else:
        covered = f"{times.show(since)} to {times.show(until)}{times.zone}"
    return f"covers {covered}, but {'; '.join(texts)}" if texts else f"covers {covered}"


def _why_unclear(clock: Clock) -> str:
    if clock.zone is None:
        return "the node's time zone is not known"
    if not clock.ahead:
        return "a time stamp can be of two moments, or of none, or a file could not be read"
    off = format_missing(abs(clock.ahead).total_seconds())
    where = "ahead of" if clock.ahead > timedelta() else "behind"
    return f"the node's clock is {off} {where} ours now, and may have been right before"


def _missing_parts(trace: TraceCoverage, times: _TimeFormat) -> Iterator[str]:
    if trace.missing_before:
        yield f"begins {times.show(trace.first.local)}{times.missing(trace.missing_before)}"
    longest = longest_holes(trace)
    for hole in longest:
        when = f"from {times.show(hole.begin.local)} to {times.show(hole.end.local)}"
        yield f"has nothing {when}{times.missing(hole.seconds)}"
    if more := len(trace.holes) - len(longest):
        yield f"has {more} shorter gaps"
    if trace.missing_after:
        yield f"ends {times.show(trace.last.local)}{times.missing(trace.missing_after)}"


class _TimeFormat:
    """Writes the times of one text, without dates if all times are of one day."""

    def __init__(self, moments: Sequence[datetime], clock: Clock) -> None:
        one_day = len({moment.date() for moment in moments}) == 1
        self._format = "%H:%M" if one_day else "%Y-%m-%d %H:%M"
        self._exact = clock.zone is not None
        self.zone = f" ({clock.zone})" if clock.zone is not None else " by the node's clock"

    def show(self, moment: datetime) -> str:
        return moment.strftime(self._format)

    def missing(self, seconds: int) -> str:
        """Returns ", 5 min missing"; "" if the zone is not known, since it may be hours more."""
        return f", {format_missing(seconds)} missing" if self._exact else ""


def _local(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
