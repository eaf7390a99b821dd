"""An export over HTTP: the daemon's tar, checked and packed as `cucmctl export` does it.

What packs runs in a thread, which reads from the daemon and writes to the client through the loop,
a piece at a time: nothing is kept but what a zip has to know of each file.
"""

from __future__ import annotations

import io
from functools import partial
from typing import IO, cast

import trio
import trio.from_thread

from cucmctl.client.errors import ConnectionLost
from cucmctl.export.export import TarSink, ZipSink, save
from cucmd.protocol.cases import ExportReply
from cucmweb.exchange import Exchange, encoded
from cucmweb.operations import Operation

# Bytes that are sent at once.
_PIECE = 256 * 1024
# Each takes a thread, and the daemon reads its disk.
_AT_ONCE = trio.CapacityLimiter(4)


async def send_archive(exchange: Exchange, operation: Operation) -> None:
    """Raises `Damaged` in the middle where a file is not as it was received: the reply is cut."""
    asked = await exchange.parameters(operation)
    begun = exchange.daemon.upgraded(operation.method, encoded(asked), ExportReply)
    async with begun as (reply, stream):
        name = f"cucmd-{reply.job_id}.{operation.form}"
        headers = {"content_disposition": f'attachment; filename="{name}"'}
        if operation.form == "tar":
            headers["content_length"] = str(reply.length)
        await exchange.begin(operation, **headers)
        await trio.to_thread.run_sync(
            partial(_pack, _Source(stream, reply.length), _Target(exchange), operation.form),
            limiter=_AT_ONCE,
        )
    await exchange.end()


def _pack(source: _Source, target: _Target, form: str) -> None:
    out = cast(IO[bytes], target)
    sink = ZipSink(out) if form == "zip" else TarSink(out)
    try:
        save(source, sink)
        sink.close()
    except BaseException:
        sink.abandon()
        raise


class _Source:
    """The stream of the daemon, for a thread."""

    def __init__(self, stream: trio.abc.ReceiveStream, length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int) -> bytes:
        if not self._left or not size:
            return b""
        most = min(size, self._left)
        data = trio.from_thread.run(self._stream.receive_some, most)
        if not data:
            text = f"the export was cut off, {self._left} bytes are missing"
            raise ConnectionLost(text)
        self._left -= len(data)
        return bytes(data)


class _Target(io.RawIOBase):
    """The body of the reply, for a thread. What is written is sent in pieces of one size."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange
        self._held = bytearray()
        self._sent = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._held += data
        if len(self._held) >= _PIECE:
            self.flush()
        return len(data)

    def tell(self) -> int:
        return self._sent + len(self._held)

    def flush(self) -> None:
        if self._held:
            piece, self._held = bytes(self._held), bytearray()
            self._sent += len(piece)
            trio.from_thread.run(self._exchange.piece, piece)
