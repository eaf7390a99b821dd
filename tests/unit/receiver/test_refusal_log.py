"""However many connections are refused, the log gets one line a minute."""

import logging

import pytest
import trio
from trio.testing import MockClock

from cucmd.receiver.refusal_log import EVERY, RefusalLog


@pytest.fixture
async def refusals(nursery: trio.Nursery) -> RefusalLog:
    log = RefusalLog()
    nursery.start_soon(log.run)
    return log


async def minute_over() -> None:
    await trio.sleep(EVERY)
    await trio.testing.wait_all_tasks_blocked()


async def test_flood_is_one_line_a_minute(
    refusals: RefusalLog, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    for _ in range(3):
        for number in range(600):
            refusals.add("refused", f"192.0.2.{number % 5}")
        await minute_over()
    assert len(caplog.records) == 1 + 3  # the first refusal has a line of its own
    assert sum(record.args[0] for record in caplog.records[1:]) == 600 * 3 - 1
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def test_line_names_addresses_with_most(
    refusals: RefusalLog, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    for source in "abbbccde":
        refusals.add("refused", source)
    await minute_over()
    assert caplog.messages[-1].endswith(
        "b: refused (3); c: refused (2); d: refused (1); and 1 more"
    )


async def test_quiet_minute_ends_the_count(
    refusals: RefusalLog, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    refusals.add("refused", "a")
    await minute_over()
    refusals.add("refused", "b")
    assert len(caplog.records) == 2
