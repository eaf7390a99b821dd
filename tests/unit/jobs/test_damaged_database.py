"""Jobs are found by a prefix of their id; live ones also when the database is damaged. An error
that passes as the daemon starts leaves no job behind.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from cucmd.config import Limits
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.store import JobFilter, StoreFailed, open_store
from rig.supervised import NOW, SupervisorHarness, hang, statuses, supervisor_harness

ENDED, RUNNING, QUEUED = "aaaa00000001", "aaaa00000002", "bbbb00000003"
PAGE = 4096
FRAME = 24 + PAGE  # of the journal, behind its header of 32 bytes


def damage(path: Path) -> None:
    """Overwrites every page of the database, and every page in its journal, with other bytes.

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
async def three_jobs(tmp_path: Path) -> AsyncIterator[SupervisorHarness]:
    """Makes one job that has ended, one that runs, and one that waits for it."""
    async with supervisor_harness(tmp_path, Limits(jobs=1)) as harness:
        harness.behaviours["a"] = hang
        await harness.ended(await harness.start("c", job_id=ENDED))
        await harness.running(await harness.start("a", job_id=RUNNING))
        await harness.start("c", job_id=QUEUED)
        yield harness


@asynccontextmanager
async def damaged(tmp_path: Path) -> AsyncIterator[SupervisorHarness]:
    async with three_jobs(tmp_path) as harness:
        damage(tmp_path / "cucmd.db")
        with pytest.raises(StoreFailed):
            await harness.store.find(RUNNING[:4])
        yield harness


@pytest.mark.parametrize("prefix", ["aaaa", RUNNING[:11], RUNNING])
async def test_cancel_with_damaged_database(tmp_path: Path, prefix: str) -> None:
    async with damaged(tmp_path) as harness:
        job, changed = await harness.supervisor.cancel(prefix, None)
        assert (job.job_id, statuses(job), changed) == (RUNNING, ["cancelled"], True)
        queued = await harness.ended(
            QUEUED
        )  # it was started, so the other job has ended completely
        assert queued.status == "succeeded"


async def test_live_jobs_with_damaged_database(tmp_path: Path) -> None:
    async with damaged(tmp_path) as harness:
        found = await harness.supervisor.find("aaaa")
        assert (found.job_id, statuses(found)) == (RUNNING, ["running"])
        for status, job_id in (("running", RUNNING), ("queued", QUEUED)):
            listed = await harness.supervisor.newest(9, JobFilter(status=status))
            assert [job.job_id for job in listed] == [job_id]
        assert harness.supervisor.save_error(RUNNING) is None


async def test_unreadable_is_not_unknown(tmp_path: Path) -> None:
    async with damaged(tmp_path) as harness:
        with pytest.raises(StoreFailed):
            await harness.supervisor.find("beef")
        with pytest.raises(StoreFailed):
            await harness.supervisor.newest(9)


@pytest.mark.parametrize("method", ["unfinished", "unclosed_jobs", "load"])
async def test_passing_read_error_at_start(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, method: str
) -> None:
    unfinished = Job(RUNNING, NOW, Collect(("x",)), Timeouts(), 8, (Node("a"),))
    ended = Job(ENDED, NOW, Collect(("x",)), Timeouts(), 8, (Node("a"),))
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(unfinished)
        await store.add_job(ended)
        await store.save(ended, ended.cancel(NOW))  # and not closed
    async with supervisor_harness(tmp_path) as harness:
        read, failures = getattr(harness.store, method), [StoreFailed("disk I/O error")] * 2

        async def fails(*arguments: object) -> object:
            if failures:
                raise failures.pop()
            return await read(*arguments)

        setattr(harness.store, method, fails)
        await harness.supervisor.recover(harness.tasks)
        assert statuses(await harness.ended(RUNNING)) == ["succeeded"]
        while harness.supervisor.live_count:
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert failures == []
        assert await harness.store.unclosed_jobs() == ()
