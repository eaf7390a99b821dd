"""Records a collected job in a state directory, for a daemon that starts later."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import trio
from msgspec.structs import replace

from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.kind import Kind
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.received_file import ReceivedFile
from cucmd.store import open_store

JOB_ID = "0a1b2c3d4e5f"
WORK = Collect(("x",))
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def record(
    state: Path,
    files: Iterable[ReceivedFile],
    job_id: str = JOB_ID,
    *,
    nodes: Sequence[Node] = (Node("a"),),
    work: Kind = WORK,
) -> None:
    """Records a closed job whose nodes have succeeded. The directory of the job must exist."""
    trio.run(_record, state, list(files), job_id, nodes, work)


async def _record(
    state: Path, files: list[ReceivedFile], job_id: str, nodes: Sequence[Node], work: Kind
) -> None:
    queued = Job(job_id, NOW, work, Timeouts(), 1, tuple(nodes))
    ended = queued.begin(NOW)
    for number, node in enumerate(nodes):
        received = sum(file.node == node.node for file in files)
        sent = replace(node.begin(NOW, 1), files_received=received)
        ended = ended.replace_node(number, sent.succeed(NOW), NOW)
    async with open_store(state / "cucmd.db") as store:
        await store.add_job(queued)
        await store.save(queued, ended)
        await store.save_files(job_id, files)
        await store.close_job(job_id)
