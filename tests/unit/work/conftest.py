"""One builder for all tests of work on a node: `play` runs a task against a scripted node.

A test gives the script of the node and what is requested, and looks at the `Outcome`. Time is
virtual. `play` also checks that nothing stays open, so no test has to.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.lowlevel import Task

from cucmd.failure import NodeFailed
from cucmd.job.capture import Capture
from cucmd.job.collect import Collect
from cucmd.job.failure import Failure
from cucmd.job.follow import Follow
from cucmd.job.work import Work
from cucmd.jobs.joint_run import JointRun
from cucmd.node.ports import NodeTask
from cucmd.work import work_on_node
from rig.scripted_node import Node, RecordedReport, Script, node_task, scripted
from unit.jobs.conftest import autojump_clock

__all__ = ["autojump_clock"]

COLLECT = Collect(("cm/trace/ccm/sdl",))


class Outcome(msgspec.Struct):
    """Says how the work ended. seconds: of virtual time, from its beginning to its end."""

    node: Node
    task: NodeTask
    report: RecordedReport
    notes: Sequence[str] = ()
    failure: Failure | None = None
    cancelled: bool = False
    seconds: float = 0.0

    @property
    def code(self) -> str | None:
        return self.failure and self.failure.code

    @property
    def result(self) -> Any:
        return self.report.results[-1]

    @property
    def counted(self) -> list[str]:
        """Returns the names of the files that are complete."""
        return [Path(path).name for path in self.report.counted]

    @property
    def kept(self) -> list[tuple[str, bool]]:
        """Returns the outputs that are on record, with whether each is complete."""
        return [(Path(file.path).name, file.complete) for file in self.report.written]

    def typed(self, word: str) -> list[str]:
        """Returns the lines that were typed and begin with this word."""
        return [line for line in self.node.lines if line.startswith(word)]

    def output(self, name: str = "") -> str:
        """Returns the text of an output, or of the only one."""
        (path,) = (self.task.folder / "output").glob(name or "*")
        return path.read_text()


class AtStep(trio.abc.Instrument):
    """Calls a function when a task is about to run for the nth time."""

    def __init__(self, task: Task, step: int, action: Callable[[], object]) -> None:
        self._task, self._left, self._action = task, step, action

    def before_task_step(self, task: Task) -> None:
        if task is self._task:
            self._left -= 1
            if self._left == 0:
                self._action()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the node."""
    return tmp_path / "cucm-pub"


@pytest.fixture
def play(folder: Path, autojump_clock: trio.testing.MockClock) -> Callable[..., Outcome]:
    """Returns a function that does the requested work on a scripted node.

    arrange: gets the node before the work begins. report: makes the report for a task. meanwhile:
    runs beside the work and gets the task. cancel_after: seconds; a script can move that deadline
    (`node.scope`). at_step: (n, "cancel" or "stop") does so at the nth step of the work. Other
    arguments are fields of the task.
    """

    def play(
        script: Script,
        request: Work = COLLECT,
        *,
        arrange: Callable[[Node], object] | None = None,
        meanwhile: Callable[[NodeTask], Awaitable[None]] | None = None,
        report: Callable[[NodeTask], RecordedReport] = lambda _: RecordedReport(),
        cancel_after: float = math.inf,
        at_step: tuple[int, str] | None = None,
        **fields: object,
    ) -> Outcome:
        where = fields.pop("folder", folder)
        names = {name: fields.pop(name) for name in ("node", "host", "port") if name in fields}
        task = msgspec.structs.replace(node_task(where, work=request, **fields), **names)

        async def main() -> Outcome:
            nonlocal task
            if isinstance(request, Capture | Follow):
                task = msgspec.structs.replace(task, joint_run=JointRun((task.node,)))
            async with scripted(script) as node, trio.open_nursery() as nursery:
                if arrange is not None:
                    arrange(node)
                if meanwhile is not None:
                    nursery.start_soon(meanwhile, task)
                outcome = Outcome(node, task, report(task))
                began = trio.current_time()
                with trio.move_on_after(cancel_after) as scope:
                    node.scope = scope
                    if at_step is not None:
                        step, name = at_step
                        action = scope.cancel if name == "cancel" else task.joint_run.stop
                        me = trio.lowlevel.current_task()
                        trio.lowlevel.add_instrument(AtStep(me, step, action))
                    try:
                        outcome.notes = await work_on_node(node)(task, outcome.report)
                    except NodeFailed as error:
                        outcome.failure = error.failure
                outcome.cancelled = scope.cancelled_caught
                outcome.seconds = trio.current_time() - began
                nursery.cancel_scope.cancel()
            assert node.closed >= node.opened
            assert all(target.closed and target.revoked for target in node.targets)
            return outcome

        return trio.run(main, clock=autojump_clock)

    return play


def stop_after(seconds: float) -> Callable[[NodeTask], Awaitable[None]]:
    """Makes what stops the work after so many seconds."""

    async def stop(task: NodeTask) -> None:
        await trio.sleep(seconds)
        task.joint_run.stop()

    return stop
