"""Jobs are deleted by name and after a stop in the middle; files first, record last."""

import logging
import os
import threading
from pathlib import Path

import pytest
import trio

from cucmd.api import case_methods
from cucmd.cases.files import Stopped
from cucmd.config import Retention
from cucmd.job.job import Job
from cucmd.jobs import deletion
from cucmd.jobs.deletion import EVERY, RetentionTask
from cucmd.jobs.job_errors import Draining, FilesDeleted, JobInUse, UnknownJob
from cucmd.protocol.cases import PruneRequest
from cucmd.store import JobRow, StoreFailed
from cucmd.varlink import Caller
from rig.supervised import hang
from unit.jobs.deletions import EVERYTHING, opened


async def test_a_job_is_deleted_with_its_directory(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        first, second = await harness.job(), await harness.job()
        deleted = await harness.deletions.delete(first, record=True)
        assert deleted.job.job_id == first
        assert await harness.left() == [second]
        with pytest.raises(UnknownJob):
            await harness.deletions.delete(first, record=True)


async def test_the_record_stays_where_only_files_are_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        job_id = await harness.job()
        for _ in range(2):
            await harness.deletions.delete(job_id, record=False)
            assert not harness.directory(job_id).exists()
            assert (await harness.supervisor.find(job_id)).files_deleted


async def test_a_job_without_files_is_not_tried_again(tmp_path: Path) -> None:
    async def plan(job: Job) -> tuple[Job, list]:
        raise AssertionError(job)

    async with opened(tmp_path) as harness:
        job_id = await harness.job()
        await harness.deletions.delete(job_id, record=False)
        with pytest.raises(FilesDeleted):
            await harness.supervisor.retry(job_id, plan)


async def test_a_job_that_runs_is_not_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        harness.supervised.behaviours = {"b": hang}
        job_id = await harness.supervised.start("b")
        await harness.supervised.running(job_id)
        with pytest.raises(JobInUse):
            await harness.deletions.delete(job_id, record=True)
        assert await harness.deletions.prune(EVERYTHING) == []
        newer = await harness.job()
        await harness.deletions.apply_retention(Retention(jobs=1))
        assert [row.job_id for row in await harness.store.newest(9)] == [newer, job_id]
        await harness.supervisor.cancel(job_id, None)


async def test_a_job_that_is_read_is_not_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        job_id = await harness.job()
        with harness.supervisor.holds.reading(job_id):
            with pytest.raises(JobInUse):
                await harness.deletions.delete(job_id, record=True)
            assert await harness.deletions.list_prunable(EVERYTHING) == []
            assert await harness.deletions.prune(EVERYTHING) == []
        assert await harness.left() == [job_id]


async def test_a_job_that_is_deleted_is_neither_read_nor_labelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as harness:
        job_id = await harness.job()
        refused: list[str] = []

        async def others() -> None:
            with pytest.raises(JobInUse), harness.supervisor.holds.reading(job_id):
                pass
            with pytest.raises(JobInUse):
                await harness.supervisor.relabel(job_id, lambda job: job)
            refused.append(job_id)

        monkeypatch.setattr(deletion, "remove_directory", lambda *_: trio.from_thread.run(others))
        await harness.deletions.delete(job_id, record=True)
        assert refused == [job_id]


async def test_a_caller_that_goes_away_does_not_end_it(tmp_path: Path) -> None:
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


async def test_what_a_stop_has_left_is_deleted_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(directory: Path, _: object) -> None:
        (directory / "a" / "files" / "x.txt").unlink()
        raise Stopped

    async with opened(tmp_path) as harness:
        whole, files = await harness.job(), await harness.job()
        with monkeypatch.context() as patched:
            patched.setattr(deletion, "remove_directory", stop)
            for job_id in (whole, files):
                with pytest.raises(Draining):
                    await harness.deletions.delete(job_id, record=job_id == whole)
        assert (await harness.supervisor.find(whole)).files_deleted
    async with opened(tmp_path) as again:
        await again.deletions.finish_interrupted()
        assert [row.job_id for row in await again.store.newest(9)] == [files]
        assert os.listdir(tmp_path / "jobs") == []
        assert await again.store.begun_deletions() == ()


async def test_a_daemon_that_stops_deletes_nothing(tmp_path: Path) -> None:
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


async def test_one_directory_that_cannot_be_removed_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    remove = deletion.remove_directory

    async with opened(tmp_path) as harness:
        _, second, third = [await harness.job() for _ in range(3)]

        def refuse_second(directory: Path, stopped: object) -> None:
            if directory.name == second:
                raise PermissionError(13, "Permission denied", str(directory))
            remove(directory, stopped)

        monkeypatch.setattr(deletion, "remove_directory", refuse_second)
        await harness.deletions.apply_retention(Retention(jobs=1))
        assert await harness.left() == [second, third]
        await harness.deletions.finish_interrupted()
        with pytest.raises(PermissionError):
            await harness.deletions.prune(EVERYTHING)
        assert await harness.left() == [second]
        assert second in caplog.text
        errors = [record for record in caplog.records if record.levelname == "ERROR"]
        assert all(second in record.getMessage() for record in errors)


@pytest.mark.parametrize("stopped", [False, True])
async def test_what_was_deleted_before_an_error_is_in_the_log_and_by_whom(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stopped: bool,
) -> None:
    caplog.set_level(logging.INFO, "cucmd.jobs.deletion")
    remove = deletion.remove_directory
    async with opened(tmp_path) as harness:
        first, second, third = [await harness.job() for _ in range(3)]

        def refuse_second(directory: Path, stop: threading.Event) -> None:
            if directory.name == second:
                raise Stopped if stopped else PermissionError("not ours")
            remove(directory, stop)

        monkeypatch.setattr(deletion, "remove_directory", refuse_second)
        with pytest.raises(Draining if stopped else PermissionError):
            await harness.deletions.prune(EVERYTHING, "by uid 1000")
    records = [record for record in caplog.records if record.levelno == logging.INFO]
    assert [record.args for record in records] == [
        (job_id, "by uid 1000") for job_id in ([third] if stopped else [third, first])
    ]
    assert not any(hasattr(record, "uid") for record in records)  # as LogLimit would need it


async def test_the_reply_to_a_prune_is_limited_and_says_how_many_more_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_methods, "MOST_LISTED", 2)
    caller = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)
    async with opened(tmp_path) as harness:
        cases = case_methods.CaseMethods(harness.supervisor, harness.store, harness.deletions)
        ids = [await harness.job() for _ in range(3)]
        for dry_run in (True, False):
            request = PruneRequest(keep=0, dry_run=dry_run)
            reply = await cases.prune(caller, request)
            assert [job.job_id for job in reply.jobs] == [ids[2], ids[1]]
            assert [job.nodes_succeeded for job in reply.jobs] == [1, 1]
            assert reply.more == 1
        assert await harness.left() == []


async def test_many_deleted_jobs_are_kept_without_their_nodes(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        await harness.job()
        for deleted in (
            await harness.deletions.list_prunable(EVERYTHING),
            await harness.deletions.prune(EVERYTHING),
        ):
            assert [isinstance(one.job, JobRow) for one in deleted] == [True]
            assert deleted[0].job.job.nodes == ()


async def test_a_failing_store_deletes_no_file(tmp_path: Path) -> None:
    async def refuse(*_: object, **__: object) -> int:
        raise StoreFailed("a full disk")

    async with opened(tmp_path) as harness:
        job_id = await harness.job()
        harness.store.begin_deletion = refuse
        with pytest.raises(StoreFailed):
            await harness.deletions.delete(job_id, record=True)
        assert (harness.directory(job_id) / "a" / "files" / "x.txt").exists()


async def test_retention_is_applied_after_each_job_and_once_an_hour(
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
async def test_a_deletion_ends_guests(tmp_path: Path, by_rule: bool) -> None:
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


async def test_no_guest_comes_meanwhile(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        holds = harness.supervisor.holds
        job_id = await harness.job()
        with holds.changing(job_id), pytest.raises(JobInUse), holds.reading_as_guest(job_id):
            pass
