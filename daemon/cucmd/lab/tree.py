"""PURE. The files of a simulated node: names, ages, sizes and content, all of them computed.

A file is a function of (node, path). So a file of 5 GB costs nothing until it is read, and a test
can compute what a node must have sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import blake2b

import msgspec

_PATTERN = 64 * 1024
_SMALL = 20_000  # bytes of a file that is no trace, unless traces are smaller
_DAY = 86_400


class VirtualFile(msgspec.Struct, frozen=True):
    """One file.

    path   relative to the location's root
    age    seconds before now, of its last line
    span   seconds from its first line to its last
    """

    path: str
    size: int
    age: float
    span: float = _DAY

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def modified(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self.age)


class Shape(msgspec.Struct, frozen=True):
    """How many files there are, and how large.

    files   traces in a folder
    size    bytes of each
    spread  percent by which the sizes differ, up and down
    every   seconds between two traces
    """

    files: int = 12
    size: int = 200_000
    spread: int = 0
    every: float = 420.0


class NumberedFiles(msgspec.Struct, frozen=True):
    """Numbered files in one folder. `name` has {node} and {n}; `share` divides their number."""

    folder: str
    name: str
    share: int = 1
    first: int = 74  # the first number, as of a node that has run for some time
    trace: bool = True


_TRACES = (
    NumberedFiles("cm/trace/ccm/sdl", "SDL{node:03d}_100_{n:06d}.txt.gz"),
    NumberedFiles("cm/trace/ccm/sdi", "ccm{n:08d}.txt.gz", share=3),
    NumberedFiles("cm/trace/ccm/calllogs", "calllogs_{n:08d}.txt.gz", share=3),
    NumberedFiles("cm/trace/cti/sdl", "SDL{node:03d}_200_{n:06d}.txt.gz", share=2),
    NumberedFiles("cm/trace/cti/sdi", "cti{n:08d}.txt", share=4),
    NumberedFiles("cm/trace/lbm/sdl", "SDL{node:03d}_500_{n:06d}.txt.gz", share=4),
    NumberedFiles("cm/trace/ils/sdl", "SDL{node:03d}_600_{n:06d}.txt.gz", share=4),
    NumberedFiles("cm/trace/ris/sdi", "ris{n:08d}.txt", share=4),
    NumberedFiles("cm/trace/dbl/sdi", "dbmon{n:08d}.txt", share=4),
    NumberedFiles("cm/trace/cdrrep/log4j", "cdrrep{n:05d}.log", share=4),
    NumberedFiles("cm/log/ris/csv", "PerfMonLog_{n:06d}.csv", share=2),
)
_LOGS = (
    NumberedFiles("platform/log", "cli{n:05d}.log", share=4, trace=False),
    NumberedFiles("platform/log", "servm{n:05d}.log", share=4, trace=False),
    NumberedFiles("tomcat/logs/security/log4j", "security{n:05d}.log", share=4, trace=False),
    NumberedFiles("tomcat/logs/axl/log4j", "axl{n:05d}.log", share=4, trace=False),
    NumberedFiles("tomcat/logs/ccmadmin/log4j", "ccmadmin{n:05d}.log", share=4, trace=False),
    NumberedFiles("audit/AuditApp", "Audit{n:08d}.log", share=4, trace=False),
)
# path, age in seconds of the newest, how many rotated ones (`.1`, `.2`, ...) there are
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
# Empty folders: `core` of a healthy node.
EMPTY_FOLDERS: dict[str, frozenset[str]] = {"activelog": frozenset({"core"})}
# location -> its name in "Get file: active/cm/..." and in the name of an archive
ROOTS = {
    "activelog": "active",
    "inactivelog": "inactive",
    "install": "install",
    "tftp": "tftp",
    "salog": "salog",
    "partBsalog": "partBsalog",
}


def files_of(location: str, node: int, shape: Shape) -> tuple[VirtualFile, ...]:
    """All files of a location of node number `node`, oldest first within a folder."""
    if location == "activelog":
        kinds = (*_TRACES, *_LOGS)
        grown = [file for kind in kinds for file in _numbered_files(kind, node, shape)]
        return (*grown, *_single_files(_SINGLES, shape))
    if location == "install":
        return tuple(_single_files(_INSTALL, shape))
    if location == "tftp":
        return tuple(_single_files((("SEPDEFAULT.cnf.xml", 40 * _DAY, 0),), shape))
    return ()


def _numbered_files(kind: NumberedFiles, node: int, shape: Shape) -> Iterator[VirtualFile]:
    count = -(-shape.files // kind.share)
    for i in range(count):
        from_end = count - 1 - i
        name = kind.name.format(node=node, n=kind.first + i)
        # The file still being written has this ending (vos/NODES.md, section 5.6).
        if from_end == 0 and name.endswith(".gz"):
            name = name.removesuffix(".gz") + ".gzo"
        path = f"{kind.folder}/{name}"
        size = _size(path, node, shape) if kind.trace else min(_SMALL, shape.size)
        yield VirtualFile(path, size, 20.0 + from_end * shape.every, shape.every)


def _size(path: str, node: int, shape: Shape) -> int:
    number = int.from_bytes(_digest(node, path)[:4]) % 2001 - 1000  # -1000 .. 1000
    return shape.size + shape.size * shape.spread * number // 100_000


def _single_files(
    singles: tuple[tuple[str, float, int], ...], shape: Shape
) -> Iterator[VirtualFile]:
    size = min(_SMALL, shape.size)
    for path, age, rotated in singles:
        for i in range(rotated, 0, -1):
            yield VirtualFile(f"{path}.{i}", size, age + i * _DAY)
        yield VirtualFile(path, size, age)


def _digest(node: int, path: str) -> bytes:
    return blake2b(f"{node}:{path}".encode(), digest_size=32).digest()


def _pattern(node: int, path: str) -> bytes:
    """One block of log lines. `blocks` writes the number of the block over its beginning."""
    seed = _digest(node, path).hex()
    lines: list[bytes] = []
    length = 0
    while length < _PATTERN:
        n = len(lines)
        number = seed[n % 48 : n % 48 + 12]
        line = (
            f"{n:08d}|10:{n % 60:02d}:{n * 7 % 60:02d}.{n % 1000:03d} |SdlSig |{number} |{path}\n"
        )
        lines.append(line.encode())
        length += len(line)
    return b"".join(lines)[:_PATTERN]


def blocks(node: int, path: str, size: int, block: int = 32 * 1024) -> Iterator[bytes]:
    """The whole content, block by block: always the same, and different in every 64 KiB.

    `block` divides 64 KiB.
    """
    pattern = _pattern(node, path)
    for offset in range(0, size, block):
        number, start = divmod(offset, _PATTERN)
        piece = pattern[start : min(start + block, start + size - offset)]
        yield (b"%016d" % number + piece[16:])[: len(piece)] if start == 0 else piece
