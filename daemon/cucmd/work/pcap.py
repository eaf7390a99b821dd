"""Reads packet captures as far as it takes to say that one is whole, and how many packets it has.

The one rule: nothing of a packet is kept in memory. A length that a file claims is skipped, and is
compared with the size of the file first.

Formats (the file formats of libpcap):

    pcap     a header of 24 bytes; then for each packet a header of 16 bytes and its bytes. Of
             either byte order; the magic says whether times are in microseconds or nanoseconds
    pcapng   blocks: type, length, contents, the length again. The first is a section header, which
             has the byte order; another section may have another one
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

_PCAP_HEADER = 24
_RECORD_HEADER = 16
# The magic as it is read in big-endian order: the byte order for struct, and whether times are in
# nanoseconds.
_MAGIC: dict[int, tuple[Literal["<", ">"], bool]] = {
    0xA1B2C3D4: (">", False),
    0xD4C3B2A1: ("<", False),
    0xA1B23C4D: (">", True),
    0x4D3CB2A1: ("<", True),
}
_MAJOR_VERSION = 2
# Bytes of one packet: libpcap refuses more for every kind of link but USB and D-Bus.
_LARGEST_PACKET = 256 * 1024

_SECTION_HEADER = 0x0A0D0D0A
_SHORTEST_SECTION = 28
_ORDER_MAGIC = 0x1A2B3C4D
_PACKET_BLOCKS = frozenset({2, 3, 6})  # the obsolete one, the simple and the enhanced one
_SHORTEST_BLOCK = 12
_LARGEST_BLOCK = 16 * 1024 * 1024  # libpcap's own limit


class NotPcap(Exception):
    """The file is no packet capture. `reason` begins with a small letter, for a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Pcap(msgspec.Struct, frozen=True):
    """What the beginning of a capture says.

    order        the byte order, as struct writes it
    nanoseconds  of pcap; pcapng has it by interface, and is False here
    length       bytes of the header, after which packets or other blocks begin
    """

    format: Literal["pcap", "pcapng"]
    order: Literal["<", ">"]
    nanoseconds: bool
    length: int


class Packets(msgspec.Struct, frozen=True):
    """How many packets a capture has whole.

    truncated: it ends in the middle of a packet, or what follows the last one cannot be a packet.
    """

    count: int
    truncated: bool


def read_header(first: bytes) -> Pcap:
    """Reads the beginning of a file: 28 bytes, or all of it if it is shorter. Raises `NotPcap`."""
    if not first:
        raise NotPcap("it is empty")
    if len(first) < 4:
        raise NotPcap(f"it has {len(first)} bytes, too few for the header of a capture")
    (magic,) = struct.unpack_from(">I", first)
    if magic == _SECTION_HEADER:
        return _section_header(first)
    if magic not in _MAGIC:
        raise NotPcap(f"it begins with the bytes {first[:4].hex(' ')}, as no capture does")
    if len(first) < _PCAP_HEADER:
        raise NotPcap(f"its header ends after {len(first)} of {_PCAP_HEADER} bytes")
    order, nanoseconds = _MAGIC[magic]
    (major,) = struct.unpack_from(f"{order}H", first, 4)
    if major != _MAJOR_VERSION:
        raise NotPcap(f"it is of version {major} of the format, and not {_MAJOR_VERSION}")
    return Pcap("pcap", order, nanoseconds, _PCAP_HEADER)


def _section_header(first: bytes) -> Pcap:
    if len(first) < _SHORTEST_SECTION:
        raise NotPcap(f"its header ends after {len(first)} of {_SHORTEST_SECTION} bytes")
    order = _order(first[8:12])
    if order is None:
        raise NotPcap(f"its section header has the bytes {first[8:12].hex(' ')} for a byte order")
    (length,) = struct.unpack_from(f"{order}I", first, 4)
    if not _possible(length) or length < _SHORTEST_SECTION:
        raise NotPcap(f"its section header claims to have {length} bytes")
    return Pcap("pcapng", order, nanoseconds=False, length=length)


def _order(magic: bytes) -> Literal["<", ">"] | None:
    if magic == struct.pack("<I", _ORDER_MAGIC):
        return "<"
    return ">" if magic == struct.pack(">I", _ORDER_MAGIC) else None


def _possible(length: int) -> bool:
    return _SHORTEST_BLOCK <= length <= _LARGEST_BLOCK and length % 4 == 0


def count_packets(path: Path) -> Packets:
    """Counts the packets of a file. Reads all of it but the packets' bytes, so it belongs into a
    worker thread. Raises `NotPcap`, `OSError`.
    """
    with path.open("rb") as file:
        return count_in(file, os.fstat(file.fileno()).st_size)


def count_in(file: BinaryIO, size: int) -> Packets:
    """As `count_packets`, of `size` bytes from the beginning of `file`. Raises `NotPcap`."""
    header = read_header(file.read(min(size, _SHORTEST_SECTION)))
    if header.format == "pcapng":
        return _count_blocks(file, size, header.order)
    return _count_records(file, size, header.order)


def _count_records(file: BinaryIO, size: int, order: str) -> Packets:
    record = struct.Struct(f"{order}8xI4x")
    count, at = 0, _PCAP_HEADER
    while at < size:
        file.seek(at)
        head = file.read(_RECORD_HEADER)
        if len(head) < _RECORD_HEADER:
            return Packets(count, truncated=True)
        (length,) = record.unpack(head)
        at += _RECORD_HEADER + length
        if length > _LARGEST_PACKET or at > size:
            return Packets(count, truncated=True)
        count += 1
    return Packets(count, truncated=False)


def _count_blocks(file: BinaryIO, size: int, order: str) -> Packets:
    count, at = 0, 0
    while at < size:
        file.seek(at)
        head = file.read(_SHORTEST_BLOCK)
        if len(head) < _SHORTEST_BLOCK:
            return Packets(count, truncated=True)
        if head[:4] == struct.pack(">I", _SECTION_HEADER):  # the same in either byte order
            found = _order(head[8:])
            if found is None:
                return Packets(count, truncated=True)
            order = found
        kind, length = struct.unpack_from(f"{order}II", head)
        at += length
        if not _possible(length) or at > size or not _ends_so(file, at, order, length):
            return Packets(count, truncated=True)
        count += kind in _PACKET_BLOCKS
    return Packets(count, truncated=False)


def _ends_so(file: BinaryIO, end: int, order: str, length: int) -> bool:
    """Whether a block that ends at `end` repeats its length there."""
    file.seek(end - 4)
    return file.read(4) == struct.pack(f"{order}I", length)
