"""Streams: the last reply is marked, and no reply is made before the peer reads the one before."""

from collections.abc import AsyncGenerator, Callable

import pytest
import trio
import trio.testing

from cucmd.varlink import StreamReply
from cucmd.varlink.service import MethodTable
from rig.example_interface import INFO, NAME, Example, Number

Connect = Callable[..., object]


def numbers(replies: list[dict]) -> list[int]:
    return [reply["parameters"]["number"] for reply in replies]


@pytest.mark.parametrize("upto", [1, 2, 3, 50])
async def test_all_replies_continue_but_the_last(
    connect: Connect, call: Callable, upto: int
) -> None:
    peer = connect()
    await peer.send(call("Count", {"upto": upto}, more=True))
    replies = await peer.finish()
    assert numbers(replies) == list(range(1, upto + 1))
    assert [reply.get("continues", False) for reply in replies] == [True] * (upto - 1) + [False]


async def test_empty_stream_is_a_defect(connect: Connect) -> None:
    reply = await connect().call("Count", {"upto": 0}, more=True)
    assert reply == {"error": f"{NAME}.InternalError", "parameters": {}}


async def test_nothing_follows_the_last_reply(connect: Connect, example: Example) -> None:
    closed = []

    async def never_returns(*_: object) -> AsyncGenerator[StreamReply, None]:
        try:
            yield StreamReply(Number(1), continues=False)
            await trio.sleep_forever()
        finally:
            closed.append(True)

    example.count = never_returns
    peer = connect(methods=MethodTable(example.interface(), INFO))
    assert await peer.call("Count", more=True) == {"parameters": {"number": 1}}
    assert "error" not in await peer.call("Who")
    assert closed == [True]


@pytest.mark.parametrize(
    ("how", "error"),
    [("refuse", "NotThere"), ("fail", "InternalError"), ("return", "InternalError")],
)
async def test_error_ends_only_the_stream(
    connect: Connect, call: Callable, how: str, error: str
) -> None:
    peer = connect()
    await peer.send(call("Falter", {"text": how}, more=True))
    assert (await peer.receive())["continues"]
    assert (await peer.receive())["error"] == f"{NAME}.{error}"
    assert "error" not in await peer.call("Who")


async def test_unread_stream_blocks_only_itself(
    connect: Connect, call: Callable, example: Example
) -> None:
    peer, other = connect(), connect()
    # A memory stream takes any amount; this one takes the first reply and then no more.
    sent, room = [], trio.Event()

    async def send_all(data: bytes) -> None:
        if sent:
            await room.wait()
        sent.append(data)

    peer.served.send_all = send_all
    await peer.send(call("Count", more=True))
    await example.begun.wait()
    example.gate.set()
    await trio.testing.wait_all_tasks_blocked()
    assert len(sent) == 1
    assert example.done == ["count", "counted 1"], "a stream ran ahead of its reader"
    assert "error" not in await other.call("Who")


async def test_hang_up_cancels_waiting_stream(connect: Connect, example: Example) -> None:
    peer = connect()
    await peer.call("Count", more=True)
    peer.connection.hang_up()
    await example.ended.wait()
    assert example.done == ["count cancelled"]
