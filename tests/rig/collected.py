"""Records a collected job in a state directory, for a daemon that starts later."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import trio

from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.received_file import ReceivedFile
from cucmd.store import open_store

JOB_ID = "0a1b2c3d4e5f"
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def record(state: Path, files: Iterable[ReceivedFile], job_id: str = JOB_ID) -> None:
    """Records a closed job with the one node `a`. The directory of the job must exist."""
    trio.run(_record, state, list(files), job_id)


async def _record(state: Path, files: list[ReceivedFile], job_id: str) -> None:
    queued = Job(job_id, NOW, Collect(("x",)), Timeouts(), 1, (Node("a"),))
    running = queued.begin(NOW)
    ended = running.replace_node(0, running.nodes[0].begin(NOW, 1).succeed(NOW), NOW)
    async with open_store(state / "cucmd.db") as store:
        await store.add_job(queued)
        await store.save(queued, ended)
        await store.save_files(job_id, files)
        await store.close_job(job_id)
