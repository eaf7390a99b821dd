"""One bit of the database is flipped: the daemon starts, lists jobs, and resumes the others."""

import tempfile
from functools import cache
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import assume, given
from hypothesis import strategies as st

from cucmd.failure import Code, failure
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.job_errors import UnknownJob
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed, open_store
from rig.supervised import NOW, supervisor_harness
from rig.tries import tries

VERSION = range(60, 64)  # of the schema: a later version is refused, see the tests of the store
JOBS = 40
NODES = tuple(Node(f"cucm-{number}") for number in range(5))


def made(job_id: str) -> Job:
    return Job(job_id, NOW, Collect(("syslog/*",)), Timeouts(), 8, NODES, username="admin")


async def make(path: Path) -> None:
    async with open_store(path) as store:
        for number in range(JOBS):
            job = made(f"{number:012x}")
            await store.add_job(job)
            await store.save_files(
                job.job_id, [ReceivedFile("cucm-1", "core.1", 9, "00", True, True)]
            )
            if number % 4:
                why = failure(Code.INTERRUPTED, "the daemon was stopped")
                await store.save(job, job.fail_unsettled(NOW, why))


@cache
def whole() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cucmd.db"
        trio.run(make, path)
        return path.read_bytes()


async def start_and_look(state: Path) -> None:
    async with supervisor_harness(state) as harness:
        await harness.supervisor.recover(harness.tasks)
        with trio.fail_after(60):  # every job that could be resumed ends
            while harness.supervisor.live_count:
                await trio.testing.wait_all_tasks_blocked()
        rows = await harness.supervisor.newest(100)
        assert len(rows) >= JOBS - 1 or list(state.glob("cucmd.db.damaged-*")), "one is unreadable"
        for row in rows:
            try:
                await harness.supervisor.find(row.job_id)
            except (StoreFailed, UnknownJob):
                pass  # a job that cannot be read is left out, and the log says why


@pytest.mark.long
@tries(40)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_start_with_flipped_bit(place: float, bit: int) -> None:
    damaged = bytearray(whole())
    at = int(place * len(damaged))
    assume(at not in VERSION)
    damaged[at] ^= 1 << bit
    with tempfile.TemporaryDirectory() as state:
        (Path(state) / "cucmd.db").write_bytes(damaged)
        trio.run(start_and_look, Path(state))
