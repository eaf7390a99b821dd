"""A job whose record is damaged is deleted by its name, and watchers are told, as of any other."""

import os
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from pathlib import Path

import pytest
import trio

from cucmd.api.methods import Jobs
from cucmd.api.wire import summary_to_wire
from cucmd.cases.files import Stopped
from cucmd.jobs import deletion
from cucmd.jobs.deletion import Deletions
from cucmd.jobs.errors import Busy, Draining
from cucmd.protocol.cases import DeleteReply
from cucmd.protocol.jobs import Job, JobChange
from cucmd.protocol.requests import WatchRequest
from cucmd.store import StoreFailed
from cucmd.varlink import Caller, StreamReply
from rig.supervised import SupervisorHarness, hang, supervisor_harness
from unit.jobs.deletions import EVERYTHING, opened

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)

DAMAGE = [
    "UPDATE job SET detail = '{'",
    "UPDATE node SET detail = 'x'",
    "UPDATE job SET detail = '[]', status = '?', created_at = '?', completed_at = '?'",
    "UPDATE job SET detail = '{', status = 'running', closed = 0, completed_at = NULL",
    "DELETE FROM node",
]


async def damaged_job(harness: SupervisorHarness, damage: str) -> str:
    job_id = await harness.start("a", labels={"case": "1"})
    await harness.ended(job_id)
    await harness.supervisor.closed(job_id)
    with closing(sqlite3.connect(harness.tmp_path / "cucmd.db")) as raw, raw:
        raw.execute(damage)
    return job_id


def watch(
    harness: SupervisorHarness, *, changes: bool
) -> aclosing[AsyncGenerator[StreamReply, None]]:
    api = Jobs(harness.supervisor, harness.feed, planner=lambda: None)
    return aclosing(api.watch(CALLER, WatchRequest(changes=changes)))


async def told(replies: AsyncGenerator[StreamReply, None], count: int) -> list[Job | JobChange]:
    with trio.fail_after(10):
        parameters = [(await anext(replies)).parameters for _ in range(count)]
    return [reply.change or reply.job for reply in parameters]


@pytest.mark.parametrize("changes", [True, False])
@pytest.mark.parametrize("damage", DAMAGE)
async def test_both_steps_are_told(tmp_path: Path, damage: str, changes: bool) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await damaged_job(harness, damage)
        deletions = Deletions(harness.supervisor, harness.store)
        async with watch(harness, changes=changes) as replies:
            await anext(replies)
            await deletions.delete(job_id, record=False)
            (files,) = await told(replies, 1)
            assert (files.job_id, files.files_deleted, files.deleted) == (job_id, True, None)
            await deletions.delete(job_id, record=True)
            (gone,) = await told(replies, 1)
        assert (gone.job_id, gone.files_deleted, gone.deleted) == (job_id, True, True)
        assert {one.status for one in (files, gone)} <= {"succeeded", "failed"}


async def test_a_job_is_deleted_in_two_changes_that_follow_each_other(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await damaged_job(harness, DAMAGE[0])
        async with watch(harness, changes=True) as replies:
            await anext(replies)
            await Deletions(harness.supervisor, harness.store).delete(job_id, record=True)
            files, gone = await told(replies, 2)
        assert (files.deleted, gone.deleted) == (None, True)
        assert gone.revision == files.revision + 1


async def test_what_can_be_read_of_the_job_is_told(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await damaged_job(harness, "UPDATE node SET detail = 'x'")
        async with watch(harness, changes=True) as replies:
            await anext(replies)
            await Deletions(harness.supervisor, harness.store).delete(job_id, record=True)
            (files, _) = await told(replies, 2)
    assert (files.status, files.labels) == ("succeeded", {"case": "1"})


async def test_a_deletion_that_is_finished_later_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(directory: Path, _: object) -> None:
        raise Stopped

    async with supervisor_harness(tmp_path) as harness:
        job_id = await damaged_job(harness, DAMAGE[0])
        deletions = Deletions(harness.supervisor, harness.store)
        with monkeypatch.context() as patched:
            patched.setattr(deletion, "remove_directory", stop)
            with pytest.raises(Draining):
                await deletions.delete(job_id, record=True)
        async with watch(harness, changes=True) as replies:
            await anext(replies)
            await deletions.finish()
            (gone,) = await told(replies, 1)
    assert (gone.job_id, gone.deleted) == (job_id, True)


async def test_a_damaged_row_does_not_keep_the_others(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        first, damaged, last = [await harness.job() for _ in range(3)]
        with closing(sqlite3.connect(tmp_path / "cucmd.db")) as raw, raw:
            raw.execute("UPDATE job SET detail = '{' WHERE job_id = ?", (damaged,))
        meant = await harness.deletions.meant(EVERYTHING)
        assert [one.job.job_id for one in meant] == [last, first]
        with pytest.raises(StoreFailed):
            await harness.deletions.prune(EVERYTHING)
        assert os.listdir(tmp_path / "jobs") == [damaged]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("record", [True, False])
async def test_a_job_whose_rows_are_damaged_is_deleted_by_its_name(
    tmp_path: Path, damage: str, record: bool
) -> None:
    async with opened(tmp_path) as harness:
        damaged = await harness.job()
        with closing(sqlite3.connect(tmp_path / "cucmd.db")) as raw, raw:
            raw.execute(damage)
        other = await harness.job()
    async with opened(tmp_path) as again:
        with pytest.raises(StoreFailed) as refused:
            await again.supervisor.find(damaged)
        assert refused.value.damaged_row
        deleted = await again.deletions.delete(damaged, record=record)
        assert deleted.job.job_id == damaged
        assert DeleteReply(summary_to_wire(deleted.job), deleted.bytes)
        assert os.listdir(tmp_path / "jobs") == [other]
        assert await again.store.begun_deletions() == ()
        found = await again.store.find(damaged)
        assert found == (() if record else (damaged,))


async def test_a_damaged_job_that_is_read_or_runs_is_not_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as harness:
        harness.supervised.behaviours = {"b": hang}
        job_id, running = await harness.job(), await harness.supervised.start("b")
        await harness.supervised.running(running)
        with closing(sqlite3.connect(tmp_path / "cucmd.db")) as raw, raw:
            raw.execute("UPDATE job SET detail = '{'")
        with harness.supervisor.holds.reading(job_id), pytest.raises(Busy):
            await harness.deletions.delete(job_id, record=True)
        with pytest.raises(Busy):
            await harness.deletions.delete(running, record=True)
        await harness.supervisor.cancel(running, None)
        await harness.supervised.ended(running)


async def test_a_stop_in_the_middle_of_a_damaged_job_is_finished_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(directory: Path, _: object) -> None:
        raise Stopped

    async with opened(tmp_path) as harness:
        job_id = await harness.job()
        with closing(sqlite3.connect(tmp_path / "cucmd.db")) as raw, raw:
            raw.execute("UPDATE job SET detail = '{', closed = 0")
        with monkeypatch.context() as patched:
            patched.setattr(deletion, "remove_directory", stop)
            with pytest.raises(Draining):
                await harness.deletions.delete(job_id, record=True)
    async with opened(tmp_path) as again:
        await again.deletions.finish()
        assert await again.store.find(job_id) == ()
        assert os.listdir(tmp_path / "jobs") == []
