"""Calls for one job that come at the same time: each finds what the others have done."""

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cucmd.config import Limits
from cucmd.failure import Code
from cucmd.job.job import Job
from cucmd.jobs.deletion import Deletions
from cucmd.jobs.job_errors import JobInUse, TooManyJobs
from cucmd.store import JobFilter
from rig.supervised import (
    HeldCall,
    SupervisorHarness,
    fail_calls,
    fails_with,
    hang,
    supervisor_harness,
)


async def failed_job(harness: SupervisorHarness, **fields: object) -> str:
    """Makes a closed job of one node, which would hang at the next try."""
    harness.behaviours = {"a": fails_with(Code.CONNECTION_LOST)}
    job_id = await harness.start("a", **fields)
    await harness.ended(job_id)
    await harness.supervisor.wait_closed(job_id)
    harness.behaviours = {"a": hang}
    return job_id


async def retry(harness: SupervisorHarness, job_id: str, uid: int | None = None) -> Job:
    return await harness.supervisor.retry(job_id, harness.again(0), uid=uid)


async def test_concurrent_retries_run_once(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await failed_job(harness)
        refused: list[JobInUse] = []

        async def try_again() -> None:
            try:
                await retry(harness, job_id)
            except JobInUse as error:
                refused.append(error)

        # The job is found, and then read: what is read the second time comes late.
        load = HeldCall(harness.store, "load", before=1, done=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(try_again)
            await load.held.wait()
            await try_again()
            load.go.set()
        await harness.running(job_id)
        assert len(refused) == 1
        assert harness.contacted == ["a", "a"]
        await harness.supervisor.cancel(job_id, None)


async def test_cancel_during_retry(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await failed_job(harness)
        # The retry is on disk, and its caller does not know it yet.
        write = HeldCall(harness.store, "reopen_job", done=True)
        cancelled: list[tuple[Job, bool]] = []

        async def cancel() -> None:
            cancelled.append(await harness.supervisor.cancel(job_id, None))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(retry, harness, job_id)
            await write.held.wait()
            nursery.start_soon(cancel)
            await trio.testing.wait_all_tasks_blocked(0.01)
            write.go.set()
        [(job, changed)] = cancelled
        assert (job.status, changed) == ("cancelled", True)
        assert (await harness.supervisor.wait_closed(job_id)).status == "cancelled"


async def test_retry_counts_for_its_caller(tmp_path: Path) -> None:
    limits = Limits(queued_per_uid=1, jobs=1)
    async with supervisor_harness(tmp_path, limits) as harness:
        of_the_first = [await failed_job(harness, uid=1) for _ in range(3)]
        harness.behaviours = {"a": hang}
        running, waiting, refused = of_the_first
        await retry(harness, running, 2)
        await harness.running(running)
        await retry(harness, waiting, 2)
        with pytest.raises(TooManyJobs):
            await retry(harness, refused, 2)
        started = await harness.start("a", uid=1)
        for job_id in (started, waiting, running):
            await harness.supervisor.cancel(job_id, None)


async def test_concurrent_labels_are_kept(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await failed_job(harness)

        async def label(name: str) -> None:
            def change(job: Job) -> Job:
                return replace(job, labels={**job.labels, name: "1"})

            await harness.supervisor.relabel(job_id, change)

        async with trio.open_nursery() as nursery:
            for name in "abcd":
                nursery.start_soon(label, name)
        labels = (await harness.supervisor.find(job_id)).labels
        assert labels == dict.fromkeys("abcd", "1")
        assert await harness.store.count(JobFilter(labels=labels)) == 1


@pytest.mark.parametrize("stored", [False, True])
async def test_label_during_close_is_kept(tmp_path: Path, stored: bool) -> None:
    """`stored`: whether the mark of its close is on disk when the label comes."""
    async with supervisor_harness(tmp_path) as harness:
        close = HeldCall(harness.store, "close_job", done=stored)

        async def label() -> None:
            await harness.supervisor.relabel(job_id, lambda job: replace(job, labels={"a": "1"}))

        job_id = await harness.start("a")
        await close.held.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(label)
            await trio.testing.wait_all_tasks_blocked(0.01)
            close.go.set()
        job = await harness.supervisor.wait_closed(job_id)
        assert (job.labels, job.closed) == ({"a": "1"}, True)
        (listed,) = await harness.store.closed_jobs()
        assert listed.labels == {"a": "1"}
        assert await harness.store.unclosed_jobs() == ()


@pytest.mark.parametrize("change", ["retry", "delete"])
async def test_close_is_announced_before_change(tmp_path: Path, change: str) -> None:
    async with supervisor_harness(tmp_path) as harness:
        close = HeldCall(harness.store, "close_job")
        told: list[str] = []

        async def change_it() -> None:
            if change == "retry":
                await retry(harness, job_id)
            else:
                await Deletions(harness.supervisor, harness.store).delete(job_id, record=True)

        harness.supervisor.on_closed = lambda job_id: told.append("closed")
        harness.supervisor.on_changing = lambda job_id: told.append("changing")
        harness.behaviours = {"a": fails_with(Code.CONNECTION_LOST)}
        job_id = await harness.start("a")
        await close.held.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(change_it)
            await trio.testing.wait_all_tasks_blocked(0.01)
            close.go.set()
        assert told[:2] == ["closed", "changing"]


async def test_close_is_tried_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with supervisor_harness(tmp_path) as harness:
        fail_calls(harness.store, "close_job")
        job_id = await harness.start("a")
        assert await harness.closed() == ()
        assert (await harness.supervisor.wait_closed(job_id)).closed
