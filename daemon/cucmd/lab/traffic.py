"""PURE. The packets on the network of a simulated node, and a capture of them as a file.

A packet is a function of (node, its number), and comes at a time that its number gives. So the
content of a capture is computed as it is read, and a test can compute it too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import IPv4Address

import msgspec

_BLOCK = 32 * 1024
HEADER = 24  # bytes of a capture without a packet (vos/NODES.md, section 6.5)
_RECORD = 16
_LONGEST = 65535  # what `size all` means
_IPV4, _UDP = 20, 8


class Flow(msgspec.Struct, frozen=True):
    """UDP between the node and another address. The port is the same on both sides."""

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
    """Those packets of a node that a capture takes.

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
    size: int = _LONGEST

    @property
    def _chosen(self) -> list[int]:
        """The numbers of the flows that are taken."""
        return [
            number
            for number, flow in enumerate(FLOWS)
            if self.host in (None, self.address, flow.peer) and self.port in (None, flow.port)
        ]

    def count_within(self, seconds: float) -> int:
        """How many packets are taken in so many seconds."""
        rounds, rest = divmod(int(max(0.0, seconds) * self.rate), len(FLOWS))
        chosen = self._chosen
        return rounds * len(chosen) + sum(number < rest for number in chosen)

    def seconds_until(self, count: int) -> float | None:
        """Seconds until so many packets are taken; None: that never happens. `count` from 1."""
        if not self.rate or not self._chosen:
            return None
        return (self._number(count - 1) + 1) / self.rate

    def _number(self, taken: int) -> int:
        """Which packet of all that is of which so many were taken before."""
        rounds, rest = divmod(taken, len(self._chosen))
        return rounds * len(FLOWS) + self._chosen[rest]

    def bytes_of(self, count: int) -> int:
        """The size of a file with so many packets."""
        kept = [_RECORD + min(self.size, len(self._packet(number))) for number in self._chosen]
        if not kept:
            return HEADER
        rounds, rest = divmod(count, len(kept))
        return HEADER + rounds * sum(kept) + sum(kept[:rest])

    def blocks(self, count: int, began: datetime) -> Iterator[bytes]:
        """A file with so many packets, of a capture that began then, in blocks of 32 KiB."""
        held = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, self.size, 1))
        for taken in range(count):
            held += self._record(self._number(taken), began)
            while len(held) >= _BLOCK:
                yield bytes(held[:_BLOCK])
                del held[:_BLOCK]
        if held:
            yield bytes(held)

    def _record(self, number: int, began: datetime) -> bytes:
        packet = self._packet(number)
        kept = packet[: self.size]
        when = began + timedelta(seconds=(number + 1) / self.rate)
        seconds = int(when.timestamp())
        return struct.pack("<IIII", seconds, when.microsecond, len(kept), len(packet)) + kept

    def _packet(self, number: int) -> bytes:
        """In every second round they go from the node to its peers."""
        rounds, index = divmod(number, len(FLOWS))
        flow = FLOWS[index]
        source, target = IPv4Address(flow.peer), IPv4Address(self.address)
        if rounds % 2:
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
