"""Shows the time window of a collection in the reader's time zone.

If the clocks of the nodes show another time, their time follows in brackets.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo


def window(since: str, until: str | None, zone: str | None = None) -> str:
    """Returns `Fri 27 Nov 23:25 to Sat 28 Nov 00:25 CET (22:25 to 23:25 UTC)`.

    since, until  times in RFC 3339, as on the socket
    zone          name of the nodes' time zone
    """
    begin = datetime.fromisoformat(since).astimezone()
    end = begin if until is None else datetime.fromisoformat(until).astimezone()
    if until is None:
        text = f"{_day(begin)} {_clock(begin)} {begin:%Z} on"
    else:
        day = "" if begin.date() == end.date() else f"{_day(end)} "
        changed = "" if begin.utcoffset() == end.utcoffset() else f" {begin:%Z}"
        text = f"{_day(begin)} {_clock(begin)}{changed} to {day}{_clock(end)} {end:%Z}"
    there = _other(begin, zone)
    if there is None:
        return text
    begin, end = begin.astimezone(there), end.astimezone(there)
    theirs = _clock(begin) if until is None else f"{_clock(begin)} to {_clock(end)}"
    return f"{text} ({theirs} {end:%Z})"


def periods(spans: Iterable[tuple[datetime, datetime]]) -> str:
    """Returns `Fri 27 Nov 23:25 to 23:40, 23:52 to Sat 28 Nov 00:25 CET`; "" without a span."""
    texts, day, zone = [], "", ""
    for span in spans:
        ends = []
        for end in span:
            at = end.astimezone().replace(second=0)
            today = "" if _day(at) == day else f"{_day(at)} "
            day, zone = _day(at), f" {at:%Z}"
            ends.append(f"{today}{_clock(at)}")
        texts.append(" to ".join(ends))
    return ", ".join(texts) + zone


def minute(at: datetime, zone: str | None = None) -> str:
    """Returns `Fri 27 Nov 23:57 CET (22:57 UTC)`."""
    at = at.astimezone()
    there = _other(at, zone)
    theirs = "" if there is None else f" ({at.astimezone(there):%H:%M %Z})"
    return f"{_day(at)} {at:%H:%M %Z}{theirs}"


def _other(at: datetime, zone: str | None) -> tzinfo | None:
    """Returns the time zone of the nodes, or None if clocks there show the same time as here."""
    if zone is None:
        return None
    from zoneinfo import ZoneInfo  # noqa: PLC0415  # takes 3 ms, and few commands need it

    try:
        there = ZoneInfo(zone)
    except (OSError, ValueError, KeyError):  # this machine does not know the zone
        return None
    return None if at.utcoffset() == at.astimezone(there).utcoffset() else there


def _day(at: datetime) -> str:
    year = "" if at.year == datetime.now().year else f" {at.year}"
    return f"{at:%a %d %b}{year}"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}".removesuffix(":00")
