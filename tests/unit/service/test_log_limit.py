"""Log lines that a user causes: so many a minute, and then a count."""

import io
import logging
from collections.abc import Callable, Iterator

import pytest
import trio
import trio.testing

from cucmd.service.log_limit import MINUTE, LogLimit
from cucmd.varlink import Caller

ALICE = Caller(uid=1000, gid=1000, groups=frozenset(), pid=1)
BOB = Caller(uid=1001, gid=1001, groups=frozenset(), pid=2)
MOST = 3


@pytest.fixture
def limit() -> LogLimit:
    return LogLimit(MOST)


@pytest.fixture
def lines(limit: LogLimit) -> Iterator[Callable[[], list[str]]]:
    """What a handler with the limit has written since the last call."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(limit)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)

    def taken() -> list[str]:
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return text.splitlines()

    yield taken
    root.removeHandler(handler)
    root.setLevel(level)


log = logging.getLogger("cucmd.test")


def flood(caller: Caller, count: int) -> None:
    for number in range(count):
        log.info("call %d of %d", number, caller.uid, extra=caller.for_log)


def test_the_lines_of_a_users_jobs_are_counted_apart(lines: Callable) -> None:
    for number in range(100):
        log.warning("node %d failed", number, extra={"uid": ALICE.uid, "of_job": True})
    flood(ALICE, 2)
    assert len(lines()) == MOST + 2


def test_a_user_has_so_many_lines_and_others_have_theirs(lines: Callable) -> None:
    flood(ALICE, 100)
    flood(BOB, 2)
    log.info("of nobody")
    assert len(lines()) == MOST + 2 + 1


def test_what_was_left_out_is_counted_for_each_user(lines: Callable, limit: LogLimit) -> None:
    flood(ALICE, 100)
    flood(BOB, MOST)
    lines()
    limit.next_minute()
    (line,) = lines()
    assert f"uid {ALICE.uid}: {100 - MOST} " in line
    limit.next_minute()
    assert lines() == []


def test_the_next_minute_begins_at_zero(lines: Callable, limit: LogLimit) -> None:
    flood(ALICE, 100)
    limit.next_minute()
    lines()
    flood(ALICE, 100)
    assert len(lines()) == MOST


def test_a_flood_of_calls_hides_no_defect(lines: Callable) -> None:
    flood(ALICE, 100)
    lines()
    log.error("a defect", extra=ALICE.for_log)
    assert lines() == ["a defect"]


async def test_the_count_comes_each_minute_and_at_the_end(
    lines: Callable, limit: LogLimit, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(limit.run)
        for _ in range(2):
            flood(ALICE, MOST + 1)
            await trio.sleep(MINUTE + 1)
            assert len(lines()) == MOST + 1
        flood(ALICE, MOST + 1)
        nursery.cancel_scope.cancel()
    assert len(lines()) == MOST + 1
