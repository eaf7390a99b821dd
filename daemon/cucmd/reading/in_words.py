"""PURE. Says what the traces of a node cover of the window, in one line and by its clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from cucmd.job.coverage import Gap, format_missing
from cucmd.job.duration import longest_written_for
from cucmd.reading.covered import (
    MOST_NAMED,
    Clock,
    Judged,
    Span,
    Trace,
    begin_after,
    few,
    judge,
    not_known,
    reach,
    shown_name,
)


def describe(
    traces: Sequence[Trace],
    window: Span,
    clock: Clock,
    unread: int = 0,
    gaps: Sequence[Gap] = (),
) -> str:
    """Writes a node's line: "covers 13:00 to 15:00 (Europe/Berlin)". Empty without files and gaps.

    unread  how many files there are besides, which could not be read
    """
    known = judge(traces, window, clock)
    parts = [_of_known(known, window, clock)] if known else []
    parts += not_known(traces, unread)
    if parts and not known:
        parts[0] = f"coverage unknown: {parts[0]}"
    # Files that begin after the window have changed by as much as was asked for.
    newer = [stamp.local for stamp in begin_after(traces, window, clock)]
    if newer and (until := window.until) is not None:
        bounds = [] if clock.zone is None else [_local(until, clock.zone)]
        shown = _Times([max(newer), *bounds], clock)
        parts.append(f"newer files came too, up to {shown.of(max(newer))}")
    if nothing := [gap.path for gap in gaps if gap.missing == "all"]:
        parts.append(f"nothing came of {few(nothing)}")
    if options := [gap.written_for for gap in gaps if gap.written_for is not None]:
        option = f"start --written-for {longest_written_for(options)}"
        parts.append(f"files that are written to for longer come with {option}")
    return "; ".join(parts)


def _of_known(known: Sequence[Judged], window: Span, clock: Clock) -> str:
    if window.since is None and window.until is None:
        first, last = reach(known)
        shown = _Times([first.local, last.local], clock)
        return f"from {shown.of(first.local)} to {shown.of(last.local)}{shown.zone}"
    others = [one for one in known if not one.covers]
    if all(one.unclear for one in known):
        first, last = reach(known)
        shown = _Times([first.local, last.local], clock)
        why = (
            "the node's time zone is not known"
            if clock.zone is None
            else "a time stamp can be of two moments, or of none, or a file could not be read"
        )
        seen = f"from {shown.of(first.local)} to {shown.of(last.local)}{shown.zone}"
        return f"coverage unknown: {why}; time stamps {seen}"
    # The window's ends by the node's clock; where it has none, how far the stamps reach.
    bounds: tuple[datetime, ...] = ()
    if clock.zone is not None:
        first, last = reach(known)
        since = _local(window.since, clock.zone) if window.since else first.local
        until = _local(window.until, clock.zone) if window.until else last.local
        bounds = since, until
    named = others[:MOST_NAMED]
    moments = [one.first.local for one in named if one.begins]
    moments += [one.last.local for one in named if one.ends]
    shown = _Times([*bounds, *moments], clock)
    said = [_of_one(one, shown, alone=len(known) == 1) for one in named]
    if len(others) > len(named):
        said.append(f"and {len(others) - len(named)} more")
    if len(others) == len(known):
        return "; ".join(said) + shown.zone
    if not bounds:
        covered = "the window, whatever the node's time zone is"
    elif window.until is None:
        covered = f"{shown.of(since)} on, the last time stamp is of {shown.of(until)}{shown.zone}"
    elif window.since is None:
        covered = f"up to {shown.of(until)}, the first time stamp is of {shown.of(since)}"
        covered += shown.zone
    else:
        covered = f"{shown.of(since)} to {shown.of(until)}{shown.zone}"
    return f"covers {covered}, but {'; '.join(said)}" if said else f"covers {covered}"


def _of_one(one: Judged, shown: _Times, *, alone: bool) -> str:
    words = []
    if one.begins:
        words.append(f"begins {shown.of(one.first.local)}{shown.missing(one.begins)}")
    if one.ends:
        words.append(f"ends {shown.of(one.last.local)}{shown.missing(one.ends)}")
    said = ", ".join(words) or "is unclear"
    return said if alone else f"{shown_name(one.name)} {said}"


class _Times:
    """Writes the moments of one text: with their dates, unless all are of one day."""

    def __init__(self, moments: Sequence[datetime], clock: Clock) -> None:
        one_day = len({moment.date() for moment in moments}) == 1
        self._form = "%H:%M" if one_day else "%Y-%m-%d %H:%M"
        self._exact = clock.zone is not None
        self.zone = f" ({clock.zone})" if clock.zone is not None else " by the node's clock"

    def of(self, moment: datetime) -> str:
        return moment.strftime(self._form)

    def missing(self, seconds: int) -> str:
        """Says how much is missing; nothing where the zone is not known: it may be hours more."""
        return f", {format_missing(seconds)} missing" if self._exact else ""


def _local(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
