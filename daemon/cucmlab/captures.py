"""Simulates the packet captures of a node: the arguments of the command, the packets, the files.

A `LabCapture` exists from its first packet until its file is removed. It runs as long as its
`packets` is None. The content of a packet, and the moment when it comes, follow from the node and
from the number of the packet. So no task has to write the file while it grows, and a test can
compute what the file must contain.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from itertools import cycle, islice

import msgspec

from cucmlab import texts
from cucmlab.faults import FaultKind
from cucmlab.files import BLOCK, VirtualFile, in_blocks
from cucmlab.selection import CommandRefused, Unsuccessful

LOCATION, FOLDER = "activelog", "platform/cli"
HEADER = 24  # bytes of a capture without a packet (vos/NODES.md, section 6.5)
_MOST_PACKETS = 100_000
LARGEST = 65535  # bytes of a packet: what `size all` means
_RECORD = 16
_IPV4, _UDP = 20, 8
_ARITY = texts.WRONG_ARITY.format(mandatory=0, more=13)


class CaptureArguments(msgspec.Struct, frozen=True):
    """Holds a valid `utils network capture` into a file. The defaults are the node's own.

    size: how many bytes of each packet are kept, or None for all of them.
    """

    file: str
    interface: str = "eth0"
    count: int = 1000
    size: int | None = 128
    host: str | None = None
    port: int | None = None


def parse_capture(words: list[str]) -> CaptureArguments:
    """Reads the arguments of `utils network capture`. Raises CommandRefused.

    The lab does not simulate `src`, `dest`, or the form without `file`, which prints packets.
    """
    rest = list(words)
    values: dict[str, str | int | None] = {}
    if rest and rest[0].startswith("eth"):
        values["interface"] = rest.pop(0)
    while rest:
        name = rest.pop(0)
        if name == "host":
            rest = _without_protocol(rest)
        if name not in _VALUES or name in values or not rest:
            raise Unsuccessful(_ARITY)
        values[name] = _VALUES[name](rest.pop(0))
    if "file" not in values:
        raise CommandRefused(texts.NO_VALID_COMMAND)
    if values.get("interface", "eth0") != "eth0":
        raise Unsuccessful(f"Invalid interface: {values['interface']}")
    return msgspec.convert(values, CaptureArguments)


def _without_protocol(rest: list[str]) -> list[str]:
    if len(rest) < 2 or rest[0] not in ("ip", "arp", "rarp", "all"):
        raise Unsuccessful(_ARITY)
    return rest[1:]


def _file(text: str) -> str:
    if "." in text or "/" in text:
        raise Unsuccessful(f"Invalid file name: {text}")
    return text


def _within(name: str, most: int, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise Unsuccessful(f"Invalid {name}: {text}")
    return int(text)


def _size(text: str) -> int | None:
    return None if text.lower() == "all" else _within("size", LARGEST, text)


def _host(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:  # a real node takes host names too; the lab has none
        raise Unsuccessful(f"Invalid host: {text}") from None


_VALUES: dict[str, Callable[[str], str | int | None]] = {
    "file": _file,
    "count": lambda text: _within("count", _MOST_PACKETS, text),
    "size": _size,
    "host": _host,
    "port": lambda text: _within("port", 65535, text),
}


class Flow(msgspec.Struct, frozen=True):
    """Describes UDP packets between the node and another address. Both sides use `port`."""

    peer: str
    port: int
    payload: bytes


_OPTIONS = (
    b"OPTIONS sip:cucm.lab.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.20.0.1:5060\r\n"
    b"From: <sip:lab@10.20.0.1>\r\nTo: <sip:cucm.lab.example>\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_NTP = b"\x23\x02\x06\xe8" + bytes(44)
# The flows take turns: each sends one packet.
FLOWS = (
    Flow("10.20.0.1", 5060, _OPTIONS),
    Flow("10.20.0.2", 5060, _OPTIONS),
    Flow("10.20.0.3", 5060, _OPTIONS),
    Flow("10.20.0.4", 123, _NTP),
)


class Traffic(msgspec.Struct, frozen=True):
    """Makes the packets of a node that pass the filter of a capture.

    address  the address of the node
    rate     packets a second on the network of the node, before the filter; it may be 0
    host     the address that one of the two sides must have, or None for any
    port     the port of both sides, or None for any
    size     how many bytes of each packet are kept
    """

    address: str
    rate: float
    host: str | None = None
    port: int | None = None
    size: int = LARGEST

    @property
    def _flows(self) -> list[Flow]:
        return [
            flow
            for flow in FLOWS
            if self.host in (None, self.address, flow.peer) and self.port in (None, flow.port)
        ]

    @property
    def _packets_per_second(self) -> float:
        """Returns how many packets pass the filter in a second."""
        return self.rate * len(self._flows) / len(FLOWS)

    def count_within(self, seconds: float) -> int:
        """Returns how many packets pass the filter within `seconds`."""
        return int(max(0.0, seconds) * self._packets_per_second)

    def seconds_until(self, count: int) -> float | None:
        """Returns the seconds until `count` packets have come, or None if they never do."""
        return count / self._packets_per_second if self._packets_per_second else None

    def bytes_of(self, count: int) -> int:
        """Returns the size of a file with `count` packets, in bytes."""
        sizes = [_RECORD + min(self.size, len(self._packet(flow, 0))) for flow in self._flows]
        if not sizes:
            return HEADER
        rounds, rest = divmod(count, len(sizes))
        return HEADER + rounds * sum(sizes) + sum(sizes[:rest])

    def blocks(self, count: int, began: datetime) -> Iterator[bytes]:
        """Yields a file with `count` packets in blocks of 32 KiB. The capture began at `began`."""
        return in_blocks(self._pieces(count, began))

    def _pieces(self, count: int, began: datetime) -> Iterator[bytes]:
        yield struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, self.size, 1)
        for number, flow in enumerate(islice(cycle(self._flows), count)):
            packet = self._packet(flow, number)
            kept = packet[: self.size]
            when = began + timedelta(seconds=(number + 1) / self._packets_per_second)
            seconds = int(when.timestamp())
            yield struct.pack("<IIII", seconds, when.microsecond, len(kept), len(packet)) + kept

    def _packet(self, flow: Flow, number: int) -> bytes:
        """Makes one packet. Packets with odd numbers go from the node to its peer."""
        source, target = IPv4Address(flow.peer), IPv4Address(self.address)
        if number % 2:
            source, target = target, source
        length = _UDP + len(flow.payload)
        # A checksum of 0 means that the datagram has none, which UDP allows.
        datagram = struct.pack(">HHHH", flow.port, flow.port, length, 0) + flow.payload
        header = struct.pack(
            ">BBHHHBBH", 0x45, 0, _IPV4 + length, number & 0xFFFF, 0, 64, 17, 0
        ) + (source.packed + target.packed)
        header = header[:10] + struct.pack(">H", _checksum(header)) + header[12:]
        return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + header + datagram


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class LabCapture:
    """Simulates one capture, and its file.

    packets  None while the capture runs; afterwards the number of packets
    fault    a fault that concerns its file, or None
    """

    def __init__(self, path: str, count: int, traffic: Traffic, fault: FaultKind | None) -> None:
        self.path = path
        self.packets: int | None = None
        self._count = count
        self._traffic = traffic
        self._fault = fault
        self._began = datetime.now(UTC)
        self._since = time.monotonic()
        self._lasted = 0.0

    @property
    def seconds_until_full(self) -> float | None:
        """Returns the seconds until the last packet of the count, or None if no packet comes."""
        return self._traffic.seconds_until(self._count)

    def end(self, *, full: bool = False) -> None:
        """Ends the capture. `full` says that it has all its packets. A second call does nothing."""
        if self.packets is None:
            self._lasted = self._seconds
            self.packets = self._count if full else self._packets_so_far()

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._since

    def _packets_so_far(self) -> int:
        if self.packets is not None:
            return self.packets
        return min(self._traffic.count_within(self._seconds), self._count)

    def file(self, now: datetime) -> VirtualFile | None:
        """Returns the file as it is now, or None if this capture makes no file."""
        if self._fault is FaultKind.CAPTURE_NO_FILE:
            return None
        packets = 0 if self._fault is FaultKind.CAPTURE_HEADER else self._packets_so_far()
        size = self._traffic.bytes_of(packets)
        if self._fault is FaultKind.CAPTURE_CUT:
            size -= 7
        lasted = self._seconds if self.packets is None else self._lasted
        modified = self._began + timedelta(seconds=lasted)
        return VirtualFile(self.path, size, (now - modified).total_seconds(), lasted)

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yields the first `size` bytes of the file, which may have grown since `size` was read."""
        if self._fault is FaultKind.CAPTURE_GARBAGE:
            blocks = iter(lambda: os.urandom(BLOCK), b"")
        else:
            blocks = self._traffic.blocks(self._packets_so_far(), self._began)
        while size > 0:
            block = next(blocks)[:size]
            size -= len(block)
            yield block
