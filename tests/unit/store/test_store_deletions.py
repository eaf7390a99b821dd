"""Deleting jobs or their files, and the count of elapsed seconds."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cucmd.job.job import End, Job
from cucmd.received_file import ReceivedFile
from cucmd.store import ClosedJob, StartKey, Store, StoreFailed, open_store
from cucmd.store.deletion_sql import BATCH

NOW = datetime(2026, 11, 25, 12, 0, 0, 250, tzinfo=UTC)
MakeJob = Callable[..., Job]


def files(count: int) -> list[ReceivedFile]:
    return [ReceivedFile("10.0.0.0:2022", f"n/files/{number}", 10) for number in range(count)]


async def closed(store: Store, job: Job, count: int = 3) -> Job:
    await store.add_job(job, StartKey(1000, job.job_id, "d"))
    ended = job.cancel(NOW)
    await store.save(job, ended)
    await store.save_files(job.job_id, files(count))
    closed = await store.close_job(job.job_id)
    assert closed is not None
    return closed


async def test_closed_jobs_have_their_size(path: Path, make_job: MakeJob) -> None:
    async with open_store(path, clock=lambda: 0.0) as store:
        await store.add_job(make_job("000000000001"))
        for number in (2, 3):
            await closed(store, make_job(f"00000000000{number}", labels={"keep": "yes"}), number)
        labels = {"keep": "yes"}
        assert await store.closed_jobs() == (
            ClosedJob("000000000003", NOW, 30, labels, kind="collect"),
            ClosedJob("000000000002", NOW, 20, labels, kind="collect"),
        )


@pytest.mark.parametrize("count", [0, BATCH, 2 * BATCH + 1])
async def test_marked_job_is_deleted_in_pieces(path: Path, make_job: MakeJob, count: int) -> None:
    async with open_store(path) as store:
        job = await closed(store, make_job(), count)
        marked = replace(job.with_end(End.FILES_DELETED), revision=job.revision + 1)
        begun = await store.begin_deletion(job.job_id, record=True)
        assert begun == (10 * count, marked)
        assert await store.begin_deletion(job.job_id, record=False) == (10 * count, None)
        assert await store.begun_deletions() == (job.job_id,)
    async with open_store(path) as store:
        assert await store.load(job.job_id) == marked
        assert await store.begun_deletions() == (job.job_id,)
        assert await store.end_deletion(job.job_id) == marked.revision + 1
        assert await store.load(job.job_id) is None
        assert await store.begun_deletions() == ()
    with closing(sqlite3.connect(path)) as raw:
        for table in ("job", "node", "file", "label", "target", "start_key"):
            assert raw.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_record_stays_without_files(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        job = await closed(store, make_job())
        await store.begin_deletion(job.job_id, record=False)
        assert await store.begun_deletions() == (job.job_id,)
        assert await store.end_deletion(job.job_id) == 0
        assert await store.begun_deletions() == ()
        marked = replace(job.with_end(End.FILES_DELETED), revision=job.revision + 1)
        assert await store.load(job.job_id) == marked
        assert len(await store.files(job.job_id)) == 3
        (left,) = await store.closed_jobs()
        assert left.bytes == 0
        await store.begin_deletion(job.job_id, record=True)
        await store.end_deletion(job.job_id)
        assert await store.closed_jobs() == ()


async def test_other_jobs_are_not_deleted(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        opened = make_job("000000000001")
        await store.add_job(opened)
        await store.begin_deletion(opened.job_id, record=True)
        unmarked = await closed(store, make_job("000000000002"))
        for job in (opened, unmarked):
            await store.end_deletion(job.job_id)
            assert await store.load(job.job_id) == job
        await store.end_deletion("000000000003")


async def test_damaged_job_is_left_out(
    path: Path, make_job: MakeJob, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(path) as store:
        for number in (1, 2):
            await closed(store, make_job(f"00000000000{number}"))
        with closing(sqlite3.connect(path)) as raw, raw:
            raw.execute("UPDATE job SET completed_at = 'x' WHERE job_id = '000000000001'")
        assert [job.job_id for job in await store.closed_jobs()] == ["000000000002"]
        assert "000000000001 cannot be read" in caplog.text


class Clock:
    """Gives seconds, as a clock that starts again with each boot of the machine."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_elapsed_counts_open_time(path: Path) -> None:
    clock = Clock()
    async with open_store(path, clock=clock) as store:
        assert await store.elapsed() == 0
        clock.now += 50
        assert await store.elapsed() == 50
    clock.now += 7
    async with open_store(path, clock=clock) as store:
        clock.now += 3
        assert await store.elapsed() == 53
        clock.now += 5
    clock.now = 2.0
    async with open_store(path, clock=clock) as store:
        clock.now += 1
        assert await store.elapsed() == 54


async def test_elapsed_survives_a_failed_write(path: Path, disk) -> None:
    clock = Clock()
    async with open_store(path, connect=disk.connect, clock=clock) as store:
        clock.now += 10
        disk.error = "disk I/O error"
        with pytest.raises(StoreFailed):
            await store.elapsed()
        disk.error = None
        clock.now += 5
        assert await store.elapsed() == 15
    async with open_store(path, clock=clock) as store:
        assert await store.elapsed() == 15


async def test_jobs_are_ordered_by_elapsed_time(path: Path, make_job: MakeJob) -> None:
    """The wall clock at their ends does not matter, nor the order in which they are closed."""
    clock = Clock()
    async with open_store(path, clock=clock) as store:
        for number, at in ((1, NOW), (2, NOW - timedelta(days=30)), (3, NOW - timedelta(days=9))):
            clock.now += 100
            job = make_job(f"00000000000{number}")
            await store.add_job(job)
            await store.save(job, job.cancel(at))
        for number in (3, 1, 2):
            await store.close_job(f"00000000000{number}", 1000.0 + 100 * number)
        jobs = [(one.job_id[-1], one.ended_after) for one in await store.closed_jobs()]
        assert jobs == [("3", 300), ("2", 200), ("1", 100)]
        clock.now += 100
        again = await store.load("000000000001")
        await store.reopen_job(again, queued := again.retry(frozenset({0})))
        await store.save(queued, queued.cancel(NOW))
        await store.close_job(again.job_id)
        assert [one.job_id[-1] for one in await store.closed_jobs()] == ["1", "3", "2"]
