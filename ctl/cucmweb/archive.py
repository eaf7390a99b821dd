"""Sends an export over HTTP: the daemon's tar, checked and packed as `cucmctl export` does it.

What packs runs in a thread, which reads from the daemon and writes to the client through the loop,
a piece at a time: nothing is kept but what a zip has to know of each file.
"""

from __future__ import annotations

from typing import IO, cast

import trio
import trio.from_thread

from cucmctl.export.export import TarSink, ZipSink, save
from cucmd.protocol.cases import ExportReply
from cucmtrio.client import Exported
from cucmweb.exchange import Exchange, encoded
from cucmweb.operations import Operation

# Bytes that are sent at once.
_PIECE = 256 * 1024


async def send_archive(exchange: Exchange, operation: Operation) -> None:
    """Raises `Damaged` in the middle where a file is not as it was received: the reply is cut."""
    asked = await exchange.parameters(operation)
    async with (
        exchange.download() as daemon,
        daemon.upgraded(operation.method, encoded(asked), ExportReply) as (reply, stream),
    ):
        name = f"cucmd-{reply.job_id}.{operation.form}"
        headers = {"content_disposition": f'attachment; filename="{name}"'}
        if operation.form == "tar":
            headers["content_length"] = str(reply.length)
        await exchange.begin(operation, **headers)
        source = _ExportReader(Exported(stream, reply.length))
        await trio.to_thread.run_sync(_pack, source, _ReplyWriter(exchange), operation.form)
    await exchange.end()


def _pack(source: _ExportReader, target: _ReplyWriter, form: str) -> None:
    out = cast(IO[bytes], target)
    sink = ZipSink(out) if form == "zip" else TarSink(out)
    try:
        save(source, sink)
        sink.close()
    except BaseException:
        sink.abandon()
        raise


class _ExportReader:
    """Reads the stream of the daemon, in a thread."""

    def __init__(self, stream: Exported) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        return trio.from_thread.run(self._stream.receive_some, size) if size else b""


class _ReplyWriter:
    """Writes the body of the reply, in a thread. What is written is sent in pieces of one size."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._held = bytearray()
        self._sent = 0

    def write(self, data: bytes) -> int:
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
