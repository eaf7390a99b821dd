"""PURE. What `show status` says of a node's machine.

A line that has not a form of `vos/NODES.md`, section 6.3, is kept as it is. What a window needs of
the same answer is read elsewhere, more cautiously (`status.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from cucmd.vos.lines import labelled, whole

_LONGEST_VALUE = 201
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


class Disk(msgspec.Struct, frozen=True):
    """A partition: sizes in bytes, and the share in percent that the node calls used."""

    name: str
    total: int
    free: int
    used: int
    used_percent: int


class Machine(msgspec.Struct, frozen=True):
    """What is None, the node has not said.

    date     by the node's own clock, in its words; `time_zone`, `uptime` too
    load     averages of 1, 5 and 15 minutes
    cpu      percent by its name in lower case: idle, system, user, iowait, irq, soft
    memory   bytes by its name: total, free, used, cached, shared, buffers
    others   lines in no known form, without the empty ones
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


def parse_machine(lines: Iterable[str]) -> Machine:
    """Reads the answer to `show status`. Of what comes twice the first counts."""
    reading = _Reading()
    for line in lines:
        if line.strip() and not reading.take(line):
            reading.others.append(line)
    return Machine(
        **reading.fields,
        uptime=reading.uptime,
        load=reading.load,
        cpu=reading.cpu,
        memory=reading.memory,
        disks=tuple(reading.disks),
        others=tuple(reading.others),
    )


class _Reading:
    """What was read so far."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.uptime: str | None = None
        self.load: tuple[float, float, float] | None = None
        self.cpu: dict[str, float] = {}
        self.memory: dict[str, int] = {}
        self.disks: list[Disk] = []
        self.others: list[str] = []

    def take(self, line: str) -> bool:
        """Whether the line has a known form, and says what was not said before."""
        if " ".join(line.split()).lower() in _HEADINGS:
            return True
        return (
            self._disk(line)
            or self._shares(line)
            or self._memory(line)
            or self._uptime(line)
            or self._field(line)
        )

    def _disk(self, line: str) -> bool:
        found = whole(_DISK, line)
        if found is None:
            return False
        total, free, used = (int(found[name]) * _KIB for name in ("total", "free", "used"))
        self.disks.append(Disk(found["name"], total, free, used, int(found["share"])))
        return True

    def _shares(self, line: str) -> bool:
        if not whole(_SHARES, line):
            return False
        shares = {one["name"].lower(): float(one["share"]) for one in _SHARE.finditer(line)}
        if not shares.keys() <= _CPU_NAMES - self.cpu.keys():
            return False
        self.cpu |= shares
        return True

    def _memory(self, line: str) -> bool:
        found = whole(_MEMORY, line)
        if found is None:
            return False
        name = found["name"].lower()
        if name not in _MEMORY_NAMES or name in self.memory:
            return False
        self.memory[name] = int(found["kib"]) * _KIB
        return True

    def _uptime(self, line: str) -> bool:
        found = whole(_UPTIME, line)
        if found is None or self.uptime is not None:
            return False
        self.uptime = " ".join(found["uptime"].split())
        self.load = (float(found["one"]), float(found["five"]), float(found["fifteen"]))
        return True

    def _field(self, line: str) -> bool:
        label, value = labelled(line)
        name = _FIELDS.get(" ".join(label.lower().split()))
        if not name or name in self.fields or not 0 < len(value) <= _LONGEST_VALUE:
            return False
        self.fields[name] = value
        return True
