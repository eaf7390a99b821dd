"""PURE. Makes the time window of a collection, as `file get` takes it.

A window is never narrower than what was asked for. The node counts in its own time zone and in
whole minutes: a start is rounded down, an end up, and what is unknown widens it.

A node chooses files by their last change (vos/NODES.md, section 5.1). A file that was being written
at the end of the window has changed since, so the end that goes to the node is later: by as long as
one file of that path is written to (`written_for`), and never beyond the present. Some files that
are newer than the window come too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal, TypeAlias

import msgspec

from cucmd.job.collect import Collect
from cucmd.job.duration import (
    LENGTHS,
    USUAL_WRITTEN_FOR,
    parse_last,
    parse_written_for,
    parts_of,
)
from cucmd.vos.arguments import InvalidArgument

Unit: TypeAlias = Literal["minutes", "hours", "days", "weeks", "months"]

_MINUTE = timedelta(minutes=1)
# The units of the node, the smallest first.
_UNITS: dict[str, Unit] = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks", "mo": "months"}

# The start of a window with `until` alone: before the first appliance, in two-digit years.
_BEGINNING = datetime(2001, 1, 1, tzinfo=UTC)
# The latest end of a window is so much later than now: the time of a log that is being written is
# that at which the node looks at it, which may be minutes after the command.
_OPEN_END = timedelta(hours=1)
# `last` counts from the moment at which the job was requested. A node that is reached within this
# time gets the unit of the request. A later one gets a finer unit, so that the window grows by
# little more than the wait.
_AT_ONCE = timedelta(minutes=1)
# A job that is tried again on the next day asks for the hours that it asked for at first.
_LAST_COUNTS_FOR = timedelta(hours=1)
_FINER = {"m": "m", "h": "m", "d": "h", "w": "h", "mo": "h"}
# Local clocks are between 12 hours behind UTC and 14 ahead of it.
_FARTHEST_BEHIND, _FARTHEST_AHEAD = timedelta(hours=12), timedelta(hours=14)
# Without the zone, absolute hours are widened by this. Before so much time has passed, the window
# that counts back from now is the smaller one.
_LAST_COUNTS_WITHOUT_ZONE = _FARTHEST_BEHIND + _FARTHEST_AHEAD


class RelTime(msgspec.Struct, frozen=True):
    """Covers the last `n` units before now, by the node's clock."""

    unit: Unit
    n: int

    def __str__(self) -> str:
        return f"reltime {self.unit} {self.n}"


class AbsTime(msgspec.Struct, frozen=True):
    """Goes from `start` to `end`, whole minutes as the node's own clock shows them."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"abstime {self.start:%H:%M:%m/%d/%y} {self.end:%H:%M:%m/%d/%y}"


Window: TypeAlias = RelTime | AbsTime | None


def needs_time_zone(collection: Collect, waited: timedelta = timedelta()) -> bool:
    """Says whether `make_window` uses the node's time zone. `waited`: since the job's request."""
    return _is_absolute(collection, waited, _LAST_COUNTS_FOR)


def _is_absolute(collection: Collect, waited: timedelta, last_counts_for: timedelta) -> bool:
    """A `last` is counted back from now, unless the request was long ago: then the same hours are
    meant as then.
    """
    if collection.last is not None and waited <= last_counts_for:
        return False
    return collection.since is not None or collection.until is not None


def make_window(
    collection: Collect,
    now: datetime,
    node_zone: tzinfo | None,
    ahead: timedelta = timedelta(),
    asked_at: datetime | None = None,
    *,
    written_for: str = USUAL_WRITTEN_FOR,
) -> Window:
    """Returns the window of `collection`, or None for every file. Raises InvalidArgument.

    now        aware
    node_zone  the node's time zone; None: not known, or not asked for. An absolute window is then
               widened to fit every zone, and a `last` is counted back for more than a day.
    ahead      how far the node's clock is ahead of ours. Its files have times of that clock, but
               may have right times from before it was set: the window includes both.
    asked_at   when the job was requested: a node that had to wait must not lose the beginning of
               "the last two hours"
    written_for  for how long one file of the path is written to: "1h", "always"
    """
    waited = now - (asked_at or now)
    counts_for = _LAST_COUNTS_WITHOUT_ZONE if node_zone is None else _LAST_COUNTS_FOR
    if not _is_absolute(collection, waited, counts_for):
        return None if collection.last is None else _relative(collection.last, waited)
    start = max(_aware("since", collection.since) or _BEGINNING, _BEGINNING)
    latest = now + _OPEN_END
    asked = min(_aware("until", collection.until) or latest, latest)
    if start > asked:
        ending = f"is later than the end of the window, {asked.isoformat()}"
        raise InvalidArgument("since", start.isoformat(), ending)
    try:
        length = parse_written_for(written_for)
    except ValueError as error:
        raise InvalidArgument("written_for", written_for, str(error)) from None
    # A file that was being written at `asked` was changed last at `end` or earlier.
    end = latest if length is None else min(asked + length, latest)
    return _absolute(min(start, start + ahead), max(end, end + ahead), node_zone)


def _relative(text: str, waited: timedelta) -> RelTime:
    """Returns the window of `last` in `text`'s smallest unit; seconds are rounded up to minutes."""
    try:
        total = parse_last(text)
    except ValueError as error:
        raise InvalidArgument("last", text, str(error)) from None
    named = {unit for _, unit in parts_of(text)}
    smallest = min(("m" if unit == "s" else unit for unit in named), key=list(_UNITS).index)
    if waited > _AT_ONCE:
        total, smallest = total + waited, _FINER[smallest]
    return RelTime(_UNITS[smallest], -(-total // LENGTHS[smallest]))


def _aware(field: str, moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise InvalidArgument(field, moment.isoformat(), "has no time zone")
    return moment


def _absolute(start: datetime, end: datetime, zone: tzinfo | None) -> AbsTime:
    """Returns the same window by the node's own clock.

    In the hour that a clock shows twice, the node cannot be told which of the two is meant: the
    window begins before the first and ends after the second. Its end is rounded up to a minute
    before it is converted to local time: after that it could be a time that the clock leaves out.
    """
    end = _whole_minute(end.astimezone(UTC))
    if zone is None:
        first = start.astimezone(UTC) - _FARTHEST_BEHIND
        last = end + _FARTHEST_AHEAD
    else:
        first, last = start.astimezone(zone), end.astimezone(zone)
        first -= _shown_twice(first)
        last += _shown_twice(last)
    first = first.replace(second=0, microsecond=0, tzinfo=None)
    return AbsTime(first, _whole_minute(last).replace(tzinfo=None))


def _whole_minute(moment: datetime) -> datetime:
    """Rounds `moment` up to a whole minute, unless it is one."""
    whole = moment.replace(second=0, microsecond=0)
    return whole if whole == moment else whole + _MINUTE


def _shown_twice(local: datetime) -> timedelta:
    """Returns by how much the clock is set back, if it shows `local` twice; else zero."""
    first, second = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    if first is None or second is None or first <= second:
        return timedelta()
    return first - second
