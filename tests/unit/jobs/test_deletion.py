"""Jobs are deleted by name and after a stop in the middle; files first, record last."""

import os
from pathlib import Path

import pytest
import trio

from cucmd.config import Retention
from cucmd.jobs.deletion import EVERY, Deletions, RetentionTask
from cucmd.jobs.job_errors import Draining, JobInUse, UnknownJob
from cucmd.store import StoreFailed
from rig.supervised import call_after, fail_calls
from unit.jobs.deletions import EVERYTHING, opened


async def test_delete_removes_record_and_directory(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        first, second = await harness.job(), await harness.job()
        deleted = await harness.deletions.delete(first, record=True)
        assert deleted.job.job_id == first
        assert await harness.left() == [second]
        with pytest.raises(UnknownJob):
            await harness.deletions.delete(first, record=True)


async def test_deleting_files_keeps_record(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        job_id = await harness.job()
        for _ in range(2):
            await harness.deletions.delete(job_id, record=False)
            assert not harness.directory(job_id).exists()
            assert (await harness.supervisor.find(job_id)).files_deleted


async def test_job_being_read_is_not_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        job_id = await harness.job()
        with harness.supervisor.holds.reading(job_id):
            with pytest.raises(JobInUse):
                await harness.deletions.delete(job_id, record=True)
            assert await harness.deletions.list_prunable(EVERYTHING) == []
            assert await harness.deletions.prune(EVERYTHING) == []
        assert await harness.left() == [job_id]


async def test_job_being_deleted_is_locked(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        job_id = await harness.job()
        refused: list[str] = []

        async def others(job_id: str) -> None:
            with pytest.raises(JobInUse), harness.supervisor.holds.reading(job_id):
                pass
            with pytest.raises(JobInUse):
                await harness.supervisor.relabel(job_id, lambda job: job)
            refused.append(job_id)

        call_after(harness.store, "begin_deletion", others)
        await harness.deletions.delete(job_id, record=True)
        assert refused == [job_id]


async def test_deletion_outlives_its_caller(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        job_id = await harness.job()
        begin = harness.store.begin_deletion
        with trio.CancelScope() as scope:

            async def begin_and_go(*arguments: object, **more: object) -> int:
                scope.cancel()
                return await begin(*arguments, **more)

            harness.store.begin_deletion = begin_and_go
            await harness.deletions.delete(job_id, record=True)
        assert await harness.left() == []


async def test_next_start_finishes_deletion(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        whole, files = await harness.job(), await harness.job()
        for job_id in (whole, files):
            deletions = Deletions(harness.supervisor, harness.store)

            async def stop(_: str, deletions: Deletions = deletions) -> None:
                deletions.stop()

            call_after(harness.store, "begin_deletion", stop)
            with pytest.raises(Draining):
                await deletions.delete(job_id, record=job_id == whole)
        assert (await harness.supervisor.find(whole)).files_deleted
    async with opened(tmp_path) as again:
        await again.deletions.finish_interrupted()
        assert [row.job_id for row in await again.store.newest(9)] == [files]
        assert os.listdir(tmp_path / "jobs") == []
        assert await again.store.begun_deletions() == ()


async def test_stopping_daemon_deletes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        ids = [await harness.job() for _ in range(2)]
        harness.deletions.stop()
        with pytest.raises(Draining):
            await harness.deletions.delete(ids[0], record=True)
        with pytest.raises(Draining):
            await harness.deletions.prune(EVERYTHING)
        await harness.deletions.apply_retention(Retention(jobs=1))
        assert await harness.left() == ids
        assert await harness.store.begun_deletions() == ()


async def test_failing_store_deletes_no_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        job_id = await harness.job()
        fail_calls(harness.store, "begin_deletion")
        with pytest.raises(StoreFailed):
            await harness.deletions.delete(job_id, record=True)
        assert (harness.directory(job_id) / "a" / "files" / "x.txt").exists()


async def test_retention_after_job_and_hourly(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    """The clock is moved by the test alone: what is deleted in threads takes its time."""
    settings = [Retention(jobs=2)]
    begun: list[float] = []
    done, applied = trio.open_memory_channel[None](9)
    async with opened(tmp_path) as harness, trio.open_nursery() as nursery:
        finish, retain = harness.deletions.finish_interrupted, harness.deletions.apply_retention

        async def begin() -> None:  # the first step of each time
            begun.append(trio.current_time())
            await finish()

        async def apply(*values: object) -> None:
            await retain(*values)
            done.send_nowait(None)

        harness.deletions.finish_interrupted, harness.deletions.apply_retention = begin, apply
        task = RetentionTask(harness.deletions, lambda: settings[0])
        ids = [await harness.job() for _ in range(3)]
        nursery.start_soon(task.run)
        await applied.receive()
        assert await harness.left() == ids[1:]
        harness.supervisor.on_closed = lambda job_id: task.job_closed()
        ids.append(await harness.job())
        await applied.receive()
        assert await harness.left() == ids[2:]
        settings[0] = Retention(jobs=1)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(EVERY - 60)
        await trio.testing.wait_all_tasks_blocked()
        assert len(begun) == 2
        mock_clock.jump(60)
        await applied.receive()
        assert await harness.left() == ids[3:]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("by_rule", [False, True])
async def test_deletion_ends_guests(tmp_path: Path, by_rule: bool) -> None:
    async with opened(tmp_path) as harness, trio.open_nursery() as nursery:
        job_id = await harness.job()
        ended = trio.Event()

        async def read() -> None:
            with harness.supervisor.holds.reading_as_guest(job_id):
                await trio.sleep_forever()
            ended.set()

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        if by_rule:
            assert len(await harness.deletions.prune(EVERYTHING)) == 1
        else:
            await harness.deletions.delete(job_id, record=True)
        await ended.wait()
        assert await harness.left() == []
