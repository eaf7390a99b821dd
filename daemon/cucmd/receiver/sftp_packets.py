"""PURE. Reads and writes SFTP version 3: frames, requests, replies (draft-ietf-secsh-filexfer-02).

Nothing here knows what a request does to the disk; and a packet is never longer than MAX_PACKET,
whatever its length field says.
"""

from __future__ import annotations

import stat as modes
import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from cucmd.receiver.limits import Status

# OpenSSH's own limits: a packet of 256 KB, a block of 255 KB. We announce the block by the
# extension limits@openssh.com, and its sftp then uses it: an eighth of the requests.
MAX_PACKET = 256 * 1024
MAX_BLOCK = 255 * 1024

VERSION = 3
LIMITS = b"limits@openssh.com"


class PacketType(IntEnum):
    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    RENAME = 18
    READLINK = 19
    SYMLINK = 20
    STATUS = 101
    HANDLE = 102
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class OpenFlag(IntEnum):
    READ = 0x01
    WRITE = 0x02
    APPEND = 0x04
    CREATE = 0x08
    TRUNCATE = 0x10
    EXCLUSIVE = 0x20


class Malformed(Exception):
    """What came is not an SFTP packet."""


class Attributes(NamedTuple):
    """Holds what a client wants set; None where it says nothing."""

    size: int | None = None
    times: tuple[int, int] | None = None  # access, modification; seconds


class Attrs(NamedTuple):
    """Holds what a reply says of a file or folder."""

    size: int
    mode: int
    atime: int
    mtime: int


class PacketBuffer:
    """Takes bytes, and gives whole packets without their length field."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = 4  # bytes until there is something to look at

    def feed(self, data: bytes) -> list[memoryview]:
        """Raises Malformed at a length beyond MAX_PACKET, or of 0.

        A block of 255 KB comes in eight pieces or more: they are kept as they are and joined
        once, and the packets are views of that.
        """
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._needed:
            return []
        whole = memoryview(b"".join(self._pieces))
        packets = []
        start = 0
        while self._held - start >= self._needed:
            length = int.from_bytes(whole[start : start + 4], "big")
            if not 0 < length <= MAX_PACKET:
                raise Malformed(f"a packet of {length} bytes")
            self._needed = 4 + length
            if self._held - start >= self._needed:
                packets.append(whole[start + 4 : start + self._needed])
                start += self._needed
                self._needed = 4
        self._pieces = [bytes(whole[start:])]
        self._held -= start
        return packets


class Fields:
    """Reads the fields of one packet, in order. Raises Malformed past the end."""

    def __init__(self, packet: memoryview) -> None:
        self._packet = packet
        self._at = 0

    def _take(self, count: int) -> memoryview:
        end = self._at + count
        if end > len(self._packet):
            raise Malformed("a packet ends in the middle of a field")
        taken = self._packet[self._at : end]
        self._at = end
        return taken

    def byte(self) -> int:
        return self._take(1)[0]

    def uint32(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def uint64(self) -> int:
        return int.from_bytes(self._take(8), "big")

    def string(self) -> bytes:
        return bytes(self.block())

    def block(self) -> memoryview:
        """Reads a string without a copy; keeps the packet alive."""
        return self._take(self.uint32())

    def attributes(self) -> Attributes:
        """Owner, permissions and extended attributes are skipped: they cannot be set here."""
        flags = self.uint32()
        size = self.uint64() if flags & 0x01 else None
        if flags & 0x02:
            self._take(8)
        if flags & 0x04:
            self._take(4)
        times = (self.uint32(), self.uint32()) if flags & 0x08 else None
        return Attributes(size, times)


def version_reply() -> bytes:
    return _framed(
        struct.pack(">BI", PacketType.VERSION, VERSION) + _string(LIMITS) + _string(b"1")
    )


def status_reply(request: int, status: Status, reason: str = "") -> bytes:
    head = struct.pack(">BII", PacketType.STATUS, request, status)
    return _framed(head + _string(reason.encode()) + _string(b""))


def handle_reply(request: int, handle: int) -> bytes:
    return _framed(
        struct.pack(">BI", PacketType.HANDLE, request) + _string(handle.to_bytes(4, "big"))
    )


def attrs_reply(request: int, attrs: Attrs) -> bytes:
    return _framed(struct.pack(">BI", PacketType.ATTRS, request) + _attrs(attrs))


def name_reply(request: int, names: Iterable[tuple[bytes, Attrs | None]]) -> bytes:
    """Makes a reply of names with their attributes; a realpath has none."""
    entries = [
        _string(name) + _string(_long_name(name, attrs)) + (_attrs(attrs) if attrs else bytes(4))
        for name, attrs in names
    ]
    return _framed(struct.pack(">BII", PacketType.NAME, request, len(entries)) + b"".join(entries))


def limits_reply(request: int, handles: int) -> bytes:
    """Answers limits@openssh.com: longest packet, read and write, most handles at once."""
    head = struct.pack(">BI", PacketType.EXTENDED_REPLY, request)
    return _framed(head + struct.pack(">QQQQ", MAX_PACKET, MAX_BLOCK, MAX_BLOCK, handles))


def handle_of(raw: bytes) -> int:
    """Returns the number in a handle, or -1, which no handle has."""
    return int.from_bytes(raw, "big") if len(raw) == 4 else -1


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _attrs(attrs: Attrs) -> bytes:
    # Size, permissions, times; owners are not canonical_path.
    return struct.pack(">IQIII", 0x0D, attrs.size, attrs.mode, attrs.atime, attrs.mtime)


def _long_name(name: bytes, attrs: Attrs | None) -> bytes:
    """Writes the `ls -l` line that version 3 wants; some clients look at its first letter."""
    if attrs is None:
        return name
    return f"{modes.filemode(attrs.mode)} 1 node node {attrs.size} ".encode() + name
