"""PURE. Computes the files of a simulated node: names, ages, sizes and content.

The content of a file follows from its node and its path. So a file of 5 GB costs nothing until it
is read, and a test can compute what a node must have sent. `stamped` writes times over the first
and the last line of a trace. `tgz` packs files as `file get ... compress` does, with one block in
memory at a time.
"""

from __future__ import annotations

import struct
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from hashlib import blake2b
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

BLOCK = 32 * 1024  # bytes that are made at once
_PATTERN = 2 * BLOCK
_SMALL = 20_000  # bytes of a file that is not a trace, unless traces are smaller
_DAY = 86_400


class VirtualFile(msgspec.Struct, frozen=True):
    """Describes one file of a node.

    path   relative to the root of its location
    age    seconds from its last line until now
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


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Says how many files there are, and how large.

    files  how many traces a folder has (10000 of them, a day apart, go back 27 years)
    size   bytes of each trace
    every  seconds between two traces
    """

    files: Annotated[int, Meta(ge=1, le=10_000)] = 12
    size: Annotated[int, Meta(ge=0, le=10**15)] = 200_000
    every: Annotated[float, Meta(ge=0, le=86_400)] = 420.0


class NumberedFiles(msgspec.Struct, frozen=True):
    """Describes numbered files in one folder.

    name   a format with {node} and {n}, the number of the file
    share  the folder has 1/share as many files as Shape.files says
    """

    folder: str
    name: str
    share: int = 1
    first: int = 74  # number of the oldest file: the node has run for some time
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
# The logs of every product, though no real node has them all.
_LOGS = tuple(
    NumberedFiles(folder, name, share=4, trace=False)
    for folder, name in (
        ("platform/log", "cli{n:05d}.log"),
        ("platform/log", "servm{n:05d}.log"),
        ("platform/snmp/snmpdm", "SnmpMasterAgt{n:05d}.log"),
        ("tomcat/logs/security/log4j", "security{n:05d}.log"),
        ("tomcat/logs/axl/log4j", "axl{n:05d}.log"),
        ("tomcat/logs/ccmadmin/log4j", "ccmadmin{n:05d}.log"),
        ("audit/AuditApp", "Audit{n:08d}.log"),
        ("cm/cdr_repository/processed/20260802", "cdr_StandAloneCluster_01_202608021047_{n}"),
        ("cm/trace/capf/sdi", "capf{n:08d}.txt"),
        ("tomcat/logs/ipma/log4j", "ipma{n:05d}.log"),
        ("epas/trace/esp/sdi", "esp{n:08d}.txt.gz"),
        ("epas/trace/xcpconfigmgr/log4j", "xcpconfigmgr{n:05d}.log"),
        ("epas/trace/epe/sdi", "epe{n:08d}.txt.gz"),
        ("epas/trace/xcp/log", "rtr-jsm-1_{n:05d}.log.gz"),
        ("epas/trace/cupicsa/log4j", "icSyncAgent{n:05d}.log"),
        ("tomcat/logs/epassoap/log4j", "EPASSoap{n:05d}.log"),
        ("cuc", "diag_CuCsMgr_{n:08d}.uc"),
        ("uccx/log/MIVR", "Cisco001MIVR{n:03d}.log"),
        ("uccx/log/MADM", "Cisco001MADM{n:03d}.log"),
        ("uccx/log/MCVD", "Cisco001MCVD{n:03d}.log"),
        ("desktop/logs/webservices", "Desktop-webservices.{n}.log"),
        ("cuic/logs/cuic", "CCBU-cuic.{n}.startup.log"),
        ("cuic/logs/cuicsrvr", "CCBU-cuicsrvr.{n}.startup.log"),
        ("er/logs", "CER{n:05d}.log"),
        ("er/trace/dbl/sdi", "dbmon{n:08d}.txt"),
    )
)
# path, age of the newest in seconds, how many rotated files (`.1`, `.2`, ...) there are
_SINGLES = (
    ("syslog/messages", 45.0, 3),
    ("syslog/CiscoSyslog", 50.0, 3),
    ("syslog/secure", 100.0, 2),
    ("cm/log/informix/ccm.log", 700.0, 1),
    ("cm/trace/dbl/20260717_164617_dbl_repl_output_Broadcast.log", 50_000.0, 0),
    ("syslog/sd_ntp.log", 300.0, 0),
    ("platform/drf/trace/drfMA.log", 20_000.0, 0),
    ("platform/drf/log/2026-08-02-22-00-04_b_cucm-pub_ucm_cdr_car.log", 50_000.0, 0),
    ("platform/snmp/hostagt/hostagt.log", 4_000.0, 0),
    ("platform/snmp/mib2agt/mib2agt.log", 4_000.0, 0),
    ("platform/snmp/sappagt/sappagt.log", 4_000.0, 0),
    ("platform/cli/capture.cap", 9_000.0, 0),
    ("tomcat/logs/catalina.out", 60.0, 0),
    ("audit/vos/vos-audit.log", 90.0, 2),
)
_INSTALL = (
    ("install_log_2026-02-11.03.21.07.log", 190 * _DAY, 0),
    ("upgrade_log_2026-08-02.22.40.12.log", 30 * _DAY, 0),
    ("system-history.log", 30 * _DAY, 0),
)
EMPTY_FOLDER = ("activelog", "core")  # a healthy node has no core files
# Location -> its name in "Get file: active/cm/..." and in the name of an archive.
ROOTS = {
    "activelog": "active",
    "inactivelog": "inactive",
    "install": "install",
    "tftp": "tftp",
    "salog": "salog",
    "partBsalog": "partBsalog",
}


def files_of(location: str, node: int, shape: Shape) -> tuple[VirtualFile, ...]:
    """Returns all files of a location of node number `node`, oldest first within a folder."""
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
        # A file that is still being written ends in .gzo (vos/NODES.md, section 5.6).
        if from_end == 0 and name.endswith(".gz"):
            name = name.removesuffix(".gz") + ".gzo"
        path = f"{kind.folder}/{name}"
        size = shape.size if kind.trace else min(_SMALL, shape.size)
        yield VirtualFile(path, size, 20.0 + from_end * shape.every, shape.every)


def _single_files(
    singles: tuple[tuple[str, float, int], ...], shape: Shape
) -> Iterator[VirtualFile]:
    size = min(_SMALL, shape.size)
    for path, age, rotated in singles:
        for i in range(rotated, 0, -1):
            yield VirtualFile(f"{path}.{i}", size, age + i * _DAY)
        yield VirtualFile(path, size, age)


def _pattern(node: int, path: str) -> bytes:
    """Makes 64 KiB of log lines, which `blocks` repeats with a number over each beginning."""
    seed = blake2b(f"{node}:{path}".encode(), digest_size=32).hexdigest()
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


def blocks(node: int, path: str, size: int) -> Iterator[bytes]:
    """Yields the content of a file in blocks: always the same, and no two 64 KiB are alike."""
    pattern = _pattern(node, path)
    for offset in range(0, size, BLOCK):
        number, start = divmod(offset, _PATTERN)
        piece = pattern[start : min(start + BLOCK, start + size - offset)]
        yield (b"%016d" % number + piece[16:])[: len(piece)] if start == 0 else piece


# -- time stamps, in the formats of vos/NODES.md, section 7.1

_SDL_HEADER = (
    "00000001.000 |{0:%H:%M:%S}.000 |FileHead |UTC:{1},Date: {0:%Y/%m/%d}, AppName: CCM, "
    "AppId: 100, FileNumber: 1, TraceVer: 3.0\n"
)
_SDL = "00000002.000 |{:%H:%M:%S}.000 |AppInfo  |the last line\n"
# Part of a path -> the format of a line. Files with other paths get no time stamps.
_LINE_FORMATS = {
    "/calllogs/": "{:%Y/%m/%d %H:%M:%S}.000|SIPL|0|TCP|IN|192.0.2.45|58096|SEP0|192.0.2.4|5060\n",
    "/ccm/sdi/": "{:%m/%d/%Y %H:%M:%S}.000 CCM|a line\n",
    "/log4j/": "{:%Y-%m-%d %H:%M:%S},000 INFO  [main] a line\n",
    "syslog/": "{:%b %e %H:%M:%S} cucm-pub user 6 : a line\n",
}


def stamped(
    blocks: Iterator[bytes], file: VirtualFile, now: datetime, zone: tzinfo
) -> Iterator[bytes]:
    """Yields the blocks of a file with time stamps in its first and its last line."""
    lines = _lines(file, now, zone)
    if lines is None or file.size < sum(map(len, lines)):
        yield from blocks
        return
    head, tail = lines
    offset, beginning_of_tail = 0, file.size - len(tail)
    for block in blocks:
        content = bytearray(block)
        _overlay(content, head, -offset)
        _overlay(content, tail, beginning_of_tail - offset)
        offset += len(block)
        yield bytes(content)


def _lines(file: VirtualFile, now: datetime, zone: tzinfo) -> tuple[bytes, bytes] | None:
    end = file.modified(now).astimezone(zone)
    begin = (file.modified(now) - timedelta(seconds=file.span)).astimezone(zone)
    if "/sdl/" in file.path:
        offset = begin.strftime("%z")
        head = _SDL_HEADER.format(begin, f"{offset[:3]}:{offset[3:]}")
        return head.encode(), b"\n" + _SDL.format(end).encode()
    form = next((form for part, form in _LINE_FORMATS.items() if part in file.path), None)
    if form is None:
        return None
    return form.format(begin).encode(), b"\n" + form.format(end).encode()


def _overlay(content: bytearray, line: bytes, at: int) -> None:
    """Writes a line over `content` at position `at`. Parts outside of `content` are left out."""
    start, stop = max(at, 0), min(at + len(line), len(content))
    if start < stop:
        content[start:stop] = line[start - at : stop - at]


# -- archives

# The head of a block that is not compressed (RFC 1951): whether it is the last one, its length, and
# the complement of the length.
_STORED = struct.Struct("<BHH")
SMALLEST_GZIP = 10 + _STORED.size + 8  # header, an empty block, checksum and length
Content: TypeAlias = Callable[[VirtualFile], Iterator[bytes]]


def tgz(
    root: str, files: Iterable[VirtualFile], now: datetime, content: Content
) -> Iterator[bytes]:
    """Yields an archive of the files in blocks. `content` returns the content of one file."""
    return in_blocks(_compressed(_tar(root, files, now, content)))


def unpacked_size(size: int) -> int:
    """Returns the bytes of content in a `gzipped` file of `size` bytes."""
    whole, rest = divmod(size - SMALLEST_GZIP, BLOCK + _STORED.size)
    return whole * BLOCK + max(0, rest - _STORED.size)


def gzipped(content: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yields a gzip (RFC 1952) of `size` bytes, which are `SMALLEST_GZIP` or more.

    The content is stored as it is, since nobody knows how small compressed content becomes. A
    comment in the header fills the bytes that are too few for one more block.

    content  blocks of `unpacked_size(size)` bytes in total, each but the last of `BLOCK` bytes
    """
    return in_blocks(_stored(content, size))


def _stored(content: Iterable[bytes], size: int) -> Iterator[bytes]:
    inside = unpacked_size(size)
    filled = size - SMALLEST_GZIP - inside - _STORED.size * -(-inside // BLOCK)
    flags = 16 if filled else 0  # FCOMMENT
    yield bytes((0x1F, 0x8B, 8, flags, 0, 0, 0, 0, 0, 255))
    yield b"\0".rjust(filled, b"-") if filled else b""
    checksum = 0
    for block in content:
        checksum = zlib.crc32(block, checksum)
        yield _STORED.pack(0, len(block), len(block) ^ 0xFFFF) + block
    yield _STORED.pack(1, 0, 0xFFFF) + struct.pack("<II", checksum, inside % 2**32)


def in_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the same bytes in blocks of 32 KiB. The last block may be shorter."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= BLOCK:
            yield bytes(held[:BLOCK])
            del held[:BLOCK]
    if held:
        yield bytes(held)


def without_last(blocks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """Yields all bytes except the last `count`."""
    held = bytearray()
    for block in blocks:
        held += block
        if len(held) > count:
            yield bytes(held[: len(held) - count])
            del held[: len(held) - count]


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    # Level 1 is the fastest. Tests cannot wait as long as an appliance may take.
    gzip = zlib.compressobj(level=1, wbits=31)
    for piece in pieces:
        yield gzip.compress(piece)
    yield gzip.flush()


def _tar(
    root: str, files: Iterable[VirtualFile], now: datetime, content: Content
) -> Iterator[bytes]:
    for file in files:
        info = tarfile.TarInfo(f"{root}/{file.path}")
        info.size = file.size
        info.mtime = int(file.modified(now).timestamp())
        info.uname = info.gname = "ccmbase"
        yield info.tobuf()
        yield from content(file)
        yield bytes(-file.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
