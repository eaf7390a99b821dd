"""However many connections are refused, the log gets a line a minute."""

import logging

import pytest

from cucmd.receiver.refusals import EVERY, RefusalLog


def test_a_flood_is_two_lines_in_the_first_minute_and_one_in_each_later_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    refusals = RefusalLog(lambda: now[0])
    for second in range(int(3 * EVERY)):
        now[0] = float(second)
        for number in range(10):
            refusals.add("refused", f"192.0.2.{number % 5}")
        refusals.say()
    refusals.flush()
    assert len(caplog.records) == 1 + 3
    assert sum(record.args[0] for record in caplog.records[1:]) == 10 * 3 * EVERY - 1
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_line_names_the_addresses_with_most(caplog: pytest.LogCaptureFixture) -> None:
    refusals = RefusalLog(lambda: 0.0)
    for source in "abbbccde":
        refusals.add("refused", source)
    refusals.flush()
    assert caplog.messages[-1].endswith(
        "b: refused (3); c: refused (2); d: refused (1); and 1 more"
    )


def test_after_a_quiet_minute_the_next_one_is_said_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    refusals = RefusalLog(lambda: now[0])
    refusals.add("refused", "a")
    now[0] = EVERY
    refusals.say()
    refusals.add("refused", "b")
    assert len(caplog.records) == 2


def test_a_million_addresses_take_no_memory(caplog: pytest.LogCaptureFixture) -> None:
    refusals = RefusalLog(lambda: 0.0)
    for number in range(5000):
        refusals.add("refused", str(number))
    refusals.flush()
    assert int(caplog.messages[-1].rpartition("and ")[2].split()[0]) <= 1001 - 3
