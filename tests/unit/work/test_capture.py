"""A packet capture on one node: how it begins, and how it ends."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.capture import Captured
from cucmd.job.node import Phase
from cucmd.work.capture import STOP_WITHIN, capture
from rig.scripted_node import (
    Node,
    RecordedReport,
    scripted,
)
from unit.work.capture_node import (
    LINE,
    NAME,
    WORK,
    Act,
    CaptureNode,
    after,
    cancelled_after,
    captured,
    ctrl_c,
    failed,
    for_ever,
    pcap,
    until_ctrl_c,
    until_enter,
)


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
    assert failure.code == Code.COMMAND_TIMEOUT
    assert (report.captures[-1].running, report.captures[-1].how) == (True, "duration")
    assert 60 + STOP_WITHIN <= trio.current_time() - began < 60 + STOP_WITHIN + 10


class SavesSlowly(RecordedReport):
    """The store takes 5 s, and fails if `fails`. `typed`: what the node was given before."""

    def __init__(self, lines: Callable[[], list[str]], *, fails: bool = False) -> None:
        super().__init__()
        self.typed: list[str] | None = None
        self._lines, self._fails = lines, fails

    async def wait_saved(self) -> None:
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
        await capture(task, task.work, node, report)
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
            await capture(task, task.work, node, report)
    assert caught.value.failure.code == Code.DISK_FULL
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


def prints_a_prompt(seconds: float) -> Act:
    """Prints it as output, after which it says nothing and captures on, for so long or until
    Ctrl-C.
    """

    async def act(node: Node) -> None:
        await trio.sleep(5)
        await node.say("12:00:01 IP a > b: user admin:", end="")
        with trio.move_on_after(seconds):
            await until_ctrl_c(node)

    return act


@pytest.mark.parametrize(("seconds", "how"), [(1000, "duration"), (30, "node")])
async def test_output_that_looks_like_the_prompt_does_not_end_it(
    tmp_path: Path, autojump_clock: MockClock, seconds: float, how: str
) -> None:
    began = trio.current_time()
    what, _, node, _ = await captured(CaptureNode(tmp_path, runs=prints_a_prompt(seconds)))
    assert (what.how, what.packets, what.running) == (how, 3, False)
    assert trio.current_time() - began >= min(WORK.duration, 5 + seconds)
    assert ("^C" in node.lines) is (how == "duration")


async def test_a_cancel_ends_a_capture_that_has_printed_a_prompt(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    node, report, _ = await cancelled_after(CaptureNode(tmp_path, runs=prints_a_prompt(1000)), 20)
    assert node.lines[-4:] == [LINE, "", "^C", "quit"]
    assert (report.captures[-1].running, report.captures[-1].how) == (False, "cancelled")


async def test_a_stop_ends_it_and_the_file_is_got(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    task = here.task()

    async def stop() -> None:
        await trio.sleep(10)
        assert task.joint_run.stop() == 1

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
        """Makes its file, unless a Ctrl-C comes before, which ends the capture without one."""
        with trio.move_on_after(0.5):
            await until_ctrl_c(node)
            return
        here.files = {f"{NAME}.cap": pcap(1)}
        await until_ctrl_c(node)

    here.runs, here.echoes_after = makes_its_file, echoes_after
    task, stops = here.task(), []

    class Stops(RecordedReport):
        def result(self, result: Captured) -> None:
            if not self.captures:
                stops.extend([task.joint_run.stop(), task.joint_run.stop()])
            super().result(result)

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
        task.joint_run.stop()

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        failure, _, report = await failed(here, task)
    assert failure.code == Code.COMMAND_TIMEOUT
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


async def test_a_node_whose_prompt_has_a_blank_after_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def with_a_blank(node: Node) -> None:
        node.prompt_shown = "admin: "
        await until_ctrl_c(node)

    what, _, node, _ = await captured(CaptureNode(tmp_path, runs=with_a_blank))
    assert (what.how, what.packets, what.running) == ("duration", 3, False)
    assert node.lines.count("^C") == 1


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
    assert failure.code == Code.COMMAND_TIMEOUT
    assert (report.captures[-1].running, report.captures[-1].how) == (True, "duration")
    assert 60 + STOP_WITHIN <= trio.current_time() - began < 60 + STOP_WITHIN + 10
    assert not [line for line in node.lines if line.startswith("file get")]


async def test_a_connection_that_is_lost_in_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    async def cuts(node: Node) -> None:
        raise trio.BrokenResourceError

    failure, _, report = await failed(CaptureNode(tmp_path, runs=cuts))
    assert failure.code == Code.CONNECTION_LOST
    assert (report.captures[-1].running, report.captures[-1].how) == (True, "failed")


async def test_a_connection_that_is_lost_after_ctrl_c(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def cuts(node: Node) -> None:
        await until_ctrl_c(node)
        raise trio.BrokenResourceError

    failure, _, report = await failed(CaptureNode(tmp_path, runs=cuts))
    assert failure.code == Code.CONNECTION_LOST
    assert report.captures[-1].running


async def test_a_question_is_not_answered(tmp_path: Path, autojump_clock: MockClock) -> None:
    async def asks(node: Node) -> None:
        assert await node.ask("The file exists. Overwrite (y/n)?") == "^C"

    failure, _, report = await failed(CaptureNode(tmp_path, runs=asks))
    assert failure.code == Code.COMMAND_REFUSED
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
        assert failure.code == Code.COMMAND_REFUSED
        assert "Continue (y/n)?" in failure.message


async def test_a_node_that_refuses_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    here = CaptureNode(
        tmp_path, runs=after(0, "Insufficient disk space", "Executed command unsuccessfully")
    )
    failure, node, report = await failed(here)
    assert failure.code == Code.COMMAND_REFUSED
    assert "Insufficient disk space" in failure.message
    assert not report.captures[-1].running
    assert not [line for line in node.lines if line.startswith("file get")]


async def test_a_node_that_is_nearly_full_is_left_out(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path, status=["Disk/logging 69234984K 5315340K 60379628K (92%)"])
    failure, _, report = await failed(here)
    assert failure.code == Code.COMMAND_REFUSED
    assert (here.captures, report.captures) == (0, [])


async def test_a_node_that_comes_too_late_is_left_out(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path)
    task = here.task()
    task.joint_run.leave("cucm-pub")
    assert await task.joint_run.wait_for_start("another")
    failure, _, report = await failed(here, task)
    assert failure.code == Code.LOGIN_TIMEOUT
    assert (here.captures, report.captures) == (0, [])


async def test_a_capture_of_before_a_retry_that_may_run_stays_named(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    here = CaptureNode(tmp_path, {f"{NAME}_3.cap": pcap(1)})
    before = (NAME, f"{NAME}_2")
    _, notes, _, _ = await captured(here, here.task(first_attempt=3, may_run=before))
    assert len(notes) == 2
    for name, note in zip(before, notes, strict=True):
        assert "may still run" in note
        assert f"/{name}.cap" in note


# The files
