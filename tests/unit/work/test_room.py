"""Announced sizes that do not fit here fail the node before the first byte, on virtual time."""

from pathlib import Path

import pytest
import trio

from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code
from cucmd.job.collect import Collect
from rig.packed import tgz
from rig.scripted_node import (
    COMPLETED,
    QUESTIONS,
    Answer,
    Node,
    announce,
    appliance,
    by_path,
    collected,
    failed,
    node_task,
    pushes,
    scripted,
)

SIZE = 5000
BY = {"disk": 1000, "node": 2000, "job": 3000}


def too_small(folder: Path, node: Node, what: str) -> object:
    """Makes a task whose `what` is smaller than SIZE by so much as BY has."""
    left = SIZE - BY[what]
    if what == "disk":
        node.disk_room = left
        return node_task(folder)
    quota = Quota(**{what: Allowance(left + 10, used=10)})
    return node_task(folder, quota=quota)


async def declined(node: Node, line: str) -> None:
    """Goes back to the prompt after `n`; after anything else it asks on and pushes."""
    await node.say("Number of files affected: 1", f"Total size in Bytes: {SIZE}")
    if await node.ask(QUESTIONS[0]) == "n":
        return
    for question in QUESTIONS[1:]:
        await node.ask(question)
    node.target.store("192.0.2.9/x/a.txt", SIZE)
    await node.say("Transfer completed.")


@pytest.mark.parametrize("what", ["disk", "node", "job"])
async def test_what_does_not_fit_is_declined(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, what: str
) -> None:
    async with scripted(appliance(declined)) as node:
        failure = await failed(node, too_small(tmp_path, node, what))
        assert failure.code is (Code.DISK_FULL if what == "disk" else Code.QUOTA_EXCEEDED)
        assert f"{BY[what]:,} bytes more" in failure.message
        assert f"{SIZE:,} byte" in failure.message
        assert node.lines[-2:] == ["n", "quit"], "the node is at its prompt"
        assert (node.closed, node.target.bytes_received) == (1, 0)


@pytest.mark.parametrize("what", ["disk", "node", "job"])
async def test_the_last_byte_that_fits_is_taken(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, what: str
) -> None:
    async with scripted(appliance(pushes(SIZE - BY[what]))) as node:
        await collected(node, too_small(tmp_path, node, what))


async def test_a_compressed_archive_may_be_smaller_than_what_is_announced(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def packs(node: Node, line: str) -> None:
        await announce(node, 1, SIZE)
        node.target.put(tmp_path, "active.tgz", tgz({"active/log": bytes(SIZE)}))
        await node.say(COMPLETED)

    async with scripted(appliance(packs)) as node:
        node.disk_room = 100
        await collected(node, node_task(tmp_path, work=Collect(("syslog",), compress=True)))


async def test_of_sizes_that_are_announced_twice_the_larger_ones_must_fit(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def twice(node: Node, line: str) -> None:
        await node.say("Number of files affected: 1", "Total size in Bytes: 10")
        await declined(node, line)

    async with scripted(appliance(twice)) as node:
        node.disk_room = 100
        assert (await failed(node, node_task(tmp_path))).code == Code.DISK_FULL
        assert node.lines[-2:] == ["n", "quit"]


async def test_an_answer_that_is_due_already_is_replaced(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def in_one_packet(node: Node, line: str) -> None:
        sizes = f"Number of files affected: 1\r\nTotal size in Bytes: {SIZE}\r\n"
        await node.say(f"{sizes}{QUESTIONS[0]} ", end="")
        await node.read_line()

    async with scripted(appliance(in_one_packet)) as node:
        node.disk_room = 100
        assert (await failed(node, node_task(tmp_path))).code == Code.DISK_FULL
        assert node.lines[-2:] == ["n", "quit"]


async def test_a_later_path_that_does_not_fit_leaves_the_earlier_ones(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(by_path(syslog=pushes(10), core=declined))) as node:
        node.disk_room = 100
        failure = await failed(node, node_task(tmp_path, "syslog", "core"))
        assert failure.code == Code.DISK_FULL
        assert failure.message.startswith("core: ")
        assert node.target.bytes_received == 10


async def no_question_before_the_receivers(node: Node, line: str) -> None:
    await announce(node, 1, SIZE, QUESTIONS[1:])


async def asks_again(node: Node, line: str) -> None:
    await announce(node, 1, SIZE, QUESTIONS[:1] * 9)


async def silent(node: Node, line: str) -> None:
    await announce(node, 1, SIZE, QUESTIONS[:1])
    while await node.read_line() != "^C":
        pass


async def closes(node: Node, line: str) -> None:
    await announce(node, 1, SIZE, QUESTIONS[:1])
    await node.aclose()


@pytest.mark.parametrize("answer", [no_question_before_the_receivers, asks_again, silent, closes])
async def test_whatever_the_node_does_then_the_failure_is_the_space(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, answer: Answer
) -> None:
    async with scripted(appliance(answer)) as node:
        node.disk_room = 100
        assert (await failed(node, node_task(tmp_path))).code == Code.DISK_FULL
        assert node.target.username not in node.lines
        assert "192.0.2.1" not in node.lines
        assert node.closed >= 1
