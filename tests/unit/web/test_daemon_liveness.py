"""Long replies end if the daemon does not answer another call meanwhile."""

from collections.abc import Awaitable, Callable
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
    """A client whose calls run `answer`."""

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
async def test_answering_daemon_is_waited_for(
    autojump_clock: MockClock, answer: Callable[[], Awaitable[object]]
) -> None:
    daemon = AskedDaemon(answer)
    async with while_it_answers(daemon):
        await trio.sleep(HOURS)
    assert daemon.asked > 100


@pytest.mark.parametrize("answer", [trio.sleep_forever, break_off])
async def test_silent_daemon_is_given_up(
    autojump_clock: MockClock, answer: Callable[[], Awaitable[object]]
) -> None:
    with trio.fail_after(daemon_liveness.SILENCE + 1), pytest.raises(DaemonUnavailable):
        async with while_it_answers(AskedDaemon(answer)):
            await trio.sleep_forever()


async def test_errors_of_the_block_are_raised(autojump_clock: MockClock) -> None:
    with pytest.raises(KeyError):
        async with while_it_answers(AskedDaemon(trio.sleep_forever)):
            raise KeyError


async def test_readiness_is_asked_once_a_second(autojump_clock: MockClock) -> None:
    daemon, readiness = AskedDaemon(trio.lowlevel.checkpoint), Readiness()
    answers: list[bool] = []

    async def ask() -> None:
        answers.append(await readiness.check(daemon))

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(ask)
    assert (answers, daemon.asked) == ([True] * 100, 1)
    daemon.answer = trio.sleep_forever
    await trio.sleep(1)
    assert not await readiness.check(daemon)
