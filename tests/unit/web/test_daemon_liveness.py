"""A daemon that says nothing for long: whether it is waited for."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from cucmctl.client.errors import ClientError, ConnectionLost, DaemonUnavailable
from cucmtrio import Client
from cucmweb import daemon_liveness
from cucmweb.daemon_liveness import Readiness, while_it_answers

HOURS = 10 * 3600


class AskedDaemon(Client):
    """`answer` is what it does when it is asked."""

    def __init__(self, answer: Callable[[], Awaitable[object]]) -> None:
        super().__init__("/not/there")
        self.answer = answer
        self.asked = 0

    async def call(self, *_: object, **__: object) -> Any:
        self.asked += 1
        return await self.answer()


async def refuse() -> None:
    raise ClientError


async def break_off() -> None:
    raise ConnectionLost


@pytest.mark.parametrize("answer", [trio.lowlevel.checkpoint, refuse])
async def test_a_daemon_that_answers_is_waited_for(
    autojump_clock: MockClock, answer: Callable[[], Awaitable[object]]
) -> None:
    daemon = AskedDaemon(answer)
    async with while_it_answers(daemon):
        await trio.sleep(HOURS)
    assert daemon.asked > 100


@pytest.mark.parametrize("answer", [trio.sleep_forever, break_off])
async def test_a_daemon_that_does_not_answer_is_given_up(
    autojump_clock: MockClock, answer: Callable[[], Awaitable[object]]
) -> None:
    with trio.fail_after(daemon_liveness.SILENCE + 1), pytest.raises(DaemonUnavailable):
        async with while_it_answers(AskedDaemon(answer)):
            await trio.sleep_forever()


async def test_an_error_of_what_is_waited_for_is_raised_as_it_is(autojump_clock: MockClock) -> None:
    with pytest.raises(KeyError):
        async with while_it_answers(AskedDaemon(trio.sleep_forever)):
            raise KeyError


async def test_those_who_ask_together_are_told_together(autojump_clock: MockClock) -> None:
    daemon, told = AskedDaemon(partial(trio.sleep, 1)), []

    async def ask() -> None:
        told.append(await readiness.of(daemon))

    readiness = Readiness()
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(ask)
    assert told == [True] * 100
    assert daemon.asked <= 2


async def test_who_asks_and_leaves_leaves_no_old_answer_to_others(
    autojump_clock: MockClock,
) -> None:
    daemon, readiness = AskedDaemon(trio.lowlevel.checkpoint), Readiness()
    assert await readiness.of(daemon)
    daemon.answer = trio.sleep_forever
    async with trio.open_nursery() as nursery:
        leaves = await nursery.start(ask_until_cancelled, readiness, daemon)
        nursery.start_soon(cancel_later, leaves)
        with trio.fail_after(60):
            assert not await readiness.of(daemon)


async def ask_until_cancelled(
    readiness: Readiness, daemon: Client, *, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await readiness.of(daemon)


async def cancel_later(scope: trio.CancelScope) -> None:
    await trio.sleep(1)
    scope.cancel()
