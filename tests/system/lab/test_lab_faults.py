"""Faults of the lab with which a collection succeeds: the fault matrix does not show these."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("fault", "order"),
    [
        ("omit:proceed", [1, 2, 3, 4, 5]),
        ("omit:directory", [0, 1, 2, 3, 4]),
        ("reorder", [0, 5, 4, 3, 2, 1]),
    ],
)
async def test_questions_that_are_not_asked_or_in_another_order(open_terminal, inbox, fault, order):
    terminal = await open_terminal(fault)
    terminal.type("file get activelog syslog/secure\n")
    for question, answer in [inbox.answers()[number] for number in order]:
        assert (await terminal.expect(question)).count("? ") == question.count("? ")
        terminal.type(answer + "\n")
    await terminal.expect("Transfer completed")
    assert len(inbox.files()) == 1


async def test_sizes_that_are_announced_twice(open_terminal, inbox):
    terminal = await open_terminal("sizes-twice")
    output = await inbox.get(terminal, "syslog/secure")
    assert output.count("Number of files affected: 1\r\n") == 2
    await terminal.expect("Transfer completed")


@pytest.mark.parametrize(
    ("fault", "announced", "whole", "difference"),
    [
        ("announce-fewer@3", 2, 5, 60_000),
        ("zero-byte", 2, 2, 0),
        ("duplicate-names", 3, 2, -20_000),
    ],
)
async def test_what_is_announced_and_what_comes(
    open_terminal, inbox, fault, announced, whole, difference
):
    terminal = await open_terminal(fault)
    output = await inbox.get(terminal, "cm/log/informix recurs")
    await terminal.expect("Transfer completed")
    files = inbox.files()
    size = int(output.partition("Total size in Bytes: ")[2].split()[0])
    assert f"Number of files affected: {announced}\r\n" in output
    assert (len(files), sum(map(len, files.values())) - size) == (whole, difference)


async def test_a_clock_that_is_set_back_as_a_push_begins_stays_so(open_terminal, inbox):
    terminal = await open_terminal("clock-back@7200*1")
    before = datetime.now(UTC)
    for _ in range(2):
        await inbox.get(terminal, "syslog/secure")
        await terminal.expect("Transfer completed")
    stamps = [path.split("/")[1] for path in inbox.files()]
    shown = [datetime.strptime(stamp, "%Y-%m-%d_%H-%M-%S").replace(tzinfo=UTC) for stamp in stamps]
    assert [round((moment - before) / timedelta(hours=1)) for moment in shown] == [-2, -2]
