"""Faults of the lab with which a collection succeeds: the fault matrix does not show these."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.long


async def test_ctrl_c_ignored(make_lab, inbox, client):
    lab = await make_lab("ignore-ctrl-c", "trickle@200000")
    async with client.prompted(lab) as terminal:
        await client.get(terminal, inbox, "syslog/secure")
        await client.within(lab.until(lambda total: total.bytes_pushed > 0))
        terminal.type("\x03")
        await terminal.expect("Transfer completed.")
    assert lab.counters.interrupts == 1


async def test_commands_without_an_echo(make_lab, client):
    async with client.prompted(await make_lab("no-echo")) as terminal:
        terminal.type("set cli pagination off\n")
        assert await terminal.expect("off\r\n") == "Automatic pagination is turned off\r\n"


# -- other forms of `file get`, with which a collection succeeds


@pytest.mark.parametrize(
    ("fault", "order"),
    [
        ("omit:proceed", [1, 2, 3, 4, 5]),
        ("omit:directory", [0, 1, 2, 3, 4]),
        ("reorder", [0, 5, 4, 3, 2, 1]),
    ],
)
async def test_questions_that_are_not_asked_or_in_another_order(
    make_lab, inbox, client, fault, order
):
    async with client.prompted(await make_lab(fault)) as terminal:
        terminal.type("file get activelog syslog/secure\n")
        for question, answer in [inbox.answers()[number] for number in order]:
            assert (await terminal.expect(question)).count("? ") == question.count("? ")
            terminal.type(answer + "\n")
        await terminal.expect("Transfer completed")
    assert len(inbox.files()) == 1


async def test_sizes_that_are_announced_twice_and_completed_too_early(make_lab, inbox, client):
    async with client.prompted(await make_lab("sizes-twice", "completed-early")) as terminal:
        said = await client.get(terminal, inbox, "syslog/secure")
        assert said.count("Number of files affected: 1\r\n") == 2
        await terminal.expect("Transfer completed")
        assert "completed" not in await terminal.expect("admin:")
    assert len(inbox.files()) == 1


@pytest.mark.parametrize(
    ("fault", "announced", "whole", "difference"),
    [
        ("announce-fewer@3", 2, 5, 60_000),
        ("zero-byte", 2, 2, 0),
        ("duplicate-names", 3, 2, -20_000),
        ("big-file@300000", 2, 2, 0),
    ],
)
async def test_what_is_announced_and_what_comes(
    make_lab, inbox, client, fault, announced, whole, difference
):
    async with client.prompted(await make_lab(fault)) as terminal:
        output = await client.get(terminal, inbox, "cm/log/informix recurs")
        await terminal.expect("Transfer completed")
    files = inbox.files()
    size = int(output.partition("Total size in Bytes: ")[2].split()[0])
    assert f"Number of files affected: {announced}\r\n" in output
    assert (len(files), sum(map(len, files.values())) - size) == (whole, difference)


@pytest.mark.parametrize(("fault", "hours"), [("clock-ahead", 1), ("clock-back@7200", -2)])
async def test_a_clock_that_is_set_as_a_push_begins(make_lab, inbox, client, fault, hours):
    async with client.prompted(await make_lab(f"{fault}*1")) as terminal:
        before = datetime.now(UTC)
        for _ in range(2):  # it was set once, and stays so
            await client.get(terminal, inbox, "syslog/secure")
            await terminal.expect("Transfer completed")
    stamps = [path.split("/")[1] for path in inbox.files()]
    shown = [datetime.strptime(stamp, "%Y-%m-%d_%H-%M-%S").replace(tzinfo=UTC) for stamp in stamps]
    assert [round((moment - before) / timedelta(hours=1)) for moment in shown] == [hours, hours]
