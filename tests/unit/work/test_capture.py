"""A packet capture on one node: how it ends, what is got of it, and what is removed."""

import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cucmd import vos
from cucmd.failure import Code, Failure, NodeFailed, fail
from cucmd.job import Capture, Captured, Phase, Timeouts
from cucmd.jobs.together import Together
from cucmd.node.ports import NodeTask
from cucmd.work.capture import STOP_WITHIN, capture, stop_seconds
from cucmd.work.collect import MOST_NOTES
from rig.parameters import mostly_more
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
from unit.work.test_cancel_anywhere import CancelAtStep

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
    """The prompt comes after so many Ctrl-C."""
    while times:
        line = await node.read_line()
        assert line in ("^C", ""), f"{line!r} was typed into a capture"
        times -= line == "^C"


async def until_enter(node: Node) -> None:
    """The prompt comes after Ctrl-C and an empty line."""
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
        return replace(task, together=Together((task.node,)))


async def captured(
    here: CaptureNode, task: NodeTask | None = None, report: RecordedReport | None = None
) -> tuple[Captured, tuple[str, ...], Node, RecordedReport]:
    task, report = task or here.task(), report or RecordedReport()
    async with scripted(here.script) as node:
        notes = await capture(task, task.work, node.open_shell, node, report)
    assert node.closed == node.opened
    return report.captures[-1], notes, node, report


async def failed(
    here: CaptureNode, task: NodeTask | None = None
) -> tuple[Failure, Node, RecordedReport]:
    task = task or here.task()
    async with scripted(here.script) as node:
        report = RecordedReport()
        with pytest.raises(NodeFailed) as caught:
            await capture(task, task.work, node.open_shell, node, report)
    assert node.closed == node.opened
    return caught.value.failure, node, report


async def test_it_ends_at_its_duration_and_the_file_is_got(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    what, notes, node, report = await captured(CaptureNode(tmp_path))
    assert (what.name, what.how, what.packets, what.running) == (NAME, "duration", 3, False)
    assert notes == ()
    assert LINE in node.lines
    assert f"file get activelog platform/cli/{NAME}*.cap*" in node.lines
    assert 60 <= trio.current_time() - began < 70
    assert len(report.counted) == 1
    assert report.phases[:2] == [Phase.LOGIN, Phase.PREPARE]
    assert report.phases[-1] is Phase.CLOSE
    first = report.captures[0]
    assert (first.running, first.ended_at, first.how) == (True, None, None)


async def test_the_duration_begins_when_the_node_takes_the_command(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    here.echoes_after = 20
    task, began = here.task(), trio.current_time()
    what, _, _, _ = await captured(here, task)
    assert what.how == "duration"
    assert 80 <= trio.current_time() - began < 90


async def test_a_node_that_echoes_nothing_is_not_given_more_time(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    here.echoes_after = 1000
    began = trio.current_time()
    failure, _, report = await failed(here)
    assert failure.code is Code.COMMAND_TIMEOUT
    assert (report.captures[-1].running, report.captures[-1].how) == (True, "duration")
    assert 60 + STOP_WITHIN <= trio.current_time() - began < 60 + STOP_WITHIN + 10


class SavesSlowly(RecordedReport):
    """The store takes 5 s, and fails if `fails`. `typed`: what the node was given before."""

    def __init__(self, lines: Callable[[], list[str]], *, fails: bool = False) -> None:
        super().__init__()
        self.typed: list[str] | None = None
        self._lines, self._fails = lines, fails

    async def saved(self) -> None:
        assert [one.running for one in self.captures] == [True]
        await trio.sleep(5)
        self.typed = list(self._lines())
        if self._fails:
            raise fail(Code.DISK_FULL, "no space")


async def test_that_it_may_run_is_saved_before_it_does(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    task = here.task()
    async with scripted(here.script) as node:
        report = SavesSlowly(lambda: node.lines)
        await capture(task, task.work, node.open_shell, node, report)
    assert report.typed is not None
    assert LINE not in report.typed
    assert LINE in node.lines


async def test_nothing_is_captured_where_that_cannot_be_saved(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    task = here.task()
    async with scripted(here.script) as node:
        report = SavesSlowly(lambda: node.lines, fails=True)
        with pytest.raises(NodeFailed) as caught:
            await capture(task, task.work, node.open_shell, node, report)
    assert caught.value.failure.code is Code.DISK_FULL
    assert (here.captures, report.captures[-1].running) == (0, False)


async def test_it_ends_by_itself_at_its_count(tmp_path: Path, autojump_clock: MockClock) -> None:
    here = CaptureNode(tmp_path, {f"{NAME}.cap": pcap(1000)}, runs=after(12))
    began = trio.current_time()
    what, notes, node, _ = await captured(here)
    assert (what.how, what.packets, what.running, notes) == ("count", 1000, False, ())
    assert trio.current_time() - began < 30
    assert "^C" not in node.lines


async def test_one_that_ends_by_itself_before_its_count_is_noted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    what, (note,), _, _ = await captured(CaptureNode(tmp_path, runs=after(12, "Terminated")))
    assert (what.how, what.packets) == ("node", 3)
    assert "Terminated" in note


async def test_a_stop_ends_it_and_the_file_is_got(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    task = here.task()

    async def stop() -> None:
        await trio.sleep(10)
        assert task.together.stop() == 1

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        what, _, _, _ = await captured(here, task)
    assert (what.how, what.packets, what.running) == ("stop", 3, False)
    assert trio.current_time() - began < 30


@pytest.mark.parametrize("echoes_after", [0.0, 3.0])
async def test_a_stop_at_its_beginning_waits_for_the_file(
    tmp_path: Path, autojump_clock: MockClock, echoes_after: float
) -> None:
    here = CaptureNode(tmp_path, {})

    async def makes_its_file(node: Node) -> None:
        """A Ctrl-C before it is made ends the capture without one."""
        with trio.move_on_after(0.5):
            await until_ctrl_c(node)
            return
        here.files = {f"{NAME}.cap": pcap(1)}
        await until_ctrl_c(node)

    here.runs, here.echoes_after = makes_its_file, echoes_after
    task, stops = here.task(), []

    class Stops(RecordedReport):
        def captured(self, captured: Captured) -> None:
            if not self.captures:
                stops.extend([task.together.stop(), task.together.stop()])
            super().captured(captured)

    began = trio.current_time()
    what, _, _, _ = await captured(here, task, Stops())
    assert stops == [1, 1]
    assert (what.how, what.packets, what.running) == ("stop", 1, False)
    assert trio.current_time() - began < echoes_after + 5


async def test_a_stop_does_not_wait_long_for_an_echo(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    here.echoes_after = 1000
    task = here.task()

    async def stop() -> None:
        await trio.sleep(5)
        task.together.stop()

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        failure, _, report = await failed(here, task)
    assert failure.code is Code.COMMAND_TIMEOUT
    assert (report.captures[-1].running, report.captures[-1].how) == (True, "stop")
    assert trio.current_time() - began < 20 + STOP_WITHIN


@pytest.mark.parametrize(
    "runs", [lambda node: ctrl_c(node, 2), lambda node: ctrl_c(node, 20), until_enter]
)
async def test_a_node_that_needs_more_than_one_ctrl_c(
    tmp_path: Path, autojump_clock: MockClock, runs: Act
) -> None:
    what, _, _, _ = await captured(CaptureNode(tmp_path, runs=runs))
    assert (what.how, what.packets, what.running) == ("duration", 3, False)


async def test_a_node_that_takes_its_time_after_ctrl_c(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def slow(node: Node) -> None:
        await until_ctrl_c(node)
        await trio.sleep(STOP_WITHIN - 5)

    what, _, _, _ = await captured(CaptureNode(tmp_path, runs=slow))
    assert (what.how, what.packets, what.running) == ("duration", 3, False)


async def test_a_node_that_ignores_ctrl_c_is_named(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    failure, node, report = await failed(CaptureNode(tmp_path, runs=for_ever))
    assert failure.code is Code.COMMAND_TIMEOUT
    assert (report.captures[-1].running, report.captures[-1].how) == (True, "duration")
    assert 60 + STOP_WITHIN <= trio.current_time() - began < 60 + STOP_WITHIN + 10
    assert not [line for line in node.lines if line.startswith("file get")]


async def test_a_connection_that_is_lost_in_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    async def cuts(node: Node) -> None:
        raise trio.BrokenResourceError

    failure, _, report = await failed(CaptureNode(tmp_path, runs=cuts))
    assert failure.code is Code.CONNECTION_LOST
    assert (report.captures[-1].running, report.captures[-1].how) == (True, "failed")


async def test_a_connection_that_is_lost_after_ctrl_c(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def cuts(node: Node) -> None:
        await until_ctrl_c(node)
        raise trio.BrokenResourceError

    failure, _, report = await failed(CaptureNode(tmp_path, runs=cuts))
    assert failure.code is Code.CONNECTION_LOST
    assert report.captures[-1].running


async def test_a_question_is_not_answered(tmp_path: Path, autojump_clock: MockClock) -> None:
    async def asks(node: Node) -> None:
        assert await node.ask("The file exists. Overwrite (y/n)?") == "^C"

    failure, _, report = await failed(CaptureNode(tmp_path, runs=asks))
    assert failure.code is Code.COMMAND_REFUSED
    assert "Overwrite" in failure.message
    assert (report.captures[-1].running, report.captures[-1].how) == (False, "failed")


@pytest.mark.parametrize("packets", [3, None])
async def test_a_question_at_its_end_is_only_quoted(
    tmp_path: Path, autojump_clock: MockClock, packets: int | None
) -> None:
    async def asks(node: Node) -> None:
        await trio.sleep(WORK.duration - 2)
        assert await node.ask("Continue (y/n)?") == "^C"

    here = CaptureNode(tmp_path, {f"{NAME}.cap": pcap(packets)} if packets else {}, runs=asks)
    if packets:
        what, _, _, _ = await captured(here)
        assert (what.how, what.packets) == ("duration", packets)
    else:
        failure, _, _ = await failed(here)
        assert failure.code is Code.COMMAND_REFUSED
        assert "Continue (y/n)?" in failure.message


async def test_a_node_that_refuses_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    here = CaptureNode(
        tmp_path, runs=after(0, "Insufficient disk space", "Executed command unsuccessfully")
    )
    failure, node, report = await failed(here)
    assert failure.code is Code.COMMAND_REFUSED
    assert "Insufficient disk space" in failure.message
    assert not report.captures[-1].running
    assert not [line for line in node.lines if line.startswith("file get")]


async def test_a_node_that_is_nearly_full_is_left_out(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path, status=["Disk/logging 69234984K 5315340K 60379628K (92%)"])
    failure, _, report = await failed(here)
    assert failure.code is Code.COMMAND_REFUSED
    assert (here.captures, report.captures) == (0, [])


async def test_a_node_that_comes_too_late_is_left_out(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    task = here.task()
    task.together.leave("cucm-pub")
    assert await task.together.begin("another")
    failure, _, report = await failed(here, task)
    assert failure.code is Code.LOGIN_TIMEOUT
    assert (here.captures, report.captures) == (0, [])


async def test_the_spread_is_a_note_where_there_are_several(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    task = here.task()
    task.together.started(trio.current_time() - 2)
    _, (note,), _, _ = await captured(here, task)
    assert "2 nodes" in note


async def test_a_capture_of_before_a_retry_that_may_run_stays_named(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path, {f"{NAME}_2.cap": pcap(1)})
    _, (note,), _, _ = await captured(here, here.task(first_attempt=2, may_run=NAME))
    assert "may still run" in note
    assert f"/{NAME}.cap" in note


# The files


async def test_a_capture_of_no_packet(tmp_path: Path, autojump_clock: MockClock) -> None:
    what, notes, _, _ = await captured(CaptureNode(tmp_path, {f"{NAME}.cap": pcap(0)}))
    assert (what.packets, notes) == (0, ("no packet matched",))


async def test_several_files_count_together(tmp_path: Path, autojump_clock: MockClock) -> None:
    files = {f"{NAME}.cap": pcap(2), f"{NAME}1.cap": pcap(5), f"{NAME}.cap2": pcap(1)}
    what, notes, _, _ = await captured(CaptureNode(tmp_path, files))
    assert (what.packets, notes) == (8, ())


@pytest.mark.parametrize("content", [b"", b"Insufficient disk space\n", pcap(0)[:20]])
async def test_a_file_that_is_no_capture(
    tmp_path: Path, autojump_clock: MockClock, content: bytes
) -> None:
    here = CaptureNode(tmp_path, {f"{NAME}.cap": content})
    failure, _, report = await failed(here, here.task(replace(WORK, delete=True)))
    assert failure.code is Code.TRANSFER_INCOMPLETE
    assert (report.captures[-1].packets, here.removed) == (None, [])


async def test_a_node_that_has_no_file(tmp_path: Path, autojump_clock: MockClock) -> None:
    async def silent(node: Node) -> None:
        await until_ctrl_c(node)

    failure, _, report = await failed(CaptureNode(tmp_path, {}, runs=silent))
    assert failure.code is Code.NO_FILES_MATCHED
    assert "Executing command" not in failure.message
    assert not report.captures[-1].running


async def test_a_node_that_has_no_file_and_said_why(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def says_why(node: Node) -> None:
        await until_ctrl_c(node)
        await node.say("the partition went read-only")

    failure, _, _ = await failed(CaptureNode(tmp_path, {}, runs=says_why))
    assert failure.code is Code.COMMAND_REFUSED
    assert failure.message.endswith("; the node said: the partition went read-only")


async def test_a_file_of_another_name_is_none_of_the_capture(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path, {f"{NAME}_x.cap": pcap(1)})
    failure, _, _ = await failed(here, here.task(replace(WORK, delete=True)))
    assert failure.code is Code.NO_FILES_MATCHED
    assert here.removed == []


async def test_a_node_that_is_tried_again_captures_under_another_name(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    name = f"{NAME}_3"
    here = CaptureNode(tmp_path, {f"{name}.cap": pcap(4)})
    what, _, node, _ = await captured(here, here.task(first_attempt=3))
    assert (what.name, what.packets) == (name, 4)
    assert LINE.replace(NAME, name) in node.lines


async def test_a_node_with_many_files_does_not_make_a_note_of_each(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    files = {f"{NAME}{number}.cap": pcap(1, cut=1) for number in range(MOST_NOTES * 2)}
    _, notes, _, _ = await captured(CaptureNode(tmp_path, files))
    assert len(notes) == MOST_NOTES + 1


# Removal


async def test_exactly_the_files_of_the_capture_are_removed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    files = {f"{NAME}.cap": pcap(2), f"{NAME}1.cap": pcap(5), f"{NAME}x.cap": pcap(1)}
    here = CaptureNode(tmp_path, files)
    what, notes, _, _ = await captured(here, here.task(replace(WORK, delete=True)))
    assert (what.packets, notes) == (7, ())
    assert here.removed == [
        f"file delete activelog platform/cli/{NAME}.cap noconfirm",
        f"file delete activelog platform/cli/{NAME}1.cap noconfirm",
    ]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_file_is_on_record_before_it_is_removed(
    tmp_path: Path, autojump_clock: MockClock, fails: bool
) -> None:
    here = CaptureNode(tmp_path)
    filed: list[list[str]] = []

    class Files(RecordedReport):
        async def filed(self) -> None:
            await trio.sleep(1)
            assert here.removed == []
            filed.append(self.counted)
            if fails:
                raise fail(Code.DISK_FULL, "no space for the record")

    what, notes, _, _ = await captured(here, here.task(replace(WORK, delete=True)), Files())
    assert [len(files) for files in filed] == [1]
    assert (what.packets, len(here.removed)) == (3, 0 if fails else 1)
    assert [f"{NAME}.cap was not removed" in note for note in notes] == [True] * fails


async def test_nothing_is_removed_unless_asked_for(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    await captured(here)
    assert here.removed == []


async def test_a_file_that_ends_within_a_packet_stays_on_the_node(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path, {f"{NAME}.cap": pcap(3, cut=10)})
    what, notes, _, _ = await captured(here, here.task(replace(WORK, delete=True)))
    assert (what.packets, len(notes), here.removed) == (2, 2, [])


async def asks_first(node: Node) -> None:
    assert await node.ask('Enter "y" to delete (y/n)?') == "^C"


async def silent_for_ever(node: Node) -> None:
    while True:
        await node.read_line()


@pytest.mark.parametrize(
    "deletes",
    [
        after(0, "files: found = 1, deleted = 0"),
        after(0, "Executed command unsuccessfully"),
        after(0),
        asks_first,
        silent_for_ever,
    ],
)
async def test_a_removal_that_is_not_proven_is_a_note(
    tmp_path: Path, autojump_clock: MockClock, deletes: Act
) -> None:
    here = CaptureNode(tmp_path, deletes=deletes)
    what, (note,), _, _ = await captured(here, here.task(replace(WORK, delete=True)))
    assert what.packets == 3
    assert f"{NAME}.cap was not removed" in note


async def test_a_deadline_in_a_removal_fails_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    files = {f"{NAME}.cap": pcap(2), f"{NAME}1.cap": pcap(5)}
    here = CaptureNode(tmp_path, files, deletes=silent_for_ever)
    task = here.task(replace(WORK, delete=True))
    async with scripted(here.script) as node:
        report = RecordedReport()
        with trio.fail_after(100):
            notes = await capture(task, task.work, node.open_shell, node, report)
    assert len(notes) == 2
    assert (len(here.removed), report.captures[-1].packets) == (1, 7)


# Cancels and deadlines


async def cancelled_after(
    here: CaptureNode, seconds: float, **fields: object
) -> tuple[Node, RecordedReport, float]:
    """The seconds are those from the cancel to the end."""
    task = here.task(**fields)
    async with scripted(here.script) as node:
        report = RecordedReport()
        with trio.move_on_after(seconds) as scope:
            await capture(task, task.work, node.open_shell, node, report)
        took = trio.current_time() - scope.deadline
    assert scope.cancelled_caught
    assert node.closed == node.opened
    return node, report, took


async def test_a_cancel_ends_it_on_the_node_and_gets_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    node, report, took = await cancelled_after(CaptureNode(tmp_path), 20)
    assert node.lines[-3:] == [LINE, "^C", "quit"]
    assert (report.captures[-1].running, report.captures[-1].how) == (False, "cancelled")
    assert report.captures[-1].ended_at is not None
    assert took < 1
    assert report.counted == []


async def test_a_cancel_waits_for_the_node_for_a_limited_time(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    node, report, took = await cancelled_after(CaptureNode(tmp_path, runs=for_ever), 20)
    assert report.captures[-1].running
    assert STOP_WITHIN <= took <= STOP_WITHIN + GRACE
    assert "quit" not in node.lines


async def test_a_cancel_while_it_is_ended_gives_the_node_its_time(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def slow(node: Node) -> None:
        await until_ctrl_c(node)
        await trio.sleep(30)

    node, report, took = await cancelled_after(CaptureNode(tmp_path, runs=slow), 65)
    assert (report.captures[-1].running, report.captures[-1].how) == (False, "duration")
    assert 24 <= took < 30
    assert not [line for line in node.lines if line.startswith("file get")]


@pytest.mark.parametrize(("grace", "seconds"), [(5, 45), (1, 45), (20, 30), (45, 5)])
def test_a_stop_of_the_daemon_has_time_for_both(grace: float, seconds: float) -> None:
    assert stop_seconds(grace) == seconds
    assert stop_seconds(grace) + grace <= 50  # systemd kills after 60


async def run_and_cancel(here: CaptureNode, step: int) -> tuple[Node, RecordedReport, bool, float]:
    task = here.task(replace(WORK, delete=True))
    async with trio.open_nursery() as nursery:
        node, report = Node(here.script, nursery), RecordedReport()
        with trio.CancelScope() as scope:
            instrument = CancelAtStep(trio.lowlevel.current_task(), scope, step)
            trio.lowlevel.add_instrument(instrument)
            try:
                await capture(task, task.work, node.open_shell, node, report)
            finally:
                trio.lowlevel.remove_instrument(instrument)
        cancelled = scope.cancelled_caught
        nursery.cancel_scope.cancel()
    return node, report, cancelled, trio.current_time()


@pytest.mark.parametrize("runs", mostly_more([until_ctrl_c, after(12), until_enter]))
async def test_a_cancel_at_any_step_leaves_nothing_open_and_nothing_running(
    tmp_path: Path, autojump_clock: MockClock, runs: Act
) -> None:
    step, cancelled = 0, True
    while cancelled:
        step += 1
        here = CaptureNode(tmp_path / str(step), runs=runs)
        (tmp_path / str(step)).mkdir()
        began = trio.current_time()
        node, report, cancelled, ended = await run_and_cancel(here, step)
        assert node.closed == node.opened, f"step {step}"
        assert all(target.closed and target.revoked for target in node.targets), f"step {step}"
        assert not (report.captures and report.captures[-1].running), f"step {step}"
        assert ended - began < 60 + STOP_WITHIN, f"step {step}"
        if LINE in node.lines:
            assert report.captures[-1].ended_at is not None, f"step {step}"
        assert all(f"/{NAME}.cap " in line for line in here.removed), f"step {step}"
    assert step > 40  # it went through the whole dialogue
