"""A packet capture on one node that is cancelled, at any step."""

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cucmd.work.capture import STOP_WITHIN, capture, stop_seconds
from rig.parameters import mostly_more
from rig.scripted_node import (
    Node,
    RecordedReport,
)
from unit.work.capture_node import (
    GRACE,
    LINE,
    NAME,
    WORK,
    Act,
    CaptureNode,
    after,
    cancelled_after,
    for_ever,
    until_ctrl_c,
    until_enter,
)
from unit.work.test_cancel_anywhere import CancelAtStep


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
                await capture(task, task.work, node, report)
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
