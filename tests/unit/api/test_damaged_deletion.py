"""Watchers are told of the deletion of a job whose record is damaged, as of any other."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from pathlib import Path

import pytest
import trio

from cucmd.api import deletion, structs
from cucmd.api.deletion import Deletions
from cucmd.api.methods import Jobs
from cucmd.cases.delete import Stopped
from cucmd.jobs.errors import Draining
from cucmd.varlink import Caller, StreamReply
from rig.supervised import SupervisorHarness, supervisor_harness

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
    return aclosing(api.watch(CALLER, structs.WatchRequest(changes=changes)))


async def told(
    replies: AsyncGenerator[StreamReply, None], count: int
) -> list[structs.Job | structs.JobChange]:
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
