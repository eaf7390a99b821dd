"""Jobs whose files are there, and what deletes them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cucmd.cases.retention import Prune
from cucmd.jobs.deletion import Deletions
from rig.supervised import SupervisorHarness, supervisor_harness

EVERYTHING = Prune(keep=0)


class Harness:
    def __init__(self, supervised: SupervisorHarness) -> None:
        self.supervised = supervised
        self.supervisor = supervised.supervisor
        self.store = supervised.store
        self.deletions = Deletions(self.supervisor, self.store)

    async def job(self, **fields: object) -> str:
        """Makes a closed job with a file."""
        job_id = await self.supervised.start("a", **fields)
        await self.supervised.ended(job_id)
        await self.supervisor.wait_closed(job_id)
        files = self.directory(job_id) / "a" / "files"
        files.mkdir(parents=True, exist_ok=True)
        (files / "x.txt").write_text("x")
        return job_id

    async def try_again(self, job_id: str) -> None:
        """It succeeds once more, and is closed."""
        await self.supervisor.retry(job_id, self.supervised.again(0))
        await self.supervised.ended(job_id)
        await self.supervisor.wait_closed(job_id)

    def directory(self, job_id: str) -> Path:
        return self.supervisor.directory(job_id)

    async def left(self) -> list[str]:
        """Ids of the jobs that there are, oldest first; each has its directory."""
        ids = [row.job_id for row in reversed(await self.store.newest(99))]
        assert sorted(ids) == sorted(os.listdir(self.supervised.tmp_path / "jobs"))
        return ids


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Harness]:
    async with supervisor_harness(tmp_path) as supervised:
        yield Harness(supervised)
