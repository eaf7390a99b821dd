"""A disk that is full, broken, slow or locked: who gets the error, and what is stored."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import trio

from cucmd.job.job import Job
from cucmd.store import Store, StoreFailed, open_store

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MakeJob = Callable[..., Job]


async def wait_for(event) -> None:
    """Waits until the store's thread has set a `threading.Event`."""
    await trio.to_thread.run_sync(event.wait, 10)
    assert event.is_set()


@pytest.mark.parametrize("error", ["disk I/O error", "database or disk is full"])
async def test_a_failed_commit_fails_its_caller_and_later_writes_succeed(
    error: str, path: Path, disk, make_job: MakeJob
) -> None:
    async with open_store(path, connect=disk.connect) as store:
        await store.add_job(make_job("1"))
        disk.error = error
        with pytest.raises(StoreFailed, match=error) as raised:
            await store.add_job(make_job("2"))
        assert str(path) in str(raised.value)
        assert [row.job_id for row in await store.newest(9)] == ["1"]
        disk.error = None
        await store.add_job(make_job("2"))
    async with open_store(path) as store:
        assert store.notices == ()
        assert [row.job_id for row in await store.newest(9)] == ["2", "1"]


@pytest.mark.parametrize("good", range(5))
async def test_a_write_of_which_any_statement_fails_is_rolled_back(
    good: int, path: Path, disk, make_job: MakeJob
) -> None:
    queued = make_job("1")
    async with open_store(path, connect=disk.connect) as store:
        await store.add_job(queued)
        disk.error, disk.good_statements = "disk I/O error", good
        with pytest.raises(StoreFailed, match="disk I/O error"):
            await store.save(queued, queued.begin(NOW))
        assert await store.load("1") == queued
        disk.error = disk.good_statements = None
        await store.save(queued, queued.begin(NOW))
    async with open_store(path) as store:
        assert store.notices == ()
        assert await store.load("1") == queued.begin(NOW)


@pytest.mark.long
async def test_on_a_full_disk_nothing_of_a_large_job_is_stored(
    path: Path, disk, make_job: MakeJob
) -> None:
    async with open_store(path, connect=disk.connect):
        pass
    disk.max_pages = path.stat().st_size // 4096 + 5
    large = make_job("large", nodes=2000)
    async with open_store(path, connect=disk.connect) as store:
        with pytest.raises(StoreFailed) as raised:
            await store.add_job(large)
        assert raised.value.disk_full
        assert await store.load("large") is None
        await store.add_job(make_job("small", nodes=1))
        disk.max_pages = None
    async with open_store(path, connect=disk.connect) as store:
        await store.add_job(large)
        assert await store.load("large") == large
        assert await store.load("small") is not None


async def test_the_save_after_a_failed_one_stores_both_changes(
    path: Path, disk, make_job: MakeJob
) -> None:
    queued = make_job()
    running = queued.begin(NOW)
    first = running.replace_node(0, running.nodes[0].begin(NOW, 1), NOW)
    second = first.replace_node(1, first.nodes[1].begin(NOW, 1), NOW)
    async with open_store(path, connect=disk.connect) as store:
        await store.add_job(queued)
        disk.error = "disk I/O error"
        with pytest.raises(StoreFailed):
            await store.save(queued, first)
        disk.error = None
        await store.save(queued, second)
        assert await store.load(queued.job_id) == second


async def test_one_wrong_write_does_not_fail_the_others_of_its_batch(
    path: Path, disk, make_job: MakeJob
) -> None:
    node = msgspec.structs.replace(make_job("2").nodes[0], bytes_received=10**30)
    too_large = msgspec.structs.replace(make_job("2"), nodes=(node,))
    outcomes: dict[str, str] = {}

    async def add(store: Store, job: Job) -> None:
        try:
            await store.add_job(job)
        except StoreFailed:
            outcomes[job.job_id] = "failed"
        else:
            outcomes[job.job_id] = "added"

    async with open_store(path, connect=disk.connect) as store:
        async with trio.open_nursery() as nursery:
            await hold_the_writer(nursery, store, disk, make_job)
            for job in (make_job("1"), too_large, make_job("3")):
                nursery.start_soon(add, store, job)
            await trio.testing.wait_all_tasks_blocked()
            disk.gate.set()
        assert outcomes == {"1": "added", "2": "failed", "3": "added"}
        assert {row.job_id for row in await store.newest(9)} == {"1", "3", "held"}


async def hold_the_writer(nursery, store: Store, disk, make_job: MakeJob) -> None:
    """Starts a write that waits before its commit until the gate opens. Later writes queue."""
    disk.gate.clear()
    disk.at_gate.clear()
    nursery.start_soon(store.add_job, make_job("held"))
    await wait_for(disk.at_gate)


async def test_writes_that_wait_share_one_commit(path: Path, disk, make_job: MakeJob) -> None:
    async with open_store(path, connect=disk.connect) as store:
        disk.commits = 0
        async with trio.open_nursery() as nursery:
            await hold_the_writer(nursery, store, disk, make_job)
            for number in range(100):
                nursery.start_soon(store.add_job, make_job(f"{number:04}"))
            await trio.testing.wait_all_tasks_blocked()
            disk.gate.set()
        assert disk.commits == 2
        assert len(await store.newest(200)) == 101


async def test_all_that_share_a_failed_commit_get_the_error(
    path: Path, disk, make_job: MakeJob
) -> None:
    failed: list[str] = []

    async def add(store: Store, job: Job) -> None:
        try:
            await store.add_job(job)
        except StoreFailed:
            failed.append(job.job_id)

    async with open_store(path, connect=disk.connect) as store:
        async with trio.open_nursery() as nursery:
            disk.gate.clear()
            disk.at_gate.clear()
            nursery.start_soon(add, store, make_job("first"))
            await wait_for(disk.at_gate)
            for number in range(5):
                nursery.start_soon(add, store, make_job(str(number)))
            await trio.testing.wait_all_tasks_blocked()
            disk.error = "disk I/O error"
            disk.gate.set()
        assert sorted(failed) == ["0", "1", "2", "3", "4", "first"]
        assert await store.newest(9) == ()


async def test_reads_do_not_wait_for_a_slow_commit(path: Path, disk, make_job: MakeJob) -> None:
    async with open_store(path, connect=disk.connect) as store:
        await store.add_job(make_job("before"))
        async with trio.open_nursery() as nursery:
            await hold_the_writer(nursery, store, disk, make_job)
            assert await store.load("before") is not None
            assert await store.load("held") is None
            disk.gate.set()
        assert await store.load("held") is not None


async def test_a_caller_that_is_cancelled_loses_the_answer_but_not_the_write(
    path: Path, disk, make_job: MakeJob
) -> None:
    async with open_store(path, connect=disk.connect) as store:
        async with trio.open_nursery() as nursery:
            await hold_the_writer(nursery, store, disk, make_job)
            nursery.start_soon(store.add_job, make_job("waiting"))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        disk.gate.set()
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.add_job(make_job("late"))
        assert scope.cancelled_caught
    async with open_store(path) as store:
        rows = [row.job_id for row in await store.newest(9)]
        assert rows == ["late", "waiting", "held"]


async def test_what_is_queued_when_the_store_closes_is_written(
    path: Path, disk, make_job: MakeJob
) -> None:
    async with trio.open_nursery() as nursery:
        async with open_store(path, connect=disk.connect) as store:
            await hold_the_writer(nursery, store, disk, make_job)
            nursery.start_soon(store.add_job, make_job("queued"))
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(open_gate, disk)
        with pytest.raises(StoreFailed, match="closed"):
            await store.add_job(make_job("too late"))
    async with open_store(path) as store:
        assert [row.job_id for row in await store.newest(9)] == ["queued", "held"]


async def open_gate(disk) -> None:
    disk.gate.set()


async def test_a_lock_of_another_process_is_an_error_until_it_is_released(
    path: Path, disk, make_job: MakeJob
) -> None:
    disk.busy_milliseconds = 1
    async with open_store(path, connect=disk.connect) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreFailed) as raised:
                await store.add_job(make_job())
            assert raised.value.__cause__.sqlite_errorcode == sqlite3.SQLITE_BUSY
            other.execute("ROLLBACK")
        await store.add_job(make_job())
        assert await store.load("0a1b2c3d4e5f") == make_job()


async def test_a_database_that_vanishes_is_not_replaced_by_an_empty_one(
    path: Path, disk, make_job: MakeJob
) -> None:
    async with open_store(path, connect=disk.connect) as store:
        disk.error = "disk I/O error"
        with pytest.raises(StoreFailed):
            await store.add_job(make_job())
        disk.error = None
        path.rename(path.with_name("elsewhere"))
        with pytest.raises(StoreFailed) as raised:
            await store.add_job(make_job())
        assert raised.value.__cause__.sqlite_errorcode == sqlite3.SQLITE_CANTOPEN
        assert not path.exists()


async def test_one_unreadable_job_does_not_hide_the_others(
    path: Path, make_job: MakeJob, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(path) as store:
        await store.add_job(make_job("bad"))
        await store.add_job(make_job("good"))
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE job SET detail = '{' WHERE job_id = 'bad'")
    async with open_store(path) as store:
        for _ in range(2):
            assert [job.job_id for job in await store.unfinished()] == ["good"]
        assert len([said for said in caplog.messages if "job bad " in said]) == 1
        assert await store.load("bad") is None
        assert [row.job_id for row in await store.newest(9)] == ["good"]


@pytest.mark.parametrize(
    ("column", "damage"),
    [("status", "'runn)ng'"), ("created_at", "'2026-11-2'"), ("completed_at", "'x'")],
)
async def test_one_unreadable_row_does_not_hide_the_others(
    path: Path, make_job: MakeJob, caplog: pytest.LogCaptureFixture, column: str, damage: str
) -> None:
    async with open_store(path) as store:
        await store.add_job(make_job("bad"))
        await store.add_job(make_job("good"))
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(f"UPDATE job SET {column} = {damage} WHERE job_id = 'bad'")
    async with open_store(path) as store:
        for _ in range(2):
            assert [row.job_id for row in await store.newest(9)] == ["good"]
    assert len([said for said in caplog.messages if "job bad " in said]) == 1


async def test_a_damaged_character_does_not_hide_a_job(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        await store.add_job(make_job())
    whole = path.read_bytes()
    assert whole.count(b'"username":"') == 1
    path.write_bytes(whole.replace(b'"username":"a', b'"username":"\xff'))
    async with open_store(path) as store:
        (job,) = await store.unfinished()
        assert job.username == "\ufffddministrator"
