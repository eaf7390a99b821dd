"""Makes what a simulated node has captured: the command's arguments, the packets, and their files.

A capture is one entry from its first packet to the removal of its file, and whether it runs is told
by `packets` alone. A packet is a function of (node, its number) and comes at a time that its number
gives. So a file that grows needs no task of its own, and a test can compute its content.
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

    size: bytes of a packet that are kept; None: all of it.
    """

    file: str
    interface: str = "eth0"
    count: int = 1000
    size: int | None = 128
    host: str | None = None
    port: int | None = None


def parse_capture(words: list[str]) -> CaptureArguments:
    """Reads the arguments of `utils network capture`. Raises CommandRefused.

    Not simulated are the form without `file`, which prints packets, and `src` and `dest`.
    """
    rest = list(words)
    given: dict[str, str | int | None] = {}
    if rest and rest[0].startswith("eth"):
        given["interface"] = rest.pop(0)
    while rest:
        name = rest.pop(0)
        if name == "host":
            rest = _without_protocol(rest)
        if name not in _VALUES or name in given or not rest:
            raise Unsuccessful(_ARITY)
        given[name] = _VALUES[name](rest.pop(0))
    if "file" not in given:
        raise CommandRefused(texts.NO_VALID_COMMAND)
    if given.get("interface", "eth0") != "eth0":
        raise Unsuccessful(f"Invalid interface: {given['interface']}")
    return msgspec.convert(given, CaptureArguments)


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
    except ValueError:  # a node takes names too; those of the lab have none
        raise Unsuccessful(f"Invalid host: {text}") from None


_VALUES: dict[str, Callable[[str], str | int | None]] = {
    "file": _file,
    "count": lambda text: _within("count", _MOST_PACKETS, text),
    "size": _size,
    "host": _host,
    "port": lambda text: _within("port", 65535, text),
}


class Flow(msgspec.Struct, frozen=True):
    """Describes UDP between the node and another address. The port is the same on both sides."""

    peer: str
    port: int
    payload: bytes


_OPTIONS = (
    b"OPTIONS sip:cucm.lab.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.20.0.1:5060\r\n"
    b"From: <sip:lab@10.20.0.1>\r\nTo: <sip:cucm.lab.example>\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_NTP = b"\x23\x02\x06\xe8" + bytes(44)
# They take turns, a packet each.
FLOWS = (
    Flow("10.20.0.1", 5060, _OPTIONS),
    Flow("10.20.0.2", 5060, _OPTIONS),
    Flow("10.20.0.3", 5060, _OPTIONS),
    Flow("10.20.0.4", 123, _NTP),
)


class Traffic(msgspec.Struct, frozen=True):
    """Makes those packets of a node that a capture takes.

    address  of the node
    rate     packets a second of all of them; 0: there are none
    host     None, or the address that one of both sides must have
    port     None, or the port
    size     bytes of a packet that are kept
    """

    address: str
    rate: float
    host: str | None = None
    port: int | None = None
    size: int = LARGEST

    @property
    def _chosen(self) -> list[Flow]:
        return [
            flow
            for flow in FLOWS
            if self.host in (None, self.address, flow.peer) and self.port in (None, flow.port)
        ]

    @property
    def _taken(self) -> float:
        """Returns how many packets are taken, a second."""
        return self.rate * len(self._chosen) / len(FLOWS)

    def count_within(self, seconds: float) -> int:
        """Returns how many packets are taken in so many seconds."""
        return int(max(0.0, seconds) * self._taken)

    def seconds_until(self, count: int) -> float | None:
        """Returns the seconds until so many packets are taken; None: that never happens."""
        return count / self._taken if self._taken else None

    def bytes_of(self, count: int) -> int:
        """Returns the size of a file with so many packets."""
        sizes = [_RECORD + min(self.size, len(self._packet(flow, 0))) for flow in self._chosen]
        if not sizes:
            return HEADER
        rounds, rest = divmod(count, len(sizes))
        return HEADER + rounds * sum(sizes) + sum(sizes[:rest])

    def blocks(self, count: int, began: datetime) -> Iterator[bytes]:
        """Yields a file with so many packets, of a capture that began then, in blocks of 32 KiB."""
        return in_blocks(self._pieces(count, began))

    def _pieces(self, count: int, began: datetime) -> Iterator[bytes]:
        yield struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, self.size, 1)
        for number, flow in enumerate(islice(cycle(self._chosen), count)):
            packet = self._packet(flow, number)
            kept = packet[: self.size]
            when = began + timedelta(seconds=(number + 1) / self._taken)
            seconds = int(when.timestamp())
            yield struct.pack("<IIII", seconds, when.microsecond, len(kept), len(packet)) + kept

    def _packet(self, flow: Flow, number: int) -> bytes:
        """Makes one packet. Every second one goes from the node to its peer."""
        source, target = IPv4Address(flow.peer), IPv4Address(self.address)
        if number % 2:
            source, target = target, source
        length = _UDP + len(flow.payload)
        # Without a checksum, which UDP allows.
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

    packets  None while it runs; then how many there are
    fault    what is wrong with its file, if anything
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
    def seconds_to_its_end(self) -> float | None:
        """Returns the seconds from its beginning to all packets that it may have; None: never."""
        return self._traffic.seconds_until(self._count)

    def end(self, *, full: bool = False) -> None:
        """It has ended. `full`: because it had all packets. The second time does nothing."""
        if self.packets is None:
            self._lasted = self._seconds
            self.packets = self._count if full else self._so_far()

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._since

    def _so_far(self) -> int:
        if self.packets is not None:
            return self.packets
        return min(self._traffic.count_within(self._seconds), self._count)

    def file(self, now: datetime) -> VirtualFile | None:
        """Returns the file as it is now, or None if there is none."""
        if self._fault is FaultKind.CAPTURE_NO_FILE:
            return None
        packets = 0 if self._fault is FaultKind.CAPTURE_HEADER else self._so_far()
        size = self._traffic.bytes_of(packets)
        if self._fault is FaultKind.CAPTURE_CUT:
            size -= 7
        lasted = self._seconds if self.packets is None else self._lasted
        modified = self._began + timedelta(seconds=lasted)
        return VirtualFile(self.path, size, (now - modified).total_seconds(), lasted)

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yields the first `size` bytes of the file: while it runs there may be more by now."""
        if self._fault is FaultKind.CAPTURE_GARBAGE:
            blocks = iter(lambda: os.urandom(BLOCK), b"")
        else:
            blocks = self._traffic.blocks(self._so_far(), self._began)
        while size > 0:
            block = next(blocks)[:size]
            size -= len(block)
            yield block
