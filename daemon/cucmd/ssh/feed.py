"""A connection's bytes, from TCP into asyncssh: of nodes, and of the receiver's clients.

It changes nothing of what arrives, only in which pieces and when. No packet is handled but in a
turn of its connection (`turns.py`).

asyncio would hand over up to 256 KiB at once. asyncssh copies all that it has not used yet,
twice for each SSH packet of 32 KiB: a third of all the time went into that. And 256 KiB may be
16,000 packets, which take most of a second.

It needs three private names of asyncssh: `_transport`, `_recv_pkthdr` and `_recv_data`. They can go
once asyncssh lets a caller say, before each packet, whether it is handled now.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import msgspec

from cucmd.ssh.turns import Group, Turns, turns

# What is read at once: each read costs a turn of both loops. Measured against 256
# KiB: 2 % more in a second; 1 MiB gave nothing beyond that.
_READ = 512 * 1024

# A packet of OpenSSH's with 32 KiB of payload, and its overhead.
_PIECE = 34 * 1024

# Who has not logged in has nothing large to say; 256 of them hold 2 MB.
_READ_BEFORE_LOGIN = 8 * 1024

_KEXINIT = 20


class Allowed(msgspec.Struct, frozen=True):
    """What a connection may do before it has logged in."""

    packets: int
    size: int  # bytes
    exchanges: int  # of keys


class Feed(asyncio.BufferedProtocol):
    """Stands between a transport and the asyncssh connection that it was made for.

    `allowed`: until `logged_in`, and `on_excess` is called with what was too much. None: a node.
    """

    # One for all connections: it is filled and emptied within one callback.
    _buffer: ClassVar[memoryview] = memoryview(bytearray(_READ))

    def __init__(
        self,
        connection: Any,
        source: str,
        group: Group = Group.EXPECTED,
        allowed: Allowed | None = None,
        on_excess: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Takes the transport of that connection, which has just been made."""
        self.source = source
        self.group = group
        self._connection = connection
        self._allowed = allowed
        self._on_excess = on_excess
        self._turns: Turns = turns()
        self.heard = False  # something came; whoever looks sets it back
        self._waits = False
        self._held = memoryview(b"")  # not in asyncssh yet
        self._stopped = False  # asyncssh has packets that were not handled
        self._until = 0.0  # the end of our turn; 0: it is not ours
        self._paused = False
        self._ended = False  # an end of file came after what is held
        self._size = self._packets = self._exchanges = 0
        self._transport: asyncio.Transport = connection._transport
        self._begin_packet: Callable[[], bool] = connection._recv_pkthdr
        self._process: Callable[..., bool | Awaitable[None]] = connection.process_packet
        connection._recv_pkthdr = self._gate
        connection.process_packet = self._watch
        self._transport.set_protocol(self)

    def logged_in(self) -> None:
        self.group = Group.EXPECTED
        self._allowed = None

    # What asyncio calls.

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer if self._allowed is None else self._buffer[:_READ_BEFORE_LOGIN]

    def buffer_updated(self, nbytes: int) -> None:
        self._size += nbytes
        self.heard = True
        if self._allowed is not None and self._size > self._allowed.size:
            self._on_excess(f"more than {self._allowed.size} bytes")
            return
        if self._allowed is None and not self._waits and not self._held and self._at_once(nbytes):
            return
        came = bytes(self._buffer[:nbytes])
        self._held = memoryview(bytes(self._held) + came if self._held else came)
        if self._waits and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wait()

    def _at_once(self, nbytes: int) -> bool:
        """Handles what was read without a copy of it, if it may be our turn now; else nothing."""
        self._held = self._buffer[:nbytes]
        begun = False
        try:
            begun = self._turns.at_once(self)
        finally:  # the buffer is not ours any more
            self._held = memoryview(bytes(self._held) if begun else b"")
        return begun

    def eof_received(self) -> bool:
        """asyncio closes the transport unless it is told that there is more to do."""
        if self.has_more:
            self._ended = True
            return True
        self._connection.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._held = memoryview(b"")
        self._stopped = False
        connection = self._connection
        del connection._recv_pkthdr, connection.process_packet  # else it is kept by itself
        connection.connection_lost(exc)

    # What `Turns` calls.

    @property
    def has_more(self) -> bool:
        return self._stopped or bool(self._held)

    def take_turn(self, until: float) -> int:
        self._until, self._waits = until, False
        if self._connection._transport is None:  # aborted; the transport's end is on its way
            self._held, self._stopped = memoryview(b""), False
            return 0
        had = len(self._held)
        try:
            if self._stopped:
                self._stopped = False
                self._connection._recv_data()
            while self._held and not self._stopped and time.perf_counter() < until:
                piece, self._held = self._held[:_PIECE], self._held[_PIECE:]
                # asyncssh adds it to bytes of its own, so that a view does.
                self._connection.data_received(piece)
        finally:
            self._until = 0.0
        if self.has_more:
            self._waits = True  # `Turns` keeps us in line
        else:
            self._go_on()
        return had - len(self._held)

    def _go_on(self) -> None:
        if self._ended:
            self._ended = False
            self._connection.eof_received()
        elif self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _wait(self) -> None:
        if not self._waits:
            self._waits = True
            self._turns.wait(self)

    # What asyncssh calls, in place of methods of its own.

    def _gate(self) -> bool:
        """A packet begins: its header is read, or it has to wait for our next turn."""
        if time.perf_counter() >= self._until:
            self._stopped = True
            if not self._until:  # asyncssh goes on by itself after a packet that took a task
                self._wait()
            return False
        if not self._begin_packet():
            return False
        if self._allowed is not None:
            self._packets += 1
            if self._packets > self._allowed.packets:
                self._on_excess(f"more than {self._allowed.packets} packets")
                return False
        return True

    def _watch(self, pkttype: int, pktid: int, packet: Any) -> bool | Awaitable[None]:
        """A packet is handled, unless it is one of a channel, of a login or of a key exchange."""
        result = self._process(pkttype, pktid, packet)
        return self._exchange(result) if pkttype == _KEXINIT else result

    async def _exchange(self, begun: Any) -> None:
        """The beginning of a key exchange, which asyncssh makes a task of."""
        self._exchanges += 1
        if self._allowed is not None and self._exchanges > self._allowed.exchanges:
            begun.close()
            self._on_excess("one key exchange too many")
            return
        began = time.perf_counter()
        await begun
        self._turns.charge(self, time.perf_counter() - began)
