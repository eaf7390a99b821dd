"""The lines of the log, and the limit of lines for each user."""

import io
import logging
import os
import sys
from collections.abc import Callable

import pytest
import trio
import trio.testing

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
    """Hides a journal that the tests are logged to."""
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
    ("level", "priority"), [(10, 7), (20, 6), (30, 4), (40, 3), (50, 2)], ids="DIWEC"
)
def test_journal_lines_have_priorities(level, priority):
    text = JournalFormatter().format(record(level, "one\ntwo"))
    assert text == f"<{priority}>cucmd.test: one\n<{priority}>two"


def test_plain_lines_have_a_time():
    entry = record(logging.WARNING, "one\ntwo")
    entry.created, entry.msecs = 1795602780.123, 123.0
    text = PlainFormatter().format(entry)
    assert text == "2026-11-25T10:33:00.123Z WARNING cucmd.test: one\n    two"


@pytest.mark.parametrize("formatter", [JournalFormatter(), PlainFormatter()])
def test_control_characters_are_escaped(formatter):
    text = formatter.format(record(logging.INFO, "\x1b[2J\r\x07\x9b\x7f \u2713"))
    assert text.endswith("\\x1b[2J\\x0d\\x07\\x9b\\x7f \u2713")


def test_journal_is_recognized(monkeypatch, tmp_path):
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
def limit() -> LogLimit:
    return LogLimit(MOST)


@pytest.fixture
def lines(limit: LogLimit, root_logger: logging.Logger) -> Callable[[], list[str]]:
    """Returns a function that gives the lines written since its last call, within the limit."""
    stream = io.StringIO()
    set_up_logging(logging.INFO, limit, stream)

    def take() -> list[str]:
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return text.splitlines()

    return take


log = logging.getLogger("cucmd.test")


def flood(caller: Caller, count: int) -> None:
    for number in range(count):
        log.info("call %d of %d", number, caller.uid, extra=caller.for_log)


def test_levels_are_limited_separately(lines: Callable) -> None:
    flood(ALICE, 100)
    log.error("a defect", extra=ALICE.for_log)
    assert len(lines()) == MOST + 1


def test_users_are_limited_separately(lines: Callable) -> None:
    flood(ALICE, 100)
    flood(BOB, 2)
    log.info("of nobody")
    assert len(lines()) == MOST + 2 + 1


async def test_omitted_lines_are_counted_each_minute(
    lines: Callable, limit: LogLimit, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(limit.run)
        for _ in range(2):
            flood(ALICE, MOST + 5)
            await trio.sleep(MINUTE + 1)
            *_, last = found = lines()
            assert len(found) == MOST + 1
            assert f"uid {ALICE.uid}: 5 " in last
        flood(ALICE, MOST + 1)
        nursery.cancel_scope.cancel()
    assert len(lines()) == MOST + 1
