"""Sends each form of reply, made from the replies of the daemon.

An export is the daemon's tar, checked and packed as `cucmctl export` does it. Packing runs in a
thread, which reads from the daemon and writes to the client through trio's loop, one piece at a
time. Only the directory of a zip is kept in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import IO, Any, TypeAlias, cast

import msgspec
import trio
import trio.from_thread

from cucmctl.export.save import Damaged, TarSink, ZipSink, save
from cucmctl.text.metrics import metrics_text
from cucmd.protocol.cases import ExportReply
from cucmd.protocol.figures import FiguresReply
from cucmtrio.client import Exported
from cucmweb.daemon_liveness import while_it_answers
from cucmweb.exchange import Exchange, Members, encode
from cucmweb.operations import MEDIA, Operation, ReplyForm

CallParameters: TypeAlias = dict[str, Any]
SendReply: TypeAlias = Callable[[Exchange, Operation, CallParameters], Awaitable[None]]
SendPiece: TypeAlias = Callable[[bytes], Awaitable[None]]

NULL = b"null"
# Seconds within which the daemon has to answer for /metrics.
_FIGURES_WITHIN = 8.0
# Bytes of an archive in one piece.
_PIECE = 256 * 1024


async def send_object(exchange: Exchange, operation: Operation, call: CallParameters) -> None:
    daemon, limited = exchange.daemon, operation.limited
    async with nullcontext() if limited else while_it_answers(daemon):
        reply = await daemon.call(operation.method, encode(call), Members, limited=limited)
    body = _reply_part(reply, operation)
    headers = {}
    if operation.status == 201:
        headers["location"] = f"{exchange.channel.base}/jobs/{msgspec.json.decode(body)['job_id']}"
    await exchange.whole(body, operation.status, headers)


async def send_list(exchange: Exchange, operation: Operation, call: CallParameters) -> None:
    """Sends one object with a list, whose items are written as they come."""
    between = f'{{"{operation.gives}":['.encode()

    async def send(piece: bytes) -> None:
        nonlocal between  # precedes the next items: first the head of the object, then a comma
        if inner := piece.strip()[1:-1].strip():
            await exchange.channel.send(between + inner)
            between = b","

    await _each(exchange, operation, call, send)
    await exchange.channel.send(b"]}" if between == b"," else between + b"]}")
    await exchange.channel.end()


async def send_pieces(exchange: Exchange, operation: Operation, call: CallParameters) -> None:
    """Sends each reply of the daemon as a line of JSON, or as text."""

    async def send(piece: bytes) -> None:
        if operation.form == "text":
            await exchange.channel.send(msgspec.json.decode(piece, type=str).encode())
        elif piece != NULL:  # the last reply of some streams is empty
            await exchange.channel.send(piece + b"\n")

    await _each(exchange, operation, call, send)
    await exchange.channel.end()


async def _each(
    exchange: Exchange, operation: Operation, call: CallParameters, send: SendPiece
) -> None:
    """Calls `send` with each reply of the daemon's stream. The HTTP reply begins after the first,
    so that a refusal can still have its own status.
    """
    async with (
        exchange.download() as daemon,
        daemon.replies(operation.method, encode(call), Members) as replies,
    ):
        begun = False
        async for reply in replies:
            if not begun:
                exchange.begin(operation)
                begun = True
            await send(_reply_part(reply, operation))


def _reply_part(reply: Members, operation: Operation) -> bytes:
    if operation.gives is None:
        return msgspec.json.encode(reply)
    return bytes(reply.get(operation.gives, NULL))


async def send_metrics(
    exchange: Exchange, operation: Operation, call: CallParameters, *, per_node: bool
) -> None:
    """Sends figures for Prometheus. A daemon that does not answer soon is an error: a monitoring
    system gives up after 10 s, and would not know why.
    """
    daemon = exchange.daemon
    with daemon.limit(trio.current_time() + _FIGURES_WITHIN):
        shown = await daemon.call(
            operation.method, encode(call | {"per_node": per_node or None}), FiguresReply
        )
    await exchange.whole(metrics_text(shown), headers={"content-type": MEDIA[operation.form]})


async def send_archive(exchange: Exchange, operation: Operation, call: CallParameters) -> None:
    """Sends an export as a zip or a tar.

    Raises `Damaged` in the middle of the reply, which is cut off then, if the content of a file has
    changed since it was received. The daemon is told, so that the next export leaves the file out.
    """
    async with exchange.download() as daemon:
        try:
            async with daemon.upgraded(operation.method, encode(call), ExportReply) as answer:
                reply, stream = answer
                name = f"{reply.name}.{operation.form}"
                headers = {"content-disposition": f'attachment; filename="{name}"'}
                if operation.form == "tar":
                    headers["content-length"] = str(reply.length)
                exchange.begin(operation, headers)
                source = _ExportReader(Exported(stream, reply.length))
                await trio.to_thread.run_sync(_pack, source, _ReplyWriter(exchange), operation.form)
        except Damaged as damaged:
            call["suspect"] = damaged.suspect
            # The daemon reads the suspected files again before it answers, so nothing but the
            # answer is needed of this export.
            async with daemon.upgraded(operation.method, encode(call), ExportReply):
                pass
            raise
    await exchange.channel.end()


def _pack(source: _ExportReader, target: _ReplyWriter, form: str) -> None:
    out = cast(IO[bytes], target)
    sink = ZipSink(out) if form == "zip" else TarSink(out)
    try:
        save(source, sink)
        sink.close()
    except BaseException:
        # Without this, the end of the zip would be written when the object is freed, and a part of
        # the files would look like all of them.
        sink.abandon()
        raise


class _ExportReader:
    """Reads the tar of the daemon, from a thread."""

    def __init__(self, stream: Exported) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        return trio.from_thread.run(self._stream.receive_some, size) if size else b""


class _ReplyWriter:
    """Writes the body of the reply, from a thread, in pieces of `_PIECE` bytes."""

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
            trio.from_thread.run(self._exchange.channel.send, piece)


ANSWERS: dict[ReplyForm, SendReply] = {
    "object": send_object,
    "list": send_list,
    "lines": send_pieces,
    "text": send_pieces,
    "zip": send_archive,
    "tar": send_archive,
}
