"""Holds one connection to the daemon, on trio: frames go out, replies come in. It knows nothing of
jobs.
"""

from __future__ import annotations

import socket

import trio

from cucmctl.client.errors import ConnectionLost, not_connected
from cucmctl.client.frames import ReplyBuffer, ReplyFrame

_PIECE = 256 * 1024
# Seconds between two attempts while the queue of the listener is full. The kernel tells nobody when
# there is room in it again.
_FULL = 0.02


class Wire:
    """Raises the errors of `cucmctl.client.errors`, and `trio.ClosedResourceError` once it is
    closed. A call that is cancelled has to close it: half a frame may have been sent, and its reply
    may still come. To be cancelled in `receive` loses nothing by itself.
    """

    def __init__(self, path: str, stream: trio.SocketStream) -> None:
        self._path = path
        self._stream = stream
        self._came = ReplyBuffer(path)

    @classmethod
    async def connected(cls, path: str) -> Wire:
        """Raises `DaemonUnavailable`, `NotPermitted`."""
        while (sock := _connected(path)) is None:  # noqa: ASYNC110  # there is no such event
            await trio.sleep(_FULL)
        return cls(path, trio.SocketStream(trio.socket.from_stdlib_socket(sock)))

    def close(self) -> None:
        """Closes at once, with no checkpoint. What has come and was not taken is gone."""
        self._stream.socket.close()
        self._came = ReplyBuffer(self._path)

    @property
    def closed(self) -> bool:
        """Says whether we have closed it."""
        return self._stream.socket.fileno() < 0

    @property
    def spent(self) -> bool:
        """Says whether no call can be made over it while it is idle: the daemon has closed it, as
        in a restart, or has sent what nobody has asked for.
        """
        return bool(len(self._came)) or self._stream.socket.is_readable()

    async def send(self, frame: bytes) -> None:
        try:
            await self._stream.send_all(frame)
        except trio.BrokenResourceError:
            pass  # it may have sent an error before it closed: `receive` reads that, or raises

    async def receive(self) -> ReplyFrame:
        """Returns the next reply. Raises `ConnectionLost`, `ProtocolError`."""
        await trio.lowlevel.checkpoint()
        while (reply := self._came.take()) is None:
            if not (data := await self._read(None)):
                raise ConnectionLost.at(self._path)
            self._came.feed(data)
        return reply

    async def receive_bytes(self, most: int | None) -> bytes:
        """Receives what follows the reply to an upgrade, as much as is there; b"" at its end."""
        if len(self._came):
            await trio.lowlevel.checkpoint()
            return self._came.take_bytes(len(self._came) if most is None else most)
        return await self._read(most)

    async def _read(self, most: int | None) -> bytes:
        try:
            return bytes(await self._stream.receive_some(most or _PIECE))
        except trio.BrokenResourceError as error:
            raise ConnectionLost.at(self._path) from error


def _connected(path: str) -> socket.socket | None:
    """Connects a socket; None if the queue of the listener is full.

    Of a Unix socket `connect` never waits for the other side. trio's own takes a full queue for a
    connection that is being made, and the first use of it fails.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.connect(path)
    except BlockingIOError:
        sock.close()
        return None
    except (OSError, ValueError) as error:
        sock.close()
        raise not_connected(path, error) from error
    return sock
