"""One connection to the daemon, which sends frames and receives replies."""

from __future__ import annotations

import socket

import trio

from cucmctl.client.errors import ConnectionLost, not_connected
from cucmctl.client.frames import ReplyBuffer, ReplyFrame
from cucmctl.client.wire import Remote

_PIECE = 256 * 1024
# Seconds between two attempts while the queue of the listener is full. The kernel does not notify
# anybody when it has room again.
_FULL = 0.02


class Wire:
    """Holds one connection. Its methods raise errors of `cucmctl.client.errors`, and
    `trio.ClosedResourceError` after `close`.

    A call that is cancelled has to close the connection: half a frame may have been sent, and the
    reply may still come. If only `receive` is cancelled, no reply is lost.
    """

    def __init__(self, path: str, stream: trio.SocketStream) -> None:
        self._path = path
        self._stream = stream
        self._buffer = ReplyBuffer(path)

    @classmethod
    async def connect(cls, path: str) -> Wire:
        """Opens a connection. Raises `DaemonUnavailable` and `NotPermitted`."""
        while (sock := _connect(path)) is None:  # noqa: ASYNC110  # no event tells when
            await trio.sleep(_FULL)
        return cls(path, trio.SocketStream(trio.socket.from_stdlib_socket(sock)))

    def close(self) -> None:
        """Closes at once, without a checkpoint. Replies that were not read yet are dropped."""
        self._stream.socket.close()
        self._buffer = ReplyBuffer(self._path)

    @property
    def closed(self) -> bool:
        """Returns whether `close` was called."""
        return self._stream.socket.fileno() < 0

    @property
    def is_unusable(self) -> bool:
        """Returns whether an idle connection cannot be used: the daemon has closed it, as in a
        restart, or has sent bytes that no call asked for.
        """
        return bool(len(self._buffer)) or self._stream.socket.is_readable()

    async def send(self, frame: bytes) -> None:
        try:
            await self._stream.send_all(frame)
        except trio.BrokenResourceError:
            # The daemon may have sent an error before it closed the connection: `receive` returns
            # the error, or raises `ConnectionLost`.
            pass

    async def receive(self) -> ReplyFrame:
        """Returns the next reply. Raises `ConnectionLost` and `ProtocolError`."""
        await trio.lowlevel.checkpoint()
        while (reply := self._buffer.take()) is None:
            if not (data := await self._read(None)):
                raise ConnectionLost.at(self._path)
            self._buffer.feed(data)
        return reply

    async def receive_bytes(self, most: int | None) -> bytes:
        """Returns bytes that follow the reply to an upgrade, or b"" at their end."""
        if len(self._buffer):
            await trio.lowlevel.checkpoint()
            return self._buffer.take_bytes(len(self._buffer) if most is None else most)
        return await self._read(most)

    async def _read(self, most: int | None) -> bytes:
        try:
            return bytes(await self._stream.receive_some(most or _PIECE))
        except trio.BrokenResourceError as error:
            raise ConnectionLost.at(self._path) from error


def _connect(path: str) -> socket.socket | None:
    """Returns a connected socket, or None if the queue of the listener is full.

    `connect` of a Unix socket never waits for the other side. trio.open_unix_socket takes the error
    for a full queue to mean that the connection is being made, and its first use then fails.
    """
    if isinstance(path, Remote):
        return path.connect()
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
