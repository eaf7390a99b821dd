"""Captures that may still run on a node are named, whatever has ended the work on it."""

from pathlib import Path

import pytest
from trio.testing import MockClock

from cucmd.failure import Code, fail, failure
from cucmd.job.capture import Captured
from cucmd.job.job import End, Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.node.ports import NodeTask, Report
from rig.supervised import (
    NOW,
    Behaviour,
    SupervisorHarness,
    fails_with,
    supervisor_harness,
)
from unit.jobs.captures import (
    NAME,
    WORK,
    captures,
    closed,
    failed,
    ready_after,
    start,
    still_running,
)


async def lost(task: NodeTask, report: Report) -> tuple[str, ...]:
    report.result(Captured(NAME, NOW, NOW, how="failed", running=True))
    raise fail(Code.CONNECTION_LOST, "it was lost")


@pytest.mark.parametrize("seconds", [30, 3600])
async def test_failure_names_running_capture(
    tmp_path: Path, autojump_clock: MockClock, seconds: float
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0, ignores=True) if seconds < 60 else lost}
        job = await harness.ended(await start(harness, "a", timeouts=Timeouts(node=seconds)))
    shown = failed(job)
    assert shown.code is (Code.NODE_TIMEOUT if seconds < 60 else Code.CONNECTION_LOST)
    assert NAME in (shown.hint or "")


@pytest.mark.parametrize("ignores", [False, True])
async def test_stop_ends_capture(tmp_path: Path, autojump_clock: MockClock, ignores: bool) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0, stops_within=5, ignores=ignores)}
        job_id = await start(harness, "a", credential="ops", resumable=True)
        await captures(harness, job_id)
        # The end of the block stops the supervisor.

    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        job = await again.ended(job_id)
        assert again.contacted == []
    assert failed(job).code == Code.INTERRUPTED
    assert still_running(job) == [ignores]


def killed(job: Job, captured: Captured | None) -> Job:
    """Makes the job as the store has it after a kill."""
    job = job.begin(NOW)
    node = job.nodes[0].begin(NOW, 1)
    fields = {name: getattr(node, name) for name in node.__struct_fields__}
    return job.replace_node(0, type(node)(**{**fields, "result": captured}), NOW)


@pytest.mark.parametrize(
    ("captured", "named"),
    [
        (None, False),
        (Captured(NAME, NOW, running=True), True),
        (Captured(NAME, NOW, NOW, 3, "duration"), False),
    ],
)
async def test_kill_leaves_capture_named(
    tmp_path: Path, captured: Captured | None, named: bool
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job = harness.job("a", work=WORK, credential="ops", resumable=True)
        await harness.store.add_job(job)
        await harness.store.save(job, killed(job, captured))

        def replan(_: object) -> None:
            return None  # as the planner does, see unit/api/test_captures.py

        await harness.supervisor.recover(replan)
        ended = await harness.ended(job.job_id)
        assert harness.contacted == []
    shown = failed(ended)
    assert shown.code == Code.INTERRUPTED
    assert (NAME in (shown.hint or "")) is named
    assert still_running(ended) == [named]


async def retried(harness: SupervisorHarness, job_id: str, behaviour: Behaviour) -> Job:
    """Tries the only node of the job again; returns the job as the store has it then."""
    harness.behaviours["a"] = behaviour
    await harness.supervisor.retry(job_id, harness.again(0))
    await closed(harness, job_id)
    stored = await harness.store.load(job_id)
    assert stored is not None
    return stored


def ends_as(name: str, *, running: bool) -> Behaviour:
    """Lets the node fail, with a capture of that name; `running`: nothing shows that it ended."""

    async def behaviour(task: NodeTask, report: Report) -> tuple[str, ...]:
        report.attempt(task.first_attempt)
        report.result(Captured(name, NOW, NOW, how="failed", running=running))
        raise fail(Code.CONNECTION_LOST, "it was lost")

    return behaviour


async def test_captures_of_all_tries_are_named(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ends_as(NAME, running=True)}
        job_id = await start(harness, "a")
        await closed(harness, job_id)
        second = await retried(harness, job_id, ends_as(f"{NAME}_2", running=True))
        third = await retried(harness, job_id, ends_as(f"{NAME}_3", running=False))
        fourth = await retried(harness, job_id, fails_with(Code.CONNECT_TIMEOUT))
        fifth = await retried(harness, job_id, ready_after(0))
    both = (NAME, f"{NAME}_2")
    for job in (second, third, fourth, fifth):
        assert job.names_left_running(job.nodes[0]) == both
    for job in (second, third, fourth):
        assert all(f"/{name}.cap" in failed(job).message for name in both)
        assert f"{NAME}_3" not in failed(job).message
        assert f"{NAME}* " in (failed(job).hint or "")
    assert fifth.status == "succeeded"


def test_only_given_up_captures_are_named() -> None:
    job = job_with(Captured(NAME, NOW, running=True))
    assert (job.names_left_running(job.nodes[0]), failed(job).message) == ((), "late")
    # It was cut off by a kill while it was being ended, and the next start has closed the job.
    closed = job.with_end(End.CLOSED)
    assert closed.names_left_running(job.nodes[0]) == (NAME,)
    job = job_with(Captured(NAME, NOW, NOW, running=True))
    assert f"/{NAME}.cap" in failed(job).message
    assert failed(job_with(Captured(NAME, NOW, NOW))).message == "late"


def job_with(captured: Captured) -> Job:
    """Makes a job whose node has failed, and that was not closed."""
    job = Job("0a1b2c3d4e5f", NOW, WORK, Timeouts(), 1, (Node("a"),))
    return killed(job, captured).fail_unsettled(NOW, failure(Code.JOB_TIMEOUT, "late"))
