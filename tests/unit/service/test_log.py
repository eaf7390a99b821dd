"""The log: its lines, and of those that a user causes so many a minute, and then a count."""

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator

import pytest
import trio
import trio.testing

from cucmd.service import log as service_log
from cucmd.service.log import (
    MINUTE,
    JournalFormatter,
    LogLimit,
    PlainFormatter,
    is_journal,
    set_up_logging,
)
from cucmd.varlink import Caller

# Lines


@pytest.fixture(autouse=True)
def no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tests themselves run under."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)


@pytest.fixture
def root_logger():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("cucmd.test", level, __file__, 1, text, None, None)


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.DEBUG, 7),
        (logging.INFO, 6),
        (logging.WARNING, 4),
        (logging.ERROR, 3),
        (logging.CRITICAL, 2),
    ],
)
def test_the_journal_gets_a_priority_on_every_line(level, priority):
    text = JournalFormatter().format(record(level, "one\ntwo"))
    assert text == f"<{priority}>cucmd.test: one\n<{priority}>two"


def test_elsewhere_a_line_has_its_time():
    entry = record(logging.WARNING, "one\ntwo")
    entry.created, entry.msecs = 1795602780.123, 123.0
    text = PlainFormatter().format(entry)
    assert text == "2026-11-25T10:33:00.123Z WARNING cucmd.test: one\n    two"


@pytest.mark.parametrize("formatter", [JournalFormatter(), PlainFormatter()])
def test_control_characters_of_a_node_are_escaped(formatter):
    text = formatter.format(record(logging.INFO, "\x1b[2J\r\x07\x9b\x7f \u2713"))
    assert text.endswith("\\x1b[2J\\x0d\\x07\\x9b\\x7f \u2713")


def test_the_log_goes_to_one_place_at_its_level(root_logger):
    stream = io.StringIO()
    set_up_logging(logging.WARNING, stream=stream)
    set_up_logging(logging.WARNING, stream=stream)
    logging.getLogger("cucmd.test").info("not shown")
    logging.getLogger("cucmd.test").warning("shown")
    assert stream.getvalue().count("shown") == 1


def test_the_journal_is_recognized_by_its_stream(monkeypatch, tmp_path):
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "file").open("w") as other:
        status = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert is_journal(journal)
        assert not is_journal(other)
        assert not is_journal(io.StringIO())
    assert not is_journal(sys.stderr)


# Limits of a user

ALICE = Caller(uid=1000, gid=1000, groups=frozenset(), pid=1)
BOB = Caller(uid=1001, gid=1001, groups=frozenset(), pid=2)
MOST = 3


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> LogLimit:
    monkeypatch.setattr(service_log, "MOST_RECORDS", MOST)
    return LogLimit()


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


def test_lines_of_another_level_are_counted_apart(lines: Callable) -> None:
    for number in range(100):
        log.warning("node %d failed", number, extra=ALICE.for_log)
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
