"""Announced sizes that do not fit here fail the node before the first byte."""

import pytest

from cucmd.allowance import Allowance, Quota
from cucmd.durable import RESERVE
from cucmd.failure import Code
from cucmd.job.collect import Collect
from rig.packed import tgz
from rig.scripted_node import COMPLETED, QUESTIONS, announce, appliance, by_path, pushes

SIZE = 5000
MISSING = {"disk": 1000, "node": 2000, "job": 3000}


def too_small(what):
    """Returns options with which so many bytes as MISSING has are missing for SIZE."""
    left = SIZE - MISSING[what]
    if what == "disk":
        return {"arrange": disk_with(left)}
    return {"quota": Quota(**{what: Allowance(left + 10, used=10)})}


def disk_with(room):
    return lambda node: setattr(node, "disk_room", room)


async def declined(node, line):
    """Goes back to the prompt after `n`; after anything else it asks on and pushes."""
    await node.say("Number of files affected: 1", f"Total size in Bytes: {SIZE}")
    if await node.ask(QUESTIONS[0]) == "n":
        return
    for question in QUESTIONS[1:]:
        await node.ask(question)
    node.target.store("192.0.2.9/x/a.txt", SIZE)
    await node.say("Transfer completed.")


@pytest.mark.parametrize("what", MISSING)
def test_what_does_not_fit_is_declined(play, what):
    done = play(appliance(declined), **too_small(what))
    assert done.code == (Code.DISK_FULL if what == "disk" else Code.QUOTA_EXCEEDED)
    assert f"{MISSING[what]:,} bytes more" in done.failure.message
    assert f"{SIZE:,} byte" in done.failure.message
    assert (f"the reserve of {10**9 + RESERVE:,}" in done.failure.message) == (what == "disk")
    assert done.node.lines[-2:] == ["n", "quit"], "the node is at its prompt"
    assert done.node.target.bytes_received == 0


@pytest.mark.parametrize("what", MISSING)
def test_the_last_byte_fits(play, what):
    assert play(appliance(pushes(SIZE - MISSING[what])), **too_small(what)).failure is None


def test_an_archive_may_be_smaller(play, folder):
    async def packs(node, line):
        await announce(node, 1, SIZE)
        node.target.put(folder, "active.tgz", tgz({"active/log": bytes(SIZE)}))
        await node.say(COMPLETED)

    request = Collect(("syslog",), compress=True)
    assert play(appliance(packs), request, arrange=disk_with(100)).failure is None


async def does_not_ask_to_proceed(node, line):
    await announce(node, 1, SIZE, QUESTIONS[1:])


async def asks_again(node, line):
    await announce(node, 1, SIZE, QUESTIONS[:1] * 9)


async def is_silent(node, line):
    await announce(node, 1, SIZE, QUESTIONS[:1])
    while await node.read_line() != "^C":
        pass


async def closes(node, line):
    await announce(node, 1, SIZE, QUESTIONS[:1])
    await node.aclose()


@pytest.mark.parametrize("file_get", [does_not_ask_to_proceed, asks_again, is_silent, closes])
def test_the_failure_stays_the_space(play, file_get):
    done = play(appliance(file_get), arrange=disk_with(100))
    assert done.code == Code.DISK_FULL
    assert done.node.target.username not in done.node.lines
    assert "192.0.2.1" not in done.node.lines


def test_earlier_paths_are_kept(play):
    script = appliance(by_path(syslog=pushes(10), core=declined))
    done = play(script, Collect(("syslog", "core")), arrange=disk_with(100))
    assert (done.code, done.node.target.bytes_received) == (Code.DISK_FULL, 10)
    assert done.failure.message.startswith("core: ")
