"""What ends a follow at a bad moment: a stop at any step, and a node that does not end it well."""

import hashlib
from pathlib import Path
from typing import Any, cast

import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cucmd.job.timeouts import Timeouts
from cucmd.node.ports import NodeTask
from cucmd.vos import LONGEST_TAIL
from cucmd.work.follow import ENDED_WITHIN
from rig.scripted_node import GREETING, Node, RecordedReport, Script
from unit.work.capture_node import until_ctrl_c
from unit.work.test_cancel_anywhere import CancelAtStep
from unit.work.test_follow_node import (
    LINE,
    LINES,
    OUTPUT,
    WORK,
    follow_task,
    followed,
    grows,
    kept,
    node_that,
)


async def stopped_after(
    seconds: float, script: Script, task: NodeTask
) -> tuple[tuple[str, ...], Node, RecordedReport]:
    async def stop() -> None:
        await trio.sleep(seconds)
        task.joint_run.stop()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        return await followed(script, task)


async def test_a_node_that_still_logs_in_is_left_at_a_stop(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def hangs(node: Node) -> None:
        await node.say(*GREETING)
        await trio.sleep_forever()

    task = follow_task(tmp_path, timeouts=Timeouts(login=120))
    notes, _, report = await stopped_after(7, hangs, task)
    assert 7 <= trio.current_time() < 8
    assert len(notes) == 1
    assert report.written == []


async def test_a_stop_before_a_node_is_contacted_opens_no_connection(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task = follow_task(tmp_path)
    task.joint_run.stop()
    notes, node, report = await followed(node_that(grows), task)
    assert (node.opened, report.written, len(notes)) == (0, [], 1)


async def test_a_stop_at_any_step_is_a_success(tmp_path: Path, autojump_clock: MockClock) -> None:
    """It has a whole file, or a note that it has not begun."""
    step, stopped = 0, True
    while stopped:
        step += 1
        task = follow_task(tmp_path / str(step), replace(WORK, duration=100.0))
        at_step = CancelAtStep(trio.lowlevel.current_task(), cast("Any", _Stop(task)), step)
        trio.lowlevel.add_instrument(at_step)
        try:
            notes, node, report = await followed(node_that(grows), task)
        finally:
            trio.lowlevel.remove_instrument(at_step)
        stopped = task.joint_run.stopped
        assert node.opened <= 1
        assert notes or report.written
        for file in report.written:
            assert file.complete
            assert hashlib.sha256((task.folder / OUTPUT).read_bytes()).hexdigest() == file.sha256
    assert step > 20


class _Stop:
    """What `CancelAtStep` cancels in place of a scope."""

    def __init__(self, task: NodeTask) -> None:
        self._joint_run = task.joint_run

    def cancel(self) -> None:
        self._joint_run.stop()


async def test_a_node_that_closes_its_session_at_ctrl_c_has_done_what_was_wanted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def act(node: Node) -> None:
        await node.say(*LINES)
        await until_ctrl_c(node)
        await node.say("late")
        node.hang_up()
        await trio.sleep_forever()

    task = follow_task(tmp_path)
    notes, _, report = await stopped_after(60, node_that(act), task)
    assert len(notes) == 1
    assert kept(task) == [*LINES, "late"]
    assert report.written[0].complete


async def test_a_stop_before_the_echo_is_one_though_a_prompt_has_come_late(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def script(node: Node) -> None:
        await node.say(*GREETING)
        await node.prompt()
        await node.read_line()
        await node.prompt()
        await node.read_keys()
        await node.prompt()
        await trio.sleep(2)
        await node.say(LINE, *LINES)
        await until_ctrl_c(node)
        await node.prompt()
        await trio.sleep_forever()

    task = follow_task(tmp_path)
    await stopped_after(2, script, task)
    assert trio.current_time() < 30


async def test_the_longest_ends_before_the_node_ends_it_as_an_idle_session(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def act(node: Node) -> None:
        await node.say(*LINES)
        with trio.move_on_after(LONGEST_TAIL):
            await until_ctrl_c(node)
            return
        node.hang_up()
        await trio.sleep_forever()

    task = follow_task(tmp_path, replace(WORK, duration=LONGEST_TAIL))
    notes, _, report = await followed(node_that(act), task)
    assert len(notes) == 1
    assert report.written[0].complete


async def test_what_comes_until_a_node_is_left_that_ignores_ctrl_c_is_kept(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def act(node: Node) -> None:
        await node.say(*LINES)
        for number in range(1000):
            await trio.sleep(1)
            await node.say(f"second {number}")

    task = follow_task(tmp_path)
    notes, _, report = await stopped_after(60, node_that(act), task)
    assert len(notes) == 1
    said = kept(task)
    assert said == [*LINES, *(f"second {number}" for number in range(len(said) - len(LINES)))]
    assert len(said) >= len(LINES) + 60 + ENDED_WITHIN - 5
    assert report.written[0].complete
