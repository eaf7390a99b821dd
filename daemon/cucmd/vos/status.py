"""PURE. What `show status` tells about a node.

The one rule: what is not certain is not known. A wrong time zone or clock would move the window
away from the files; none at all only widens it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeAlias

import msgspec

# A name of the zone database -> the zone, or None; to look it up takes a disk.
ZoneOf: TypeAlias = Callable[[str], tzinfo | None]

_TIME_ZONE = re.compile(r"\s*Time Zone\s*:\s*(.{1,200})", re.IGNORECASE)
# The name in the zone database, wherever it stands: "Europe/Berlin",
# "Central European Standard Time (Europe/Berlin)". An abbreviation is no name: CST is said in
# Chicago and in Shanghai, and GMT in London in winter.
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
# Beyond this the date was read wrongly, or says nothing about when a file was written.
_BELIEVED = timedelta(days=3660)


class NodeStatus(msgspec.Struct, frozen=True):
    """`zone` is None where the node named none that is known here; `clock` is what its own clock
    showed, without a zone, or None.
    """

    zone: tzinfo | None
    clock: datetime | None = None

    def ahead(self, now: datetime) -> timedelta:
        """How far the node's clock is ahead of `now` (aware), rather more than less, in whole
        minutes; negative: behind; nothing where it is not known.
        """
        if self.zone is None or self.clock is None:
            return timedelta()
        # Of the hour that it shows twice, the one that fits better.
        shown = (self.clock.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        off = min((one.astimezone(UTC) - now for one in shown), key=abs)
        if abs(off) >= _BELIEVED:
            return timedelta()
        minutes = -(-abs(off) // _MINUTE)
        return minutes * (_MINUTE if off > timedelta() else -_MINUTE)


def parse_show_status(lines: Iterable[str], zone_of: ZoneOf) -> NodeStatus:
    """Reads the answer to `show status`; never raises where `zone_of` does not."""
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
