"""PURE. The time zone and the clock of a node, from `show status`.

What is not certain counts as unknown. A wrong time zone or clock would move the window away from
the files. An unknown one only widens it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeAlias

import msgspec

# A name of the zone database -> the zone, or None. Looking it up reads files, so the caller does
# it.
ZoneOf: TypeAlias = Callable[[str], tzinfo | None]

_TIME_ZONE = re.compile(r"\s*Time Zone\s*:\s*(.{1,200})", re.IGNORECASE)
# The name in the zone database, wherever it stands: "Europe/Berlin",
# "Central European Standard Time (Europe/Berlin)". An abbreviation does not name a zone: CST is
# used in Chicago and in Shanghai, and GMT in London in winter.
_NAME = re.compile(r"(?<![\w./+-])[A-Za-z_]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){1,2}(?![\w./+-])")
_UTC = re.compile(r"\bUTC\)?\s*$")


# "Wed Nov 25, 2026 10:15:59", by the node's own clock.
_DATE = re.compile(
    r"\s*Date\s*:\s*(?:[A-Za-z]{3},?\s+)?([A-Za-z]{3})\s+([0-9]{1,2}),?\s+([12][0-9]{3})\s+"
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})\s*",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MINUTE = timedelta(minutes=1)
# If the node's clock is off by more, the date is not used: it was misread, or is no real date.
_PLAUSIBLE = timedelta(days=3660)


class NodeStatus(msgspec.Struct, frozen=True):
    """What a node says about its time.

    zone   None if it named none that is known here
    clock  what its own clock showed, without a zone, or None
    """

    zone: tzinfo | None
    clock: datetime | None = None

    def offset(self, now: datetime) -> timedelta | None:
        """How far the node's clock is ahead of `now` (aware); negative: behind. None: not known."""
        if self.zone is None or self.clock is None:
            return None
        # In the hour that a clock shows twice, the reading that is nearer to our time.
        shown = (self.clock.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        off = min((one.astimezone(UTC) - now for one in shown), key=abs)
        return off if abs(off) < _PLAUSIBLE else None

    def ahead(self, now: datetime) -> timedelta:
        """As `offset`, in whole minutes, rounded away from zero. Zero if it is not known."""
        off = self.offset(now)
        if off is None:
            return timedelta()
        minutes = -(-abs(off) // _MINUTE)
        return minutes * (_MINUTE if off > timedelta() else -_MINUTE)


def parse_show_status(lines: Iterable[str], zone_of: ZoneOf) -> NodeStatus:
    """Reads the answer to `show status`. Raises only what `zone_of` raises."""
    clock: datetime | None = None
    for line in lines:
        if match := _DATE.fullmatch(line):
            clock = _moment(*match.groups())
        if match := _TIME_ZONE.match(line):
            return NodeStatus(_zone(match[1], zone_of), clock)
    return NodeStatus(None, clock)


def _moment(month: str, *numbers: str) -> datetime | None:
    day, year, hour, minute, second = map(int, numbers)
    try:
        return datetime(year, _MONTHS.index(month.lower()) + 1, day, hour, minute, second)
    except ValueError:
        return None


def _zone(text: str, zone_of: ZoneOf) -> tzinfo | None:
    names = _NAME.findall(text)
    if not names and _UTC.search(text):
        return UTC
    return next((zone for name in reversed(names) if (zone := zone_of(name))), None)
