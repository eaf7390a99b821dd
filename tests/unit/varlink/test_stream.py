"""Streams: each reply at once, the last one marked, and no more than the peer reads."""

from collections.abc import AsyncGenerator, Callable

import pytest
import trio
import trio.testing
from trio.testing import MockClock

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


async def test_a_reply_does_not_wait_for_the_next(connect: Connect, example: Example) -> None:
    peer = connect()
    first = await peer.call("Count", more=True)
    assert first == {"parameters": {"number": 0}, "continues": True}
    example.gate.set()
    assert numbers([await peer.receive()]) == [1]


async def test_calls_behind_a_stream_are_answered_after_it(
    connect: Connect, call: Callable
) -> None:
    peer = connect()
    await peer.send(call("Count", {"upto": 2}, more=True), call("Echo", {"text": "after"}))
    assert (await peer.finish())[2] == {"parameters": {"text": "after"}}


async def test_a_stream_without_replies_is_a_defect(connect: Connect) -> None:
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
async def test_an_error_ends_a_stream_and_not_the_connection(
    connect: Connect, call: Callable, how: str, error: str
) -> None:
    peer = connect()
    await peer.send(call("Falter", {"text": how}, more=True))
    assert (await peer.receive())["continues"]
    assert (await peer.receive())["error"] == f"{NAME}.{error}"
    assert "error" not in await peer.call("Who")


async def test_a_peer_that_does_not_read_blocks_only_its_own_stream(
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


async def test_a_hang_up_cancels_a_stream_that_waits(connect: Connect, example: Example) -> None:
    peer = connect()
    await peer.call("Count", more=True)
    peer.connection.hang_up()
    await example.ended.wait()
    assert example.done == ["count cancelled"]


async def test_a_send_that_fails_ends_a_stream(connect: Connect, example: Example) -> None:
    peer = connect()
    await peer.call("Count", more=True)
    await peer.stream.aclose()
    example.gate.set()
    await peer.over.wait()
    assert len(example.done) < 5


async def test_a_stream_has_to_be_read(
    connect: Connect, call: Callable, autojump_clock: MockClock
) -> None:
    peer = connect()
    peer.served.send_stream.send_all_hook = trio.sleep_forever
    begun = trio.current_time()
    await peer.send(call("Count", {"upto": 5}, more=True))
    await peer.over.wait()
    assert trio.current_time() - begun == pytest.approx(60.0)
