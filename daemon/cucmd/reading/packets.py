"""Counts the packets in captures, and checks whether a capture is whole.

The bytes of the packets are not read: the length that a file claims for a packet is compared with
the size of the file, and then the packet is skipped.

The format is that of libpcap, which nodes write: a header of 24 bytes, then for each packet a
header of 16 bytes and the packet's bytes. Either byte order is possible. The magic number tells the
byte order, and whether times are in microseconds or nanoseconds. The header also has the most bytes
that the capture has of each packet.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

import msgspec

from cucmd.received_file import PacketCount
from cucmd.worker.forked import Channel
from cucmd.worker.frames import CountPackets

_HEADER = 24
_RECORD_HEADER = 16
# The magic number as it reads in big-endian order, and the byte order for struct.
_MAGIC = {0xA1B2C3D4: ">", 0xD4C3B2A1: "<", 0xA1B23C4D: ">", 0x4D3CB2A1: "<"}
_MAJOR_VERSION = 2
# The largest packet. libpcap refuses more for every kind of link but USB and D-Bus, and assumes
# this if the header has no limit, or a higher one.
_LARGEST_PACKET = 256 * 1024

_ASKED = msgspec.msgpack.Decoder(CountPackets)


def count_packets_of_node(channel: Channel) -> None:
    """Runs as a process that counts the packets in the captures of one node."""
    while True:
        asked = channel.receive(_ASKED)
        channel.send(count_packets_at(Path(asked.path), asked.most))


def count_packets_at(path: Path, most: int) -> PacketCount:
    """Counts the packets of the file at `path`, at most `most`, or says why this is impossible."""
    try:
        with path.open("rb") as file:
            return count_packets(file, most)
    except NotPcap as error:
        return PacketCount(0, wrong=str(error))
    except OSError as error:
        return PacketCount(0, uncounted=f"it cannot be read: {error.strerror}")


class NotPcap(Exception):
    """Raised if the file is not a packet capture. The text says why, as part of a sentence."""


def _read_header(beginning: bytes) -> tuple[str, int]:
    """Returns the byte order of a capture, for struct, and the most bytes of a packet.

    beginning: 24 bytes, or the whole file if it is shorter. Raises `NotPcap`.
    """
    if not beginning:
        raise NotPcap("it is empty")
    if len(beginning) < 4:
        raise NotPcap(f"it has {len(beginning)} bytes, too few for the header of a capture")
    (magic,) = struct.unpack_from(">I", beginning)
    if magic not in _MAGIC:
        raise NotPcap(f"it begins with the bytes {beginning[:4].hex(' ')}, as no capture does")
    if len(beginning) < _HEADER:
        raise NotPcap(f"its header ends after {len(beginning)} of {_HEADER} bytes")
    order = _MAGIC[magic]
    major, longest = struct.unpack_from(f"{order}H10xI", beginning, 4)
    if major != _MAJOR_VERSION:
        raise NotPcap(f"it is of version {major} of the format, and not {_MAJOR_VERSION}")
    if not 0 < longest <= _LARGEST_PACKET:
        longest = _LARGEST_PACKET
    return order, longest


def count_packets(file: BinaryIO, most: int) -> PacketCount:
    """Counts the packets of a file, at most `most`, without reading their bytes.

    Raises `NotPcap`, `OSError`.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    order, longest = _read_header(file.read(_HEADER))
    record = struct.Struct(f"{order}8xI4x")
    count, at = 0, _HEADER
    while at < size:
        file.seek(at)
        head = file.read(_RECORD_HEADER)
        if len(head) < _RECORD_HEADER:
            return PacketCount(count, truncated=True)
        (length,) = record.unpack(head)
        if not 0 < length <= longest:
            reason = f"after {count} comes one of {length:,} bytes, and each has 1 to {longest:,}"
            return PacketCount(count, uncounted=reason)
        at += _RECORD_HEADER + length
        if at > size:
            return PacketCount(count, truncated=True)
        if count == most:
            return PacketCount(count, uncounted="more than were asked for")
        count += 1
    return PacketCount(count)
