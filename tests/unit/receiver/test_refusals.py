"""However many connections are refused, the log gets a line a minute."""

import logging
from collections.abc import Callable

import pytest

from cucmd.receiver.refusals import EVERY, RefusalLog


class Minutes:
    """Lets one minute after the other pass for a log of refusals."""

    def __init__(self) -> None:
        self.log = RefusalLog(self._later)
        self._waiting: list[Callable[[], None]] = []

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        assert seconds == EVERY
        self._waiting.append(call)

    def over(self) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()


@pytest.fixture
def minutes() -> Minutes:
    return Minutes()


def test_a_flood_is_two_lines_in_the_first_minute_and_one_in_each_later_one(
    minutes: Minutes, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        for number in range(600):
            minutes.log.add("refused", f"192.0.2.{number % 5}")
        minutes.over()
    assert len(caplog.records) == 1 + 3
    assert sum(record.args[0] for record in caplog.records[1:]) == 600 * 3 - 1
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_line_names_the_addresses_with_most(
    minutes: Minutes, caplog: pytest.LogCaptureFixture
) -> None:
    for source in "abbbccde":
        minutes.log.add("refused", source)
    minutes.over()
    assert caplog.messages[-1].endswith(
        "b: refused (3); c: refused (2); d: refused (1); and 1 more"
    )


def test_after_a_quiet_minute_the_next_one_is_said_at_once(
    minutes: Minutes, caplog: pytest.LogCaptureFixture
) -> None:
    minutes.log.add("refused", "a")
    minutes.over()
    minutes.log.add("refused", "b")
    assert len(caplog.records) == 2


def test_a_million_addresses_take_no_memory(
    minutes: Minutes, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5000):
        minutes.log.add("refused", str(number))
    minutes.over()
    assert int(caplog.messages[-1].rpartition("and ")[2].split()[0]) <= 1001 - 3
