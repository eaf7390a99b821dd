"""Streams: every reply as it comes, the last one known as such, and no more than a peer reads."""

from collections.abc import Callable

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from cucmd.varlink.stream import Ahead
from rig.example_interface import NAME, Example, Number
from rig.tries import tries

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


async def test_a_stream_without_replies_ends_with_an_empty_one(connect: Connect) -> None:
    assert await connect().call("Count", {"upto": 0}, more=True) == {"parameters": {}}


async def test_a_stream_that_ends_late_ends_with_an_empty_reply(
    connect: Connect, call: Callable, autojump_clock: trio.testing.MockClock
) -> None:
    peer = connect()
    await peer.send(call("Falter", {"text": "dither"}, more=True))
    assert await peer.finish() == [
        {"parameters": {"number": 1}, "continues": True},
        {"parameters": {}},
    ]


@pytest.mark.parametrize(("how", "error"), [("refuse", "NotThere"), ("fail", "InternalError")])
async def test_an_error_ends_a_stream_and_not_the_connection(
    connect: Connect, call: Callable, how: str, error: str
) -> None:
    peer = connect()
    await peer.send(call("Falter", {"text": how}, more=True))
    assert (await peer.receive())["continues"]
    assert (await peer.receive())["error"] == f"{NAME}.{error}"
    assert "error" not in await peer.call("Who")


async def test_a_peer_that_does_not_read_holds_up_its_own_stream_only(
    connect: Connect, call: Callable, example: Example
) -> None:
    peer, other = connect(), connect()
    # A memory stream takes any amount; this one takes the first reply and then no more.
    sent, room = [], trio.Event()

    async def send_all(data: bytes) -> None:
        if sent:
            await room.wait()
        sent.append(data)

    peer.connection._stream.send_all = send_all
    await peer.send(call("Count", more=True))
    await example.begun.wait()
    example.gate.set()
    await trio.testing.wait_all_tasks_blocked()
    assert len(sent) == 1
    assert len(example.done) < 5, "a stream ran ahead of its reader"
    assert "error" not in await other.call("Who")


async def test_a_hang_up_cancels_a_stream_that_is_quiet(connect: Connect, example: Example) -> None:
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


@tries(50)
@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(0, 3))
def test_the_last_reply_is_known_however_the_two_sides_are_paced(
    waits: list[bool], pause: int
) -> None:
    """`waits`: whether the generator waits before each reply; `pause`: the taker's checkpoints."""

    async def replies():
        for number, wait in enumerate(waits):
            if wait:
                await trio.sleep(1)
            yield Number(number)

    async def main() -> list[tuple[int, bool]]:
        ahead = Ahead(replies())
        taken = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ahead.run)
            async for reply, last in ahead:
                taken.append((reply.number, last))
                for _ in range(1 + pause):  # sending is one checkpoint at least
                    await trio.lowlevel.checkpoint()
        return taken

    taken = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    last = len(waits) - 1
    assert taken == [(number, number == last) for number in range(len(waits))]
