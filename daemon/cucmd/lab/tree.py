"""PURE. The files of a simulated node: names, ages, sizes and content, all computed, none kept.

The one rule: a file is a function of (node, path), so a 5 GB log costs nothing until it is read,
and a test can compute what a node must have sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import blake2b

import msgspec

_PATTERN = 64 * 1024
_SMALL = 20_000  # of the files that are no traces, unless traces are smaller still
_DAY = 86_400


class VirtualFile(msgspec.Struct, frozen=True):
    """One file. `path` is relative to the location's root; `age` in seconds before now."""

    path: str
    size: int
    age: float

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def modified(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self.age)


class Shape(msgspec.Struct, frozen=True):
    """How much there is: `files` traces a folder of `size` bytes (give or take `spread` percent),
    one every `every` seconds."""

    files: int = 12
    size: int = 200_000
    spread: int = 0
    every: float = 420.0


class Family(msgspec.Struct, frozen=True):
    """Files of one kind in one folder; `name` takes {node} and {n}, `share` divides the count."""

    folder: str
    name: str
    share: int = 1
    first: int = 74  # so that a fresh node looks like one that has been running
    trace: bool = True


_TRACES = (
    Family("cm/trace/ccm/sdl", "SDL{node:03d}_100_{n:06d}.txt.gz"),
    Family("cm/trace/ccm/sdi", "ccm{n:08d}.txt.gz", share=3),
    Family("cm/trace/ccm/calllogs", "calllogs_{n:08d}.txt.gz", share=3),
    Family("cm/trace/cti/sdl", "SDL{node:03d}_200_{n:06d}.txt.gz", share=2),
    Family("cm/trace/cti/sdi", "cti{n:08d}.txt", share=4),
    Family("cm/trace/lbm/sdl", "SDL{node:03d}_500_{n:06d}.txt.gz", share=4),
    Family("cm/trace/ils/sdl", "SDL{node:03d}_600_{n:06d}.txt.gz", share=4),
    Family("cm/trace/ris/sdi", "ris{n:08d}.txt", share=4),
    Family("cm/trace/dbl/sdi", "dbmon{n:08d}.txt", share=4),
    Family("cm/trace/cdrrep/log4j", "cdrrep{n:05d}.log", share=4),
    Family("cm/log/ris/csv", "PerfMonLog_{n:06d}.csv", share=2),
)
_LOGS = (
    Family("platform/log", "cli{n:05d}.log", share=4, trace=False),
    Family("platform/log", "servm{n:05d}.log", share=4, trace=False),
    Family("tomcat/logs/security/log4j", "security{n:05d}.log", share=4, trace=False),
    Family("tomcat/logs/axl/log4j", "axl{n:05d}.log", share=4, trace=False),
    Family("tomcat/logs/ccmadmin/log4j", "ccmadmin{n:05d}.log", share=4, trace=False),
    Family("audit/AuditApp", "Audit{n:08d}.log", share=4, trace=False),
)
# path, age of the newest, how many rotated ones (`.1`, `.2`, ...) stand beside it
_SINGLES = (
    ("syslog/messages", 45.0, 3),
    ("syslog/CiscoSyslog", 50.0, 3),
    ("syslog/secure", 100.0, 2),
    ("cm/log/informix/ccm.log", 700.0, 1),
    ("platform/drf/trace/drfMA.log", 20_000.0, 0),
    ("platform/snmp/hostagt.log", 4_000.0, 0),
    ("platform/cli/capture.cap", 9_000.0, 0),
    ("tomcat/logs/catalina.out", 60.0, 0),
    ("audit/vos/vos-audit.log", 90.0, 2),
)
_INSTALL = (
    ("install_log_2026-02-11.03.21.07.log", 190 * _DAY, 0),
    ("upgrade_log_2026-08-02.22.40.12.log", 30 * _DAY, 0),
    ("system-history.log", 30 * _DAY, 0),
)
# Folders that are there with nothing in them: `core` of a healthy node.
EMPTY_FOLDERS: dict[str, frozenset[str]] = {"activelog": frozenset({"core"})}
# How a location is called in "Get file: active/cm/..." and in an archive's name.
ROOTS = {
    "activelog": "active",
    "inactivelog": "inactive",
    "install": "install",
    "tftp": "tftp",
    "salog": "salog",
    "partBsalog": "partBsalog",
}


def plant(location: str, node: int, shape: Shape) -> tuple[VirtualFile, ...]:
    """All files of a location of node number `node`, oldest first within a folder."""
    if location == "activelog":
        families = (*_TRACES, *_LOGS)
        grown = [file for family in families for file in _grow(family, node, shape)]
        return (*grown, *_singles(_SINGLES, shape))
    if location == "install":
        return tuple(_singles(_INSTALL, shape))
    if location == "tftp":
        return tuple(_singles((("SEPDEFAULT.cnf.xml", 40 * _DAY, 0),), shape))
    return ()


def _grow(family: Family, node: int, shape: Shape) -> Iterator[VirtualFile]:
    count = -(-shape.files // family.share)
    for i in range(count):
        from_end = count - 1 - i
        name = family.name.format(node=node, n=family.first + i)
        # The file still being written has this ending (vos/NODES.md, section 5.6).
        if from_end == 0 and name.endswith(".gz"):
            name = name.removesuffix(".gz") + ".gzo"
        path = f"{family.folder}/{name}"
        size = _size(path, node, shape) if family.trace else min(_SMALL, shape.size)
        yield VirtualFile(path, size, 20.0 + from_end * shape.every)


def _size(path: str, node: int, shape: Shape) -> int:
    lot = int.from_bytes(_digest(node, path)[:4]) % 2001 - 1000  # -1000 .. 1000
    return shape.size + shape.size * shape.spread * lot // 100_000


def _singles(singles: tuple[tuple[str, float, int], ...], shape: Shape) -> Iterator[VirtualFile]:
    size = min(_SMALL, shape.size)
    for path, age, rotated in singles:
        for i in range(rotated, 0, -1):
            yield VirtualFile(f"{path}.{i}", size, age + i * _DAY)
        yield VirtualFile(path, size, age)


def _digest(node: int, path: str) -> bytes:
    return blake2b(f"{node}:{path}".encode(), digest_size=32).digest()


def _pattern(node: int, path: str) -> bytes:
    """One block of log lines; what differs between blocks is stamped over its beginning."""
    seed = _digest(node, path).hex()
    lines: list[bytes] = []
    length = 0
    while length < _PATTERN:
        n = len(lines)
        lot = seed[n % 48 : n % 48 + 12]
        line = f"{n:08d}|10:{n % 60:02d}:{n * 7 % 60:02d}.{n % 1000:03d} |SdlSig |{lot} |{path}\n"
        lines.append(line.encode())
        length += len(line)
    return b"".join(lines)[:_PATTERN]


def blocks(node: int, path: str, size: int, block: int = 32 * 1024) -> Iterator[bytes]:
    """The whole content, block by block: the same for ever, and different in every 64 KiB.

    `block` divides 64 KiB.
    """
    pattern = _pattern(node, path)
    for offset in range(0, size, block):
        number, start = divmod(offset, _PATTERN)
        piece = pattern[start : min(start + block, start + size - offset)]
        yield (b"%016d" % number + piece[16:])[: len(piece)] if start == 0 else piece
