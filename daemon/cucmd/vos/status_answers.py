"""PURE. Reads the answer to `show status`: the machine, its time zone and its clock.

vos/NODES.md, section 6.3, has the known forms of the lines. Lines of another form are kept in
`others`, except for empty ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeAlias

import msgspec

from cucmd.vos.texts import match_line, parse_time, read_field

# Returns the zone for a name of the time zone database, or None. The function reads files, so the
# caller of this pure module passes it in.
FindZone: TypeAlias = Callable[[str], tzinfo | None]

_FIELDS = {
    "host name": "host",
    "date": "date",
    "time zone": "time_zone",
    "locale": "locale",
    "product ver": "version",
    "unified os version": "os_version",
}
_UPTIME = re.compile(
    r"\s*\d\d:\d\d:\d\d\s+up\s+(?P<uptime>\S.{0,59}),\s+\d{1,6} users?,\s+load average:\s*"
    r"(?P<one>\d{1,6}\.\d\d),\s*(?P<five>\d{1,6}\.\d\d),\s*(?P<fifteen>\d{1,6}\.\d\d)"
)
_SHARE = re.compile(r"(?P<name>[A-Za-z]{1,12}):\s*(?P<share>\d{1,3}\.\d{1,3})%")
_SHARES = re.compile(r"\s*(?:CPU\s+)?(?:[A-Za-z]{1,12}:\s*\d{1,3}\.\d{1,3}%\s*){1,8}")
_MEMORY = re.compile(r"\s*(?:Memory\s+)?(?P<name>[A-Za-z]{1,12}):\s*(?P<kib>\d{1,15})K")
_DISK = re.compile(
    r"\s*Disk/(?P<name>[A-Za-z0-9_-]{1,32})\s+(?P<total>\d{1,15})K\s+(?P<free>\d{1,15})K\s+"
    r"(?P<used>\d{1,15})K\s*\((?P<share>\d{1,3})%\)"
)
_CPU_NAMES = frozenset({"idle", "system", "user", "iowait", "irq", "soft"})
_MEMORY_NAMES = frozenset({"total", "free", "used", "cached", "shared", "buffers"})
_HEADINGS = ("uptime:", "total free used")
_KIB = 1024

# A name of the time zone database: "Europe/Berlin" alone, or within
# "Central European Standard Time (Europe/Berlin)". An abbreviation does not name a zone: CST is
# used in Chicago and in Shanghai, and GMT in London in winter.
_ZONE = re.compile(r"(?<![\w./+-])[A-Za-z_]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){1,2}(?![\w./+-])")
_UTC = re.compile(r"\bUTC\)?$")
# "Wed Nov 25, 2026 10:15:59", by the node's own clock.
_DATE = re.compile(
    r"(?:[A-Za-z]{3},?\s+)?([A-Za-z]{3})\s+([0-9]{1,2}),?\s+([12][0-9]{3})\s+"
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})"
)
_MINUTE = timedelta(minutes=1)
# If the node's clock seems to be off by more, the date was misread or is not real.
_PLAUSIBLE = timedelta(days=3660)


class Disk(msgspec.Struct, frozen=True):
    """Describes a partition. Sizes are in bytes; `used_percent` is the node's own number."""

    name: str
    total: int
    free: int
    used: int
    used_percent: int


class Machine(msgspec.Struct, frozen=True):
    """Holds the answer to `show status`. A field is None if the node does not say it.

    date     by the node's own clock, in the node's words; `time_zone` and `uptime` too
    load     averages of 1, 5 and 15 minutes
    cpu      percent, by name in lower case: idle, system, user, iowait, irq, soft
    memory   bytes, by name in lower case: total, free, used, cached, shared, buffers
    """

    host: str | None = None
    date: str | None = None
    time_zone: str | None = None
    locale: str | None = None
    version: str | None = None
    os_version: str | None = None
    uptime: str | None = None
    load: tuple[float, float, float] | None = None
    cpu: dict[str, float] = {}
    memory: dict[str, int] = {}
    disks: tuple[Disk, ...] = ()
    others: tuple[str, ...] = ()


class ShowStatus(msgspec.Struct, frozen=True):
    """Holds the time zone and the clock of a node.

    zone   None if the node names no zone, or a zone that this machine does not know
    clock  the time of the node's own clock, without a zone, or None
    """

    zone: tzinfo | None
    clock: datetime | None = None

    def offset(self, now: datetime) -> timedelta | None:
        """Returns how far the node's clock is ahead of `now`, or None if that is not known.

        now: with a time zone. A negative result means that the node's clock is behind.
        """
        if self.zone is None or self.clock is None:
            return None
        # In autumn a clock shows one hour twice. Use the reading that is nearer to our time.
        shown = (self.clock.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        off = min((time.astimezone(UTC) - now for time in shown), key=abs)
        return off if abs(off) < _PLAUSIBLE else None

    def ahead(self, now: datetime) -> timedelta:
        """Returns `offset` in whole minutes, rounded away from zero; zero if it is not known."""
        off = self.offset(now)
        if off is None:
            return timedelta()
        minutes = -(-abs(off) // _MINUTE)
        return minutes * (_MINUTE if off > timedelta() else -_MINUTE)


def parse_machine(lines: Iterable[str]) -> Machine:
    """Reads the answer to `show status`. If a field comes twice, the first counts."""
    fields: dict[str, Any] = {}
    cpu: dict[str, float] = {}
    memory: dict[str, int] = {}
    disks: list[Disk] = []
    others: list[str] = []
    for line in lines:
        if not line.strip() or " ".join(line.split()).lower() in _HEADINGS:
            continue
        if found := match_line(_DISK, line):
            names = ("total", "free", "used")
            total, free, used = (int(found[name]) * _KIB for name in names)
            disks.append(Disk(found["name"], total, free, used, int(found["share"])))
        elif (
            match_line(_SHARES, line)
            and (shares := {m["name"].lower(): float(m["share"]) for m in _SHARE.finditer(line)})
            and shares.keys() <= _CPU_NAMES - cpu.keys()
        ):
            cpu |= shares
        elif (found := match_line(_MEMORY, line)) and (
            (name := found["name"].lower()) in _MEMORY_NAMES - memory.keys()
        ):
            memory[name] = int(found["kib"]) * _KIB
        elif "uptime" not in fields and (found := match_line(_UPTIME, line)):
            fields["uptime"] = " ".join(found["uptime"].split())
            fields["load"] = tuple(float(found[name]) for name in ("one", "five", "fifteen"))
        elif not read_field(line, _FIELDS, fields):
            others.append(line)
    return Machine(**fields, cpu=cpu, memory=memory, disks=tuple(disks), others=tuple(others))


def find_node_time(machine: Machine, find_zone: FindZone) -> ShowStatus:
    """Returns the time zone and clock of a node. Raises only what `find_zone` raises.

    A value that is not certain counts as unknown. A wrong zone or clock would move the window of a
    collection away from the files; an unknown one only widens the window.
    """
    date = _DATE.fullmatch(machine.date or "")
    clock = None if date is None else parse_time(*date.group(3, 1, 2, 4, 5, 6))
    text = machine.time_zone or ""
    names = _ZONE.findall(text)
    if not names and _UTC.search(text):
        return ShowStatus(UTC, clock)
    found = (zone for name in reversed(names) if (zone := find_zone(name)))
    return ShowStatus(next(found, None), clock)
