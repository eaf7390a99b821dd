"""For how long a node may pack the files, which sends no byte meanwhile."""

from pathlib import Path

import pytest
import trio

from cucmd.failure import Code
from cucmd.job.collect import Collect
from rig.packed import tgz
from rig.scripted_node import (
    COMPLETED,
    Answer,
    Node,
    announce,
    appliance,
    collected,
    node_task,
    scripted,
)
from unit.work.test_deadlines import failure_and_seconds, hang, is_turned_away, stalls

PACKED = Collect(("cm/trace/ccm/sdl",), compress=True)


@pytest.mark.parametrize("dots", [False, True])
async def test_a_node_may_pack_for_longer_than_the_stall_timeout(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, dots: bool
) -> None:
    """With dots it may even for longer than that of the command: it shows that it is at work."""

    async def packs(node: Node, line: str) -> None:
        await announce(node, 1, 5)
        for _ in range(10 if dots else 4):
            await trio.sleep(119)
            if dots:
                await node.say(".", end="")
        node.target.put(tmp_path, "active.tgz", tgz({"log": bytes(5)}))
        await node.say("", COMPLETED)

    async with scripted(appliance(packs)) as node:
        await collected(node, node_task(tmp_path, work=PACKED))


async def test_a_packed_transfer_that_has_begun_stalls_as_any_other(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def packs_and_stalls(node: Node, line: str) -> None:
        await announce(node, 1, 50)
        await trio.sleep(300)
        node.target.receive(1)
        await hang(node)

    async with scripted(appliance(packs_and_stalls)) as node:
        why, took = await failure_and_seconds(node, node_task(tmp_path, work=PACKED))
    assert why.code == Code.STALLED
    assert took == pytest.approx(300 + 120, abs=8)


async def stops_after_a_dot(node: Node, line: str) -> None:
    await announce(node, 1, 50)
    await trio.sleep(590)
    await node.say(".", end="")
    await hang(node)


async def has_a_wrong_password(node: Node, line: str) -> None:
    await announce(node, 1, 50)
    node.target.wrong_logins += 1
    await hang(node)


@pytest.mark.parametrize(
    ("file_get", "code", "seconds"),
    [
        (stalls, Code.COMMAND_TIMEOUT, 600),
        (stops_after_a_dot, Code.RECEIVER_UNREACHABLE, 590 + 120),
        (is_turned_away, Code.RECEIVER_UNREACHABLE, 600),
        (has_a_wrong_password, Code.RECEIVER_REJECTED, 600),
    ],
)
async def test_a_node_that_packs_without_end_has_the_time_of_a_command(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    file_get: Answer,
    code: Code,
    seconds: float,
) -> None:
    async with scripted(appliance(file_get)) as node:
        why, took = await failure_and_seconds(node, node_task(tmp_path, work=PACKED))
    assert why.code is code
    assert why.hint is not None
    assert took == pytest.approx(seconds, abs=8)
