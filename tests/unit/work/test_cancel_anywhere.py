"""The work on a node is cancelled at every step: nothing stays open."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import trio
from trio.lowlevel import Task
from trio.testing import MockClock

from cucmd import vos
from rig.scripted_node import (
    Node,
    Script,
    answers,
    appliance,
    check_task,
    checked,
    collected,
    discovered,
    discovery_task,
    node_task,
    pushes,
)


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope when its task is about to run for the nth time."""

    def __init__(self, task: Task, scope: trio.CancelScope, step: int) -> None:
        self._task, self._scope, self._left = task, scope, step

    def before_task_step(self, task: Task) -> None:
        if task is self._task:
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()


Work = Callable[[Node], Awaitable[object]]


async def run_and_cancel(script: Script, work: Work, step: int) -> tuple[Node, bool, float]:
    """Returns the node, whether the cancel came in time, and the seconds from it to the end."""
    async with trio.open_nursery() as nursery:
        node = Node(script, nursery)
        with trio.CancelScope() as scope:
            instrument = CancelAtStep(trio.lowlevel.current_task(), scope, step)
            trio.lowlevel.add_instrument(instrument)
            started = trio.current_time()
            try:
                await work(node)
            finally:
                trio.lowlevel.remove_instrument(instrument)
        seconds = trio.current_time() - started
        nursery.cancel_scope.cancel()
    return node, scope.cancelled_caught, seconds


async def test_a_cancel_at_any_step_leaves_nothing_open(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task = node_task(tmp_path, "syslog", "core")
    await cancel_at_every_step(appliance(pushes(1, 2)), lambda node: collected(node, task))


async def test_a_cancel_of_a_discovery_at_any_step_leaves_nothing_open(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {vos.SHOW_CLUSTER: ["10.0.0.1 pub pub Publisher callmanager DBPub authenticated"]}
    task = discovery_task(tmp_path)
    await cancel_at_every_step(answers(said), lambda node: discovered(node, task))


async def test_a_cancel_of_a_check_at_any_step_leaves_nothing_open(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    listing = ["16 Nov,2004 21:45:43        8,557  enGui.log"]
    said = {
        vos.SHOW_CLUSTER: ["10.0.0.1 pub pub Publisher callmanager DBPub authenticated"],
        "file list activelog platform/log detail": listing,
        "file get activelog platform/log/enGui.log": pushes(8557),
    }
    task = check_task(tmp_path, receiver=True)
    targets: set[int] = set()

    async def work(node: Node) -> None:
        try:
            await checked(node, task)
        finally:
            targets.add(len(node.targets))

    await cancel_at_every_step(answers(said), work)
    assert targets == {0, 1}, "before the file and while it comes"


async def cancel_at_every_step(script: Script, work: Work) -> None:
    step, cancelled = 0, True
    while cancelled:
        step += 1
        node, cancelled, seconds = await run_and_cancel(script, work, step)
        assert node.closed == node.opened, f"step {step}"
        assert all(target.closed and target.revoked for target in node.targets), f"step {step}"
        assert seconds < 20, f"step {step}"
    assert step > 15  # it went through the whole dialogue
