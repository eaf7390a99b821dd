"""Says how each form of reply is sent, from the replies of the daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import TypeAlias

import msgspec

from cucmweb.archive import send_archive
from cucmweb.exchange import Exchange, Members, encoded
from cucmweb.liveness import while_it_answers
from cucmweb.operations import Operation, ReplyForm

SendReply: TypeAlias = Callable[[Exchange, Operation], Awaitable[None]]

NULL = b"null"


async def send_object(exchange: Exchange, operation: Operation) -> None:
    asked = await exchange.parameters(operation)
    daemon, limited = exchange.daemon, operation.limited
    async with nullcontext() if limited else while_it_answers(daemon):
        reply = await daemon.call(operation.method, encoded(asked), Members, limited=limited)
    given = _given(reply, operation)
    headers = {}
    if operation.status == 201:
        headers["location"] = f"/jobs/{msgspec.json.decode(given, type=_JobId).job_id}"
    await exchange.whole(given, operation.status, **headers)


async def send_list(exchange: Exchange, operation: Operation) -> None:
    """Sends one object, whose list is written as it comes."""
    between = f'{{"{operation.gives}":['.encode()

    async def send(piece: bytes) -> None:
        nonlocal between
        if inner := piece.strip()[1:-1].strip():
            await exchange.piece(between + inner)
            between = b","

    await _each(exchange, operation, send)
    await exchange.piece(b"]}" if between == b"," else between + b"]}")
    await exchange.end()


async def send_lines(exchange: Exchange, operation: Operation) -> None:
    async def send(piece: bytes) -> None:
        if piece != NULL:  # the last of some streams has nothing
            await exchange.piece(piece + b"\n")

    await _each(exchange, operation, send)
    await exchange.end()


async def send_text(exchange: Exchange, operation: Operation) -> None:
    async def send(piece: bytes) -> None:
        await exchange.piece(msgspec.json.decode(piece, type=str).encode())

    await _each(exchange, operation, send)
    await exchange.end()


async def _each(
    exchange: Exchange, operation: Operation, send: Callable[[bytes], Awaitable[None]]
) -> None:
    """Sends what each reply of a stream gives. The head of ours is sent before the first."""
    asked = await exchange.parameters(operation)
    async with (
        exchange.download() as daemon,
        daemon.replies(operation.method, encoded(asked), Members) as replies,
    ):
        begun = False
        async for reply in replies:
            if not begun:
                await exchange.begin(operation)
                begun = True
            await send(_given(reply, operation))


def _given(reply: Members, operation: Operation) -> bytes:
    if operation.gives is None:
        return msgspec.json.encode(reply)
    return bytes(reply.get(operation.gives, NULL))


class _JobId(msgspec.Struct):
    job_id: str


ANSWERS: dict[ReplyForm, SendReply] = {
    "object": send_object,
    "list": send_list,
    "lines": send_lines,
    "text": send_text,
    "zip": send_archive,
    "tar": send_archive,
}
