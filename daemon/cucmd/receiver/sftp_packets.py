"""PURE. Reads and writes SFTP version 3: frames, requests, replies (draft-ietf-secsh-filexfer-02).

A packet that claims to be longer than MAX_PACKET is refused as soon as its length has arrived.
"""

from __future__ import annotations

import stat as modes
import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from cucmd.receiver.limits import Status

# OpenSSH's own limits: a packet of 256 KB, a block of 255 KB. We announce the size of the block by
# the extension limits@openssh.com. OpenSSH's sftp then uses it, and sends an eighth of the
# requests.
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
    """Raised for bytes that are not an SFTP packet."""


class Attributes(NamedTuple):
    """Holds the attributes that a client wants to set. An attribute that the client leaves out is
    None.
    """

    size: int | None = None
    times: tuple[int, int] | None = None  # access and modification, in seconds since 1970


class Attrs(NamedTuple):
    """Holds the attributes of a file or folder in a reply."""

    size: int
    mode: int
    atime: int
    mtime: int


class PacketBuffer:
    """Splits a stream of bytes into packets."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = 4  # bytes that are needed for the next step: a length, or a whole packet

    def feed(self, data: bytes) -> list[memoryview]:
        """Adds bytes, and returns the packets that are complete now, without their length field.

        A block of 255 KB arrives in eight pieces or more, which are joined only once. The packets
        are views of the joined bytes. Raises Malformed for a packet of 0 bytes, or of more than
        MAX_PACKET.
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
        # A copy, so that the beginning of the next packet does not keep all bytes of these packets
        # in memory.
        self._pieces = [bytes(whole[start:])]
        self._held -= start
        return packets


class Fields:
    """Reads the fields of one packet, in order. All methods raise `Malformed` if the packet ends
    before the field does.
    """

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
        """Reads a string without copying it. The returned view keeps the packet in memory."""
        return self._take(self.uint32())

    def attributes(self) -> Attributes:
        """Reads size and times. The other attributes cannot be set here, and are skipped."""
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
    """Returns a reply with names and their attributes. A reply to REALPATH has no attributes."""
    entries = [
        _string(name) + _string(_long_name(name, attrs)) + (_attrs(attrs) if attrs else bytes(4))
        for name, attrs in names
    ]
    return _framed(struct.pack(">BII", PacketType.NAME, request, len(entries)) + b"".join(entries))


def limits_reply(request: int, handles: int) -> bytes:
    """Returns the reply to limits@openssh.com: longest packet, longest read and write, handles."""
    head = struct.pack(">BI", PacketType.EXTENDED_REPLY, request)
    return _framed(head + struct.pack(">QQQQ", MAX_PACKET, MAX_BLOCK, MAX_BLOCK, handles))


def handle_of(raw: bytes) -> int:
    """Returns the number of a handle, or -1 if it is not one of our handles."""
    return int.from_bytes(raw, "big") if len(raw) == 4 else -1


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _attrs(attrs: Attrs) -> bytes:
    # Size, permissions and times, without the owner.
    return struct.pack(">IQIII", 0x0D, attrs.size, attrs.mode, attrs.atime, attrs.mtime)


def _long_name(name: bytes, attrs: Attrs | None) -> bytes:
    """Returns the `ls -l` line that version 3 wants. Some clients look at its first letter."""
    if attrs is None:
        return name
    return f"{modes.filemode(attrs.mode)} 1 node node {attrs.size} ".encode() + name
