"""Makes the packets of an SFTP client, with any content, and parses the replies."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cucmd.receiver.limits import Status
from cucmd.receiver.sftp_packets import OpenFlag, PacketType

PUT = OpenFlag.WRITE | OpenFlag.CREATE | OpenFlag.TRUNCATE  # the flags of `put` in OpenSSH
NO_ATTRIBUTES = bytes(4)


@dataclass
class Reply:
    kind: PacketType
    request: int
    rest: bytes

    @property
    def status(self) -> Status | None:
        return (
            Status(int.from_bytes(self.rest[:4], "big")) if self.kind == PacketType.STATUS else None
        )

    @property
    def reason(self) -> str:
        return self.rest[8 : 8 + int.from_bytes(self.rest[4:8], "big")].decode()

    @property
    def handle(self) -> bytes:
        assert self.kind == PacketType.HANDLE, (self.status, self.reason)
        return self.rest[4:]

    @property
    def size(self) -> int:
        """Returns the size of a file from a reply of kind ATTRS."""
        assert self.kind == PacketType.ATTRS, (self.status, self.reason)
        return int.from_bytes(self.rest[4:12], "big")

    @property
    def names(self) -> list[bytes]:
        assert self.kind == PacketType.NAME, (self.status, self.reason)
        found, at = [], 4
        for _ in range(int.from_bytes(self.rest[:4], "big")):
            name, at = _string_at(self.rest, at)
            _, at = _string_at(self.rest, at)
            at += 4 if self.rest[at : at + 4] == bytes(4) else 24
            found.append(name)
        return found


def _string_at(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 4 + int.from_bytes(data[at : at + 4], "big")
    return data[at + 4 : end], end


def replies(data: bytes) -> Iterator[Reply]:
    while data:
        body, end = _string_at(data, 0)
        data = data[end:]
        yield Reply(PacketType(body[0]), int.from_bytes(body[1:5], "big"), body[5:])


def string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def packet(kind: int, request: int, *fields: bytes) -> bytes:
    return string(struct.pack(">BI", kind, request) + b"".join(fields))


def init(version: int = 3) -> bytes:
    return packet(PacketType.INIT, version)


def open_file(
    request: int, path: bytes, flags: int = PUT, attributes: bytes = NO_ATTRIBUTES
) -> bytes:
    return packet(PacketType.OPEN, request, string(path), struct.pack(">I", flags), attributes)


def write(request: int, handle: bytes, offset: int, block: bytes) -> bytes:
    return packet(
        PacketType.WRITE, request, string(handle), struct.pack(">Q", offset), string(block)
    )


def on_handle(kind: PacketType, request: int, handle: bytes, more: bytes = b"") -> bytes:
    return packet(kind, request, string(handle), more)


def on_path(kind: PacketType, request: int, path: bytes, more: bytes = b"") -> bytes:
    return packet(kind, request, string(path), more)


def mkdir(request: int, path: bytes) -> bytes:
    return on_path(PacketType.MKDIR, request, path, NO_ATTRIBUTES)


def set_times(atime: int, mtime: int) -> bytes:
    return struct.pack(">III", 0x08, atime, mtime)


def set_size(size: int) -> bytes:
    return struct.pack(">IQ", 0x01, size)
