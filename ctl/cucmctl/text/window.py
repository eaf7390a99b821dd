"""The window of a collection, in the time zone of whoever reads it, and in that of the nodes."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, tzinfo


def window(since: str, until: str | None, zone: str | None = None) -> str:
    """In local time: `Fri 27 Nov 23:25 to Sat 28 Nov 00:25 CET (22:25 to 23:25 UTC)`.

    zone  of the nodes, which is in brackets where it is another
    """
    begin = datetime.fromisoformat(since).astimezone()
    end = begin if until is None else datetime.fromisoformat(until).astimezone()
    text = _span(begin, None if until is None else end)
    there = None if zone is None else _zone(zone)
    if there is None or begin.utcoffset() == begin.astimezone(there).utcoffset():
        return text
    begin, end = begin.astimezone(there), end.astimezone(there)
    theirs = _clock(begin) if until is None else f"{_clock(begin)} to {_clock(end)}"
    return f"{text} ({theirs} {end:%Z})"


def _span(begin: datetime, end: datetime | None) -> str:
    if end is None:
        return f"{_day(begin)} {_clock(begin)} {begin:%Z} on"
    day = "" if begin.date() == end.date() else f"{_day(end)} "
    zone = "" if begin.utcoffset() == end.utcoffset() else f" {begin:%Z}"
    return f"{_day(begin)} {_clock(begin)}{zone} to {day}{_clock(end)} {end:%Z}"


def _zone(name: str) -> tzinfo | None:
    from zoneinfo import ZoneInfo  # noqa: PLC0415  # most commands show no window

    with suppress(OSError, ValueError, KeyError):  # this machine may not know it
        return ZoneInfo(name)
    return None


def _day(at: datetime) -> str:
    year = "" if at.year == datetime.now().year else f" {at.year}"
    return f"{at:%a %d %b}{year}"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}".removesuffix(":00")
