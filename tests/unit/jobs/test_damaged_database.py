"""Jobs are found by a prefix of their id; live ones also when the database is damaged."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from cucmd.config import Limits
from cucmd.job import Job
from cucmd.jobs.supervisor import AmbiguousJob, UnknownJob
from cucmd.store import StoreFailed
from rig.supervised import World, hang, statuses, world

ENDED, RUNNING, QUEUED = "aaaa00000001", "aaaa00000002", "bbbb00000003"
PAGE = 4096
FRAME = 24 + PAGE  # of the journal, behind its header of 32 bytes


def damage(path: Path) -> None:
    """Every page of the database, and every page in its journal, is overwritten with other bytes.

    The headers stay, so that SQLite reads the pages and does not take the journal for an empty one.
    """
    noise = os.urandom(PAGE)
    journal = path.with_name(f"{path.name}-wal")
    with path.open("r+b") as file:
        for at in range(PAGE, path.stat().st_size, PAGE):
            os.pwrite(file.fileno(), noise, at)
    with journal.open("r+b") as file:
        for at in range(32 + 24, journal.stat().st_size, FRAME):
            os.pwrite(file.fileno(), noise, at)


@asynccontextmanager
async def three_jobs(tmp_path: Path) -> AsyncIterator[World]:
    """One that has ended, one that runs, one that waits for it."""
    async with world(tmp_path, Limits(jobs=1)) as w:
        w.behaviours["a"] = hang
        await w.ended(await w.start("c", job_id=ENDED))
        await w.running(await w.start("a", job_id=RUNNING))
        await w.start("c", job_id=QUEUED)
        yield w


@asynccontextmanager
async def damaged(tmp_path: Path) -> AsyncIterator[World]:
    async with three_jobs(tmp_path) as w:
        damage(tmp_path / "cucmd.db")
        with pytest.raises(StoreFailed):
            await w.store.find(RUNNING[:4])
        yield w


async def test_a_prefix_of_a_live_job_and_an_ended_one_is_ambiguous(tmp_path: Path) -> None:
    async with three_jobs(tmp_path) as w:
        with pytest.raises(AmbiguousJob, match=f"{ENDED}, {RUNNING}"):
            await w.supervisor.cancel("aaaa", None)
        assert (await w.supervisor.find(RUNNING)).status == "running"
        assert (await w.supervisor.find("bbbb")).job_id == QUEUED


async def test_a_job_that_is_not_durable_yet_is_not_found(tmp_path: Path) -> None:
    """Its start was not answered yet, and may still fail."""
    stored = trio.Event()

    async with world(tmp_path) as w:
        add_job = w.store.add_job

        async def slowly(job: Job) -> None:
            await stored.wait()
            await add_job(job)

        w.store.add_job = slowly
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: w.start("a", job_id=RUNNING))
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(UnknownJob):
                await w.supervisor.find("aaaa")
            stored.set()
        assert (await w.supervisor.find("aaaa")).job_id == RUNNING


@pytest.mark.parametrize("prefix", ["aaaa", RUNNING[:11], RUNNING])
async def test_a_running_job_can_be_cancelled_with_a_damaged_database(
    tmp_path: Path, prefix: str
) -> None:
    async with damaged(tmp_path) as w:
        job, changed = await w.supervisor.cancel(prefix, None)
        assert (job.job_id, statuses(job), changed) == (RUNNING, ["cancelled"], True)
        queued = await w.ended(QUEUED)  # it was started, so the other job has ended completely
        assert queued.status == "succeeded"


async def test_live_jobs_are_shown_with_a_damaged_database(tmp_path: Path) -> None:
    async with damaged(tmp_path) as w:
        found = await w.supervisor.find("aaaa")
        assert (found.job_id, statuses(found)) == (RUNNING, ["running"])
        for status, job_id in (("running", RUNNING), ("queued", QUEUED)):
            assert [job.job_id for job in await w.supervisor.newest(9, status)] == [job_id]
        assert w.supervisor.unsaved(RUNNING) is None


async def test_a_job_that_a_damaged_database_may_have_is_not_unknown(tmp_path: Path) -> None:
    async with damaged(tmp_path) as w:
        with pytest.raises(StoreFailed):
            await w.supervisor.find("beef")
        with pytest.raises(StoreFailed):
            await w.supervisor.newest(9, None)


async def test_a_prefix_of_several_live_jobs_is_ambiguous_in_a_damaged_database_too(
    tmp_path: Path,
) -> None:
    async with damaged(tmp_path) as w:
        await w.start("c", job_id="bbbb00000004")
        with pytest.raises(AmbiguousJob):
            await w.supervisor.cancel("bbbb", None)
