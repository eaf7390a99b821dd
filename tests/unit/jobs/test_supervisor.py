"""The supervisor, in virtual time with scripted nodes: admission, cancel, deadlines, stops."""

import errno
import gc
import logging
import os
from math import inf
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from cucmd.config import Limits
from cucmd.failure import Code, failure
from cucmd.job.job import Job
from cucmd.job.node import Phase
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.job_errors import Draining, TooManyJobs, UnknownJob, UnknownNode
from cucmd.jobs.job_run import JobRun
from cucmd.node.ports import NodeTask, Report
from cucmd.store import StoreFailed
from rig.scripted_target import DefectiveTarget, Target
from rig.supervised import fail_calls, fails_with, hang, statuses, supervisor_harness


async def test_ended_job_leaves_memory(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        await harness.ended(await harness.start("a"))
        while harness.supervisor.live_count:
            await trio.testing.wait_all_tasks_blocked()
        assert harness.supervisor.ended == 1
        gc.collect()
        assert not any(isinstance(one, JobRun) for one in gc.get_objects())


async def test_defect_fails_one_node(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def defect(task: NodeTask, report: Report) -> tuple[str, ...]:
        raise ZeroDivisionError("a defect")

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = defect
        job = await harness.ended(await harness.start("a", "b"))
        assert statuses(job) == ["failed", "succeeded"]
        assert job.nodes[0].state.failure.code == Code.INTERNAL
        assert "a defect" in caplog.text


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Code.DISK_FULL, "Disk quota exceeded: "),
        (OSError(errno.EFBIG, "File too large", "core.1"), Code.DISK_FULL, "too large: core.1"),
        (OSError(errno.EIO, "Input/output error"), Code.INTERNAL, "error: state directory"),
        (OSError("no number"), Code.INTERNAL, "no number: state directory"),
    ],
)
async def test_disk_error_is_in_message(
    tmp_path: Path, error: OSError, code: Code, message: str
) -> None:
    async def refused(task: NodeTask, report: Report) -> tuple[str, ...]:
        raise error

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = refused
        why = (await harness.ended(await harness.start("a"))).nodes[0].state.failure
    assert (why.code, message in why.message) == (code, True)


async def test_concurrency_limits_nodes(tmp_path: Path) -> None:
    inside, most = 0, 0
    released = trio.Event()

    async def count(task: NodeTask, report: Report) -> tuple[str, ...]:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await released.wait()
        await trio.to_thread.run_sync(lambda: None)  # long enough for the folder of a fourth
        inside -= 1
        return ()

    async with supervisor_harness(tmp_path) as harness:
        names = [f"n{number}" for number in range(9)]
        harness.behaviours = dict.fromkeys(names, count)
        job_id = await harness.start(*names, concurrency=3)
        await harness.running(job_id, nodes=3)
        released.set()
        await harness.ended(job_id)
    assert most == 3


async def test_queue_limit_of_one_user(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path, Limits(jobs=1, queued=10, queued_per_uid=2)) as harness:
        harness.behaviours["a"] = hang
        first = await harness.start("a", uid=1000)
        await harness.running(first)
        waiting = [await harness.start("b", uid=1000) for _ in range(2)]
        with pytest.raises(TooManyJobs) as caught:
            await harness.start("b", uid=1000)
        assert (caught.value.limit, caught.value.maximum) == ("queued_per_uid", 2)
        other = await harness.start("b", uid=1001)
        assert (await harness.supervisor.find(other)).status == "queued"
        await harness.supervisor.cancel(waiting[0], None)
        await harness.start("b", uid=1000)
        await harness.supervisor.cancel(first, None)
        await harness.ended(other)


async def test_cancelled_node_stays_cancelled(tmp_path: Path) -> None:
    cancelled = trio.Event()

    async def stubborn(task: NodeTask, report: Report) -> tuple[str, ...]:
        with trio.CancelScope(shield=True):
            await cancelled.wait()
        return ("too late",)

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = stubborn
        job_id = await harness.start("a")
        await harness.running(job_id)
        job, _ = await harness.supervisor.cancel(job_id, None)
        assert statuses(job) == ["cancelled"]
        cancelled.set()
        await harness.closed()
        job = await harness.supervisor.find(job_id)
        assert (statuses(job), job.nodes[0].notes) == (["cancelled"], ())


RECORD, TASK = "on record", "the task ended"


@pytest.mark.parametrize(
    ("hangs", "in_turn"), [(False, [RECORD, TASK]), (True, [TASK, RECORD])], ids=["", "hangs"]
)
async def test_cancel_is_saved_before_tasks_end(
    tmp_path: Path, autojump_clock: MockClock, hangs: bool, in_turn: list[str]
) -> None:
    happened: list[str] = []
    ended = trio.Event()

    async def until_cancelled(task: NodeTask, report: Report) -> tuple[str, ...]:
        try:
            await trio.sleep_forever()
        finally:
            happened.append(TASK)
            ended.set()
        raise AssertionError

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = until_cancelled
        job_id = await harness.start("a")
        await harness.running(job_id)
        save = harness.store.save

        async def saved(before: Job, after: Job) -> None:
            if hangs:
                await ended.wait()
            await save(before, after)
            if after.ended:
                happened.append(RECORD)

        harness.store.save = saved
        began = trio.current_time()
        await harness.supervisor.cancel(job_id, None)
        assert trio.current_time() - began < 1
        await ended.wait()
        assert happened[:2] == in_turn


async def test_unsaved_state_is_not_shown(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = hang
        job_id = await harness.start("a")
        await harness.running(job_id)
        save = harness.store.save
        fail_calls(harness.store, "save", inf)
        for done in ("the nodes are cancelled", "nothing was left to cancel"):
            with pytest.raises(StoreFailed, match=f"{done}, but this is not saved yet: the disk"):
                await harness.supervisor.cancel(job_id, None)
        assert statuses(await harness.supervisor.find(job_id)) == ["running"]
        assert [job.status for job in await harness.supervisor.newest(9)] == ["running"]
        harness.store.save = save
        assert statuses(await harness.ended(job_id)) == ["cancelled"]


async def test_unknown_job_and_node(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        with pytest.raises(UnknownJob) as unknown:
            await harness.supervisor.cancel("beef", None)
        assert unknown.value.job_id == "beef"
        job_id = await harness.start("a")
        with pytest.raises(UnknownNode) as caught:
            await harness.supervisor.cancel(job_id, ["a", "z"])
        assert caught.value.node == "z"


async def test_node_timeout(tmp_path: Path, autojump_clock: MockClock) -> None:
    ended: dict[str, float] = {}

    async def late(task: NodeTask, report: Report) -> tuple[str, ...]:
        report.phase(Phase.TRANSFER)
        try:
            await trio.sleep_forever()
        finally:
            ended[task.node] = trio.current_time()
        raise AssertionError

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = late
        started = trio.current_time()
        job = await harness.ended(await harness.start("a", "b", timeouts=Timeouts(node=20)))
        assert statuses(job) == ["failed", "succeeded"]
        failure = job.nodes[0].state.failure
        assert failure.code == Code.NODE_TIMEOUT
        assert " 20s " in failure.message
        assert "transfer" in failure.message
        assert ended["a"] - started == pytest.approx(20, abs=1)


async def test_job_timeout(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["b"] = hang
        timeouts = Timeouts(job=20, node=40_000)
        job = await harness.ended(
            await harness.start("a", "b", "c", concurrency=2, timeouts=timeouts)
        )
        assert statuses(job) == ["succeeded", "failed", "succeeded"]
        assert job.nodes[1].state.failure.code == Code.JOB_TIMEOUT
        assert " 20s " in job.nodes[1].state.failure.message


@pytest.mark.parametrize("timeouts", [Timeouts(node=20), Timeouts(job=20)], ids=["node", "job"])
async def test_refused_upload_is_reported_first(
    tmp_path: Path, autojump_clock: MockClock, timeouts: Timeouts
) -> None:
    full = failure(Code.DISK_FULL, "less than 1 GiB is free")

    async def refused(task: NodeTask, report: Report) -> tuple[str, ...]:
        target = Target()
        target.refusal = full
        report.upload_target(target)
        return await hang(task, report)

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": refused, "b": hang}
        job = await harness.ended(await harness.start("a", "b", timeouts=timeouts))
        assert statuses(job) == ["failed", "failed"]
        assert job.nodes[0].state.failure == full
        assert job.nodes[1].state.failure.code in {Code.NODE_TIMEOUT, Code.JOB_TIMEOUT}


async def test_stop_and_resume(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": hang, "b": hang}
        typed = await harness.start("a")
        named = await harness.start("b", credential="ops", resumable=True)
        await harness.running(typed)
        await harness.running(named)
        await harness.supervisor.drain()
        with pytest.raises(Draining):
            await harness.start("c")
        job = await harness.supervisor.find(typed)
        assert (job.status, job.nodes[0].state.failure.code) == ("failed", Code.INTERRUPTED)
        assert (await harness.store.load(named)).status == "running"

    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        job = await again.ended(named)
        assert (job.status, job.nodes[0].attempt) == ("succeeded", 2)
        assert (await again.supervisor.find(typed)).status == "failed"


async def test_defect_ends_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work(task: NodeTask, report: Report) -> tuple[str, ...]:
        report.upload_target(DefectiveTarget())
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": hang, "b": work}
        job = await harness.ended(await harness.start("a", "b"))
        assert job.status == "failed"
        assert {node.state.failure.code for node in job.nodes} == {Code.INTERNAL}
    assert "a defect" in caplog.text


async def test_log_lines_have_uid(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """So that a handler can limit them: a user can let thousands of nodes fail in a second."""
    caplog.set_level(logging.INFO)
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": fails_with(Code.CONNECTION_REFUSED)}
        await harness.ended(await harness.start("a", "b", uid=61001))
    lines = [one for one in caplog.records if one.name == "cucmd.jobs.recorder"]
    assert len(lines) == 2
    assert all(line.uid == 61001 for line in lines)


async def test_folders_are_synced_before_contact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, synced, at_contact = os.fsync, set(), set()

    def watched(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    async def contacted(task: NodeTask, report: Report) -> tuple[str, ...]:
        at_contact.update(synced)
        return ()

    monkeypatch.setattr(os, "fsync", watched)
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = contacted
        job_id = await harness.start("a")
        await harness.ended(job_id)
    job = tmp_path / "jobs" / job_id
    assert {job.parent, job, job / "a"} <= at_contact


async def test_second_name_of_a_node_is_noted(tmp_path: Path) -> None:
    async def one_address(host: str, port: int) -> tuple[str, int]:
        return "192.0.2.9", port

    async with supervisor_harness(tmp_path, locate=one_address) as harness:
        job = await harness.ended(await harness.start("a", "also-a"))
    assert statuses(job) == ["succeeded", "succeeded"]
    notes = [" ".join(node.notes) for node in job.nodes]
    assert sorted("192.0.2.9, port 22" in said for said in notes) == [False, True]
