"""Limits of each user, turns of calls, and frames of users who may not operate."""

import logging
from collections.abc import Callable

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from cucmd.varlink import Caller
from cucmd.varlink.connection import LONGEST_OF_OTHERS
from cucmd.varlink.limits import MANY_CALLS, UNREAD, OverLimit, SocketLimits, Users
from rig.example_interface import Example

ALICE, BOB = 1000, 1001
ANOTHER = Caller(uid=BOB, gid=1, groups=frozenset(), pid=1)
Connect = Callable[..., object]


def users(**limits: int) -> Users:
    return Users(SocketLimits(**limits))


def test_limit_affects_only_its_user() -> None:
    held = users(connections=2)
    with held.hold(ALICE, "connections"), held.hold(ALICE, "connections"):
        with pytest.raises(OverLimit) as caught, held.hold(ALICE, "connections"):
            pass
        assert (caught.value.limit, caught.value.maximum) == ("connections", 2)
        with held.hold(BOB, "connections"), held.hold(ALICE, "streams"):
            pass
    with held.hold(ALICE, "connections"):
        pass


async def test_calls_of_user_take_turns(connect: Connect, call: Callable, example: Example) -> None:
    waiting, second, another = connect(), connect(), connect(ANOTHER)
    await waiting.send(call("Wait"))
    await example.begun.wait()
    await second.send(call("Echo", {"text": "second"}))
    assert "error" not in await another.call("Echo", {"text": "another"})
    await trio.testing.wait_all_tasks_blocked()
    assert example.done == ["echo another"]
    example.gate.set()
    await second.receive()
    assert example.done == ["echo another", "wait", "echo second"]


async def test_hanging_call_delays_others_shortly(
    connect: Connect, call: Callable, example: Example, autojump_clock: MockClock
) -> None:
    waiting, second = connect(), connect()
    await waiting.send(call("Wait"))
    await example.begun.wait()
    begun = trio.current_time()
    assert "error" not in await second.call("Who")
    assert trio.current_time() - begun == pytest.approx(1.0)


async def test_peer_that_reads_nothing_is_dropped(
    connect: Connect, call: Callable, autojump_clock: MockClock
) -> None:
    """Other connections of its user are answered meanwhile."""
    peer, second = connect(), connect()
    peer.served.send_stream.send_all_hook = trio.sleep_forever
    begun = trio.current_time()
    await peer.send(call("Who"), call("Who"))
    assert "error" not in await second.call("Who")
    assert trio.current_time() == begun
    await peer.over.wait()
    assert trio.current_time() - begun == pytest.approx(UNREAD)


async def test_viewers_may_send_short_frames(connect: Connect) -> None:
    def longest(more: int) -> bytes:
        begin, end = b'{"method":"io.example.Test.Who"', b"}\0"
        return begin + b" " * (LONGEST_OF_OTHERS + 1 + more - len(begin) - len(end)) + end

    viewer = connect(may_operate=lambda caller: False)
    await viewer.send(longest(0), longest(1))
    assert len(await viewer.receive_all()) == 1
    operator = connect()
    await operator.send(longest(0), longest(1))
    assert len(await operator.finish()) == 2


@pytest.mark.long
async def test_log_names_flooding_user(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The name appears once a minute."""
    held = users()
    for _ in range(2):
        for _ in range(MANY_CALLS + 10):
            (await held.turn(ALICE)).close()
        (await held.turn(BOB)).close()
        await trio.sleep(61)
    named = [(record.uid, record.levelno) for record in caplog.records]
    assert named == [(ALICE, logging.WARNING)] * 2
