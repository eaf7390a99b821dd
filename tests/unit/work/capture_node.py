"""A node that captures packets, for tests of what is done on it."""

import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from cucmd import vos
from cucmd.failure import NodeFailed
from cucmd.job.capture import Capture, Captured
from cucmd.job.failure import Failure
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.joint_run import JointRun
from cucmd.node.ports import NodeTask
from cucmd.work.capture import capture
from rig.scripted_node import (
    COMPLETED,
    GREETING,
    Node,
    RecordedReport,
    Script,
    announce,
    matches_nothing,
    node_task,
    scripted,
)

NAME = "cucmd_0a1b2c3d4e5f"
WORK = Capture(NAME, count=1000, duration=60)
LINE = f"utils network capture eth0 file {NAME} count 1000 size all"
STATUS = ["Disk/logging 69234984K 25315340K 40379628K (61%)"]
GRACE = Timeouts().grace

Act = Callable[[Node], Awaitable[None]]


def pcap(packets: int, *, cut: int = 0) -> bytes:
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    packet = struct.pack("<IIII", 1, 2, 60, 60) + b"x" * 60
    return (header + packet * packets)[: -cut or None]


async def until_ctrl_c(node: Node) -> None:
    await ctrl_c(node, 1)


async def ctrl_c(node: Node, times: int) -> None:
    """Waits for so many Ctrl-C, after which the prompt comes."""
    while times:
        line = await node.read_line()
        assert line in ("^C", ""), f"{line!r} was typed into a capture"
        times -= line == "^C"


async def until_enter(node: Node) -> None:
    """Waits for Ctrl-C and an empty line, after which the prompt comes."""
    await until_ctrl_c(node)
    while await node.read_line() != "":
        pass


async def for_ever(node: Node) -> None:
    while True:
        assert await node.read_line() in ("^C", ""), "typed into a capture"


def after(seconds: float, *said: str) -> Act:
    async def act(node: Node) -> None:
        await trio.sleep(seconds)
        if said:
            await node.say(*said)

    return act


class CaptureNode:
    """What a node does in a capture, and the files that it has of it then."""

    def __init__(
        self,
        tmp_path: Path,
        files: dict[str, bytes] | None = None,
        *,
        runs: Act = until_ctrl_c,
        status: Sequence[str] = STATUS,
        deletes: Act | None = None,
    ) -> None:
        self.folder = tmp_path / "cucm-pub"
        self.files = {f"{NAME}.cap": pcap(3)} if files is None else files
        self.runs = runs
        self.status = status
        self.deletes = deletes or self.confirm
        self.removed: list[str] = []
        self.captures = 0
        self.echoes_after = 0.0  # seconds, of the line of the capture

    async def confirm(self, node: Node) -> None:
        await node.say("files: found = 1, deleted = 1")

    @property
    def script(self) -> Script:
        async def script(node: Node) -> None:
            await node.say(*GREETING)
            await node.prompt()
            while (line := await node.read_line()) != "quit":
                await self._answer(node, line)
                await node.prompt()
                if line == vos.SHOW_STATUS:
                    await trio.sleep(self.echoes_after)

        return script

    async def _answer(self, node: Node, line: str) -> None:
        if line == vos.SHOW_STATUS:
            await node.say(*self.status)
        elif line.startswith("utils network capture"):
            self.captures += 1
            await node.say("Executing command with options:", " size=ALL", "")
            await self.runs(node)
        elif line.startswith("file get"):
            await self._push(node)
        elif line.startswith("file delete"):
            self.removed.append(line)
            await self.deletes(node)

    async def _push(self, node: Node) -> None:
        if not self.files:
            await matches_nothing(node, "")
            return
        await announce(node, len(self.files), sum(map(len, self.files.values())))
        for name, content in self.files.items():
            path = f"files/192.0.2.9/1/platform/cli/{name}"
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(content)
            node.target.store(f"cucm-pub/{path}", len(content))
        await node.say(COMPLETED)

    def task(self, work: Capture = WORK, **fields: object) -> NodeTask:
        task = node_task(self.folder, work=work, **fields)
        return replace(task, joint_run=JointRun((task.node,)))


async def captured(
    here: CaptureNode, task: NodeTask | None = None, report: RecordedReport | None = None
) -> tuple[Captured, tuple[str, ...], Node, RecordedReport]:
    task, report = task or here.task(), report or RecordedReport()
    async with scripted(here.script) as node:
        notes = await capture(task, task.work, node, report)
    assert node.closed == node.opened
    return report.captures[-1], notes, node, report


async def failed(
    here: CaptureNode, task: NodeTask | None = None
) -> tuple[Failure, Node, RecordedReport]:
    task = task or here.task()
    async with scripted(here.script) as node:
        report = RecordedReport()
        with pytest.raises(NodeFailed) as caught:
            await capture(task, task.work, node, report)
    assert node.closed == node.opened
    return caught.value.failure, node, report


async def cancelled_after(
    here: CaptureNode, seconds: float, **fields: object
) -> tuple[Node, RecordedReport, float]:
    """Cancels it after so many seconds; those of the result are from the cancel to the end."""
    task = here.task(**fields)
    async with scripted(here.script) as node:
        report = RecordedReport()
        with trio.move_on_after(seconds) as scope:
            await capture(task, task.work, node, report)
        took = trio.current_time() - scope.deadline
    assert scope.cancelled_caught
    assert node.closed == node.opened
    return node, report, took
