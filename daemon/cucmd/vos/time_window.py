"""PURE. Makes the time window of a collection, as `file get` takes it.

A window is never narrower than the request. The node counts in its own time zone and in whole
minutes. So a start is rounded down and an end up, and unknown values widen the window.

A node chooses files by their last change (vos/NODES.md, section 5.1). A file that was being written
at the end of the window has changed since. So the node gets a later end, by the time for which such
a file is written to (`written_for`), and sends some newer files too.
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
    split_duration,
)
from cucmd.vos.arguments import InvalidArgument

Unit: TypeAlias = Literal["minutes", "hours", "days", "weeks", "months"]

_MINUTE = timedelta(minutes=1)
# The node's units of time, the smallest first.
_UNITS: dict[str, Unit] = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks", "mo": "months"}

# The start of a window that has only an end. It is before the first appliance, and in the century
# of the two-digit years in the command.
_BEGINNING = datetime(2001, 1, 1, tzinfo=UTC)
# The end of an open window, counted from now. A log that is being written changes until the node
# looks at it, which may be minutes after the command.
_OPEN_END = timedelta(hours=1)
# `last` counts back from the request of the job. A node that is reached within this time gets the
# unit of the request. A node that is reached later gets a finer unit, so that rounding adds little.
_SHORT_WAIT = timedelta(minutes=1)
_FINER = {"m": "m", "h": "m", "d": "h", "w": "h", "mo": "h"}
# After this wait a `last` becomes an absolute window, so that a retry on the next day asks for the
# same hours as before.
_LAST_COUNTS_FOR = timedelta(hours=1)
# Local clocks are at most 12 hours behind UTC and 14 hours ahead of it.
_FARTHEST_BEHIND, _FARTHEST_AHEAD = timedelta(hours=12), timedelta(hours=14)
# The wait after which a `last` becomes an absolute window if the node's zone is unknown. An
# absolute window must then be 26 hours wider, to allow for all zones. A window that counts back
# from now grows by the wait, so it is the smaller one until 26 hours have passed.
_LAST_COUNTS_WITHOUT_ZONE = _FARTHEST_BEHIND + _FARTHEST_AHEAD


class RelTime(msgspec.Struct, frozen=True):
    """Covers the last `n` units of time, by the node's clock."""

    unit: Unit
    n: int

    def __str__(self) -> str:
        return f"reltime {self.unit} {self.n}"


class AbsTime(msgspec.Struct, frozen=True):
    """Covers the time from `start` to `end`, in whole minutes of the node's own clock."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"abstime {self.start:%H:%M:%m/%d/%y} {self.end:%H:%M:%m/%d/%y}"


Window: TypeAlias = RelTime | AbsTime | None


def needs_time_zone(collection: Collect, waited: timedelta = timedelta()) -> bool:
    """Says whether `make_window` needs the node's time zone. `waited`: time since the request."""
    return _is_absolute(collection, waited, _LAST_COUNTS_FOR)


def _is_absolute(collection: Collect, waited: timedelta, last_counts_for: timedelta) -> bool:
    """Says whether the window has fixed ends, and does not count back from now."""
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
    """Returns the window of `collection`, or None for all files.

    Raises InvalidArgument if the window ends before it begins. plan/resolve.py has checked that
    durations are well-formed and that times have a zone.

    now          the present, with a time zone
    node_zone    the node's time zone, or None if it is unknown. An absolute window is then widened
                 to fit every zone, and a `last` counts back from now for more than a day.
    ahead        how far the node's clock is ahead of ours. Files have times of that clock, or
                 correct times from before the clock went wrong, so the window includes both.
    asked_at     when the job was requested, from which a `last` counts
    written_for  for how long a file of the path is written to, such as "1h" or "always"
    """
    waited = now - (asked_at or now)
    counts_for = _LAST_COUNTS_WITHOUT_ZONE if node_zone is None else _LAST_COUNTS_FOR
    if not _is_absolute(collection, waited, counts_for):
        return None if collection.last is None else _relative(collection.last, waited)
    start = max(collection.since or _BEGINNING, _BEGINNING)
    latest = now + _OPEN_END
    asked = min(collection.until or latest, latest)
    if start > asked:
        ending = f"is later than the end of the window, {asked.isoformat()}"
        raise InvalidArgument("since", start.isoformat(), ending)
    length = parse_written_for(written_for)
    # A file that was being written at `asked` was changed last at `end` or earlier.
    end = latest if length is None else min(asked + length, latest)
    return _absolute(min(start, start + ahead), max(end, end + ahead), node_zone)


def _relative(text: str, waited: timedelta) -> RelTime:
    """Returns the window of a `last`, in its smallest unit. Seconds are rounded up to minutes."""
    total = parse_last(text)
    named = {unit for _, unit in split_duration(text)}
    smallest = min(("m" if unit == "s" else unit for unit in named), key=list(_UNITS).index)
    if waited > _SHORT_WAIT:
        total, smallest = total + waited, _FINER[smallest]
    return RelTime(_UNITS[smallest], -(-total // LENGTHS[smallest]))


def _absolute(start: datetime, end: datetime, zone: tzinfo | None) -> AbsTime:
    """Returns the window by the node's own clock.

    In autumn a clock shows one hour twice, and the command cannot distinguish the two hours. So a
    window begins before the first and ends after the second. The end is rounded up before it is
    converted to local time. Rounding afterwards could give a time that the clock skips in spring.
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
    """Returns `moment`, rounded up to a whole minute."""
    whole = moment.replace(second=0, microsecond=0)
    return whole if whole == moment else whole + _MINUTE


def _shown_twice(local: datetime) -> timedelta:
    """Returns by how much the clock is set back if it shows `local` twice, or else zero."""
    first, second = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    if first is None or second is None or first <= second:
        return timedelta()
    return first - second
