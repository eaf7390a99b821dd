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
async def test_failed_commit_fails_its_caller(
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
async def test_failed_statement_rolls_back(good: int, path: Path, disk, make_job: MakeJob) -> None:
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
async def test_full_disk_stores_nothing_partly(path: Path, disk, make_job: MakeJob) -> None:
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


async def test_next_save_stores_both_changes(path: Path, disk, make_job: MakeJob) -> None:
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


async def test_wrong_write_fails_alone(path: Path, disk, make_job: MakeJob) -> None:
    node = msgspec.structs.replace(make_job("2").nodes[0], bytes_received=10**30)
    too_large = msgspec.structs.replace(make_job("2"), nodes=(node,))
    added: dict[str, bool] = {}
    async with open_store(path, connect=disk.connect) as store:
        async with trio.open_nursery() as nursery:
            await hold_the_writer(nursery, store, disk, make_job)
            for job in (make_job("1"), too_large, make_job("3")):
                nursery.start_soon(add, store, job, added)
            await trio.testing.wait_all_tasks_blocked()
            disk.gate.set()
        assert added == {"1": True, "2": False, "3": True}
        assert {row.job_id for row in await store.newest(9)} == {"1", "3", "held"}


async def add(store: Store, job: Job, added: dict[str, bool]) -> None:
    try:
        await store.add_job(job)
    except StoreFailed:
        added[job.job_id] = False
    else:
        added[job.job_id] = True


async def hold_the_writer(nursery, store: Store, disk, make_job: MakeJob) -> None:
    """Starts a write that waits before its commit until the gate opens. Later writes queue."""
    disk.gate.clear()
    disk.at_gate.clear()
    nursery.start_soon(store.add_job, make_job("held"))
    await wait_for(disk.at_gate)


async def test_waiting_writes_share_a_commit(path: Path, disk, make_job: MakeJob) -> None:
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


async def test_failed_commit_fails_its_batch(path: Path, disk, make_job: MakeJob) -> None:
    added: dict[str, bool] = {}
    async with open_store(path, connect=disk.connect) as store:
        async with trio.open_nursery() as nursery:
            disk.gate.clear()
            disk.at_gate.clear()
            nursery.start_soon(add, store, make_job("first"), added)
            await wait_for(disk.at_gate)
            for number in range(5):
                nursery.start_soon(add, store, make_job(str(number)), added)
            await trio.testing.wait_all_tasks_blocked()
            disk.error = "disk I/O error"
            disk.gate.set()
        assert added == dict.fromkeys(("first", *"01234"), False)
        assert await store.newest(9) == ()


async def test_reads_do_not_wait(path: Path, disk, make_job: MakeJob) -> None:
    async with open_store(path, connect=disk.connect) as store:
        await store.add_job(make_job("before"))
        async with trio.open_nursery() as nursery:
            await hold_the_writer(nursery, store, disk, make_job)
            assert await store.load("before") is not None
            assert await store.load("held") is None
            disk.gate.set()
        assert await store.load("held") is not None


async def test_cancelled_write_is_applied(path: Path, disk, make_job: MakeJob) -> None:
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


async def test_queued_writes_survive_close(path: Path, disk, make_job: MakeJob) -> None:
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


async def test_cancelled_close_waits_for_writes(path: Path, disk, make_job: MakeJob) -> None:
    cancelled, closed = trio.Event(), trio.Event()

    async def cancel_and_close() -> None:
        with trio.CancelScope() as scope:
            async with (
                open_store(path, connect=disk.connect) as store,
                trio.open_nursery() as writers,
            ):
                await hold_the_writer(writers, store, disk, make_job)
                scope.cancel()
                cancelled.set()
        closed.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_and_close)
        await cancelled.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert not closed.is_set()
        disk.gate.set()
    assert closed.is_set()


async def open_gate(disk) -> None:
    disk.gate.set()


async def test_foreign_lock_is_an_error(path: Path, disk, make_job: MakeJob) -> None:
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


async def test_vanished_database_is_not_replaced(path: Path, disk, make_job: MakeJob) -> None:
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


@pytest.mark.parametrize(
    ("column", "damage"),
    [("status", "'x'"), ("created_at", "'2026-11-2'"), ("completed_at", "'x'"), ("detail", "'{'")],
)
async def test_unreadable_row_hides_no_other(
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
        if column == "detail":
            assert [job.job_id for job in await store.unfinished()] == ["good"]
            assert await store.load("bad") is None
    assert len([line for line in caplog.messages if "job bad " in line]) == 1


async def test_damaged_character_hides_no_job(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        await store.add_job(make_job())
    whole = path.read_bytes()
    assert whole.count(b'"username":"') == 1
    path.write_bytes(whole.replace(b'"username":"a', b'"username":"\xff'))
    async with open_store(path) as store:
        (job,) = await store.unfinished()
        assert job.username == "\ufffddministrator"
