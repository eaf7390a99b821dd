"""Says how each form of reply is sent, from the replies of the daemon.

An export is the daemon's tar, checked and packed as `cucmctl export` does it. What packs runs in a
thread, which reads from the daemon and writes to the client through the loop, a piece at a time:
nothing is kept but what a zip has to know of each file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import IO, Any, TypeAlias, cast

import msgspec
import trio
import trio.from_thread

from cucmctl.export.save import Damaged, TarSink, ZipSink, save
from cucmd.protocol.cases import ExportReply
from cucmtrio.client import Exported
from cucmweb.daemon_liveness import while_it_answers
from cucmweb.exchange import Exchange, Members, encoded
from cucmweb.operations import Operation, ReplyForm

AskedMembers: TypeAlias = dict[str, Any]
SendReply: TypeAlias = Callable[[Exchange, Operation, AskedMembers], Awaitable[None]]
SendPiece: TypeAlias = Callable[[bytes], Awaitable[None]]

NULL = b"null"
# Bytes that are sent at once.
_PIECE = 256 * 1024


async def send_object(exchange: Exchange, operation: Operation, asked: AskedMembers) -> None:
    daemon, limited = exchange.daemon, operation.limited
    async with nullcontext() if limited else while_it_answers(daemon):
        reply = await daemon.call(operation.method, encoded(asked), Members, limited=limited)
    given = _given(reply, operation)
    headers = {}
    if operation.status == 201:
        headers["location"] = f"/jobs/{msgspec.json.decode(given, type=_JobId).job_id}"
    await exchange.whole(given, operation.status, headers)


async def send_list(exchange: Exchange, operation: Operation, asked: AskedMembers) -> None:
    """Sends one object, whose list is written as it comes."""
    between = f'{{"{operation.gives}":['.encode()

    async def send(piece: bytes) -> None:
        nonlocal between
        if inner := piece.strip()[1:-1].strip():
            await exchange.channel.send(between + inner)
            between = b","

    await _each(exchange, operation, asked, send)
    await exchange.channel.send(b"]}" if between == b"," else between + b"]}")
    await exchange.channel.end()


async def send_pieces(exchange: Exchange, operation: Operation, asked: AskedMembers) -> None:
    """Sends each reply as a line of JSON, or as text."""

    async def send(piece: bytes) -> None:
        if operation.form == "text":
            await exchange.channel.send(msgspec.json.decode(piece, type=str).encode())
        elif piece != NULL:  # the last of some streams has nothing
            await exchange.channel.send(piece + b"\n")

    await _each(exchange, operation, asked, send)
    await exchange.channel.end()


async def _each(
    exchange: Exchange, operation: Operation, asked: AskedMembers, send: SendPiece
) -> None:
    """Sends what each reply of a stream gives. Ours begins once the first has come."""
    async with (
        exchange.download() as daemon,
        daemon.replies(operation.method, encoded(asked), Members) as replies,
    ):
        begun = False
        async for reply in replies:
            if not begun:
                exchange.begin(operation)
                begun = True
            await send(_given(reply, operation))


def _given(reply: Members, operation: Operation) -> bytes:
    if operation.gives is None:
        return msgspec.json.encode(reply)
    return bytes(reply.get(operation.gives, NULL))


class _JobId(msgspec.Struct):
    job_id: str


async def send_archive(exchange: Exchange, operation: Operation, asked: AskedMembers) -> None:
    """Raises `Damaged` in the middle where a file is not as it was received: the reply is cut off,
    and the daemon is told, so that the next one leaves the file out.
    """
    async with exchange.download() as daemon:
        try:
            async with daemon.upgraded(operation.method, encoded(asked), ExportReply) as answer:
                reply, stream = answer
                name = f"{reply.name}.{operation.form}"
                headers = {"content-disposition": f'attachment; filename="{name}"'}
                if operation.form == "tar":
                    headers["content-length"] = str(reply.length)
                exchange.begin(operation, headers)
                source = _ExportReader(Exported(stream, reply.length))
                await trio.to_thread.run_sync(_pack, source, _ReplyWriter(exchange), operation.form)
        except Damaged as damaged:
            asked["suspect"] = damaged.suspect
            async with daemon.upgraded(operation.method, encoded(asked), ExportReply):
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
            trio.from_thread.run(self._exchange.channel.send, piece)


ANSWERS: dict[ReplyForm, SendReply] = {
    "object": send_object,
    "list": send_list,
    "lines": send_pieces,
    "text": send_pieces,
    "zip": send_archive,
    "tar": send_archive,
}
