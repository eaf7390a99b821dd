"""A connection's bytes, from TCP into asyncssh.

The one rule: it changes nothing of what arrives, only in which pieces.

asyncio would hand over up to 256 KiB at once. asyncssh copies all that it has not used yet,
twice for each SSH packet of 32 KiB: a third of all the time went into that.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import asyncssh

# What is read at once: each read costs a turn of both loops. Measured against 256
# KiB: 2 % more in a second; 1 MiB gave nothing beyond that.
_READ = 512 * 1024

# A packet of OpenSSH's with 32 KiB of payload, and its overhead.
_PIECE = 34 * 1024

# The kernel notices a peer without network after 30 s * (1 + 3); its target usually ends before.
# asyncssh's own keepalive costs a timer for each piece that arrives.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 30, "TCP_KEEPCNT": 3}


class TcpFeed(asyncio.BufferedProtocol):
    """Stands between a transport and the asyncssh connection that it was made for."""

    # One for all connections: it is filled and emptied within one callback.
    _buffer: ClassVar[memoryview] = memoryview(bytearray(_READ))

    def __init__(self, connection: asyncssh.SSHServerConnection) -> None:
        """Takes the transport of that connection, which has just been made."""
        # Private in asyncssh; a test of the receiver fails if that name changes.
        transport = connection._transport
        assert transport is not None
        self._connection = connection
        transport.set_protocol(self)
        _set_keepalive(transport.get_extra_info("socket"))

    # What asyncio calls.

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        for at in range(0, nbytes, _PIECE):
            piece = self._buffer[at : min(at + _PIECE, nbytes)]
            # asyncssh adds it to bytes of its own, so that a view does, whatever its types say.
            self._connection.data_received(piece)  # type: ignore[arg-type]

    def eof_received(self) -> None:
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)


def _set_keepalive(peer: socket.socket) -> None:
    for option, value in _KEEPALIVE.items():
        peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
