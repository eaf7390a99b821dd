"""PURE. The time window of a collection, as `file get` takes it.

The one rule: a window is never narrower than what was asked for. The node counts in its own time
zone and in whole minutes: a start is rounded down, an end up, and what is unknown widens it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal, TypeAlias

import msgspec

from cucmd.job import Collection
from cucmd.vos.arguments import InvalidArgument

Unit: TypeAlias = Literal["minutes", "hours", "days", "weeks", "months"]

_MINUTE = timedelta(minutes=1)
_UNITS: dict[str, tuple[Unit, timedelta]] = {
    "m": ("minutes", _MINUTE),
    "h": ("hours", timedelta(hours=1)),
    "d": ("days", timedelta(days=1)),
    "w": ("weeks", timedelta(weeks=1)),
    "mo": ("months", timedelta(days=31)),  # the longest: it must cover any month
}
_LAST = re.compile(r"(?:[0-9]{1,6}(?:mo|[smhdw]))+")
_PART = re.compile(r"([0-9]+)(mo|[smhdw])")
LAST_FORM = 'expected a duration such as "30m", "2h", "3d" or "1w"'
MAX_LAST = timedelta(days=3660)  # ten years: older than any log, and dates stay in range

# `until` without `since`: before the first appliance was made, in the node's two-digit years.
_BEGINNING = datetime(2001, 1, 1, tzinfo=UTC)
# A node has no files of the future, but its clock may be wrong.
_FUTURE = timedelta(days=366)
# Without `until`: a log that is being written is dated by the moment at which the node looks at it,
# which on a busy one is minutes after the command.
_OPEN_END = timedelta(hours=1)
# `last` counts from the moment at which the job was asked for, but for the minute that it takes to
# log in: nobody who says "2h" means the second. What comes to a node later than this is counted in
# a finer unit, so that a window grows by little more than the wait.
_AT_ONCE = timedelta(minutes=1)
_FINER = {"m": "m", "h": "m", "d": "h", "w": "h", "mo": "h"}
# Local clocks are between 12 hours behind UTC and 14 ahead of it.
_FARTHEST_BEHIND, _FARTHEST_AHEAD = timedelta(hours=12), timedelta(hours=14)


class RelTime(msgspec.Struct, frozen=True):
    """The last `n` units before the node's now."""

    unit: Unit
    n: int

    def __str__(self) -> str:
        return f"reltime {self.unit} {self.n}"


class AbsTime(msgspec.Struct, frozen=True):
    """From `start` to `end`, whole minutes as the node's own clock shows them."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"abstime {self.start:%H:%M:%m/%d/%y} {self.end:%H:%M:%m/%d/%y}"


Window: TypeAlias = RelTime | AbsTime | None


def parse_last(text: str) -> timedelta:
    """The duration that `text` means: "90s", "30m", "2h", "3d", "1w", "1mo", "1h30m".

    Raises ValueError that says which form is expected.
    """
    if not _LAST.fullmatch(text):
        raise ValueError(LAST_FORM)
    total = sum((_length(n, unit) for n, unit in _PART.findall(text)), timedelta())
    if not timedelta() < total <= MAX_LAST:
        raise ValueError("expected a duration of more than 0 and at most ten years")
    return total


def needs_zone(collection: Collection) -> bool:
    """Must the node be asked for its time zone before `window_for`?"""
    return collection.since is not None or collection.until is not None


def window_for(
    collection: Collection,
    now: datetime,
    node_zone: tzinfo | None,
    ahead: timedelta = timedelta(),
    asked_at: datetime | None = None,
) -> Window:
    """The window of `collection`; `now` is aware. None: every file.

    `asked_at` is when the job was asked for: a node that has waited for its turn, or for the paths
    before, must not lose the beginning of "the last two hours".
    Without `node_zone` an absolute window is widened so far that it fits every zone on Earth.
    `ahead` is how far the node's clock is ahead of ours: its files are dated by it now, and may
    have been dated rightly before, so the window is widened to hold both. Raises InvalidArgument.
    """
    if collection.last is not None:
        return _relative(collection.last, now - (asked_at or now))
    if not needs_zone(collection):
        return None
    start = max(_aware("since", collection.since) or _BEGINNING, _BEGINNING)
    end = min(_aware("until", collection.until) or now + _OPEN_END, now + _FUTURE)
    if start > end:
        ending = f"is later than the end of the window, {end.isoformat()}"
        raise InvalidArgument("since", start.isoformat(), ending)
    return _absolute(min(start, start + ahead), max(end, end + ahead), node_zone)


def _length(n: str, unit: str) -> timedelta:
    return timedelta(seconds=int(n)) if unit == "s" else int(n) * _UNITS[unit][1]


def _relative(text: str, waited: timedelta) -> RelTime:
    """In the smallest unit that `text` names, seconds rounded up to minutes."""
    try:
        total = parse_last(text)
    except ValueError as error:
        raise InvalidArgument("last", text, str(error)) from None
    named = {unit for _, unit in _PART.findall(text)}
    smallest = min(("m" if unit == "s" else unit for unit in named), key=list(_UNITS).index)
    if waited > _AT_ONCE:
        total, smallest = total + waited, _FINER[smallest]
    unit, length = _UNITS[smallest]
    return RelTime(unit, -(-total // length))


def _aware(field: str, moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise InvalidArgument(field, moment.isoformat(), "has no time zone")
    return moment


def _absolute(start: datetime, end: datetime, zone: tzinfo | None) -> AbsTime:
    """The same window by the node's own clock.

    In the hour that the clock shows twice, we cannot tell the node which of the two we mean, so
    the window opens before the first and closes after the second. Its end goes up to a whole minute
    before it is in local time: after that it could be one that the clock leaves out.
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
    """This one, or the next."""
    whole = moment.replace(second=0, microsecond=0)
    return whole if whole == moment else whole + _MINUTE


def _shown_twice(local: datetime) -> timedelta:
    """How long the clock was put back, if it shows `local` twice; else nothing."""
    first, second = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    if first is None or second is None or first <= second:
        return timedelta()
    return first - second
