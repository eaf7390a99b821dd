"""PURE. Jobs, nodes and files as rows, and back.

The one rule: a job that is written and read is equal to what it was. Times are text of one
length, in UTC, so that their order as text is their order in time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from cucmd.job import Failed, Job, JobEnded, JobStatus, Node
from cucmd.received_file import ReceivedFile

# A row as sqlite3 gives it. The types of its columns depend on the statement.
Row: TypeAlias = tuple[Any, ...]


class JobRow(msgspec.Struct, frozen=True):
    """A job as lists show it. `nodes_done` counts every node that has ended, in any way."""

    job_id: str
    status: JobStatus
    created_at: datetime
    completed_at: datetime | None
    nodes_total: int
    nodes_done: int
    nodes_failed: int
    bytes_received: int


def summarise(job: Job) -> JobRow:
    """The row of a job in memory. The store has the same for it."""
    return JobRow(
        job_id=job.job_id,
        status=job.status,
        created_at=job.created_at,
        completed_at=job.state.completed_at if isinstance(job.state, JobEnded) else None,
        nodes_total=len(job.nodes),
        nodes_done=sum(node.settled for node in job.nodes),
        nodes_failed=sum(isinstance(node.state, Failed) for node in job.nodes),
        bytes_received=sum(node.bytes_received for node in job.nodes),
    )


def moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def job_columns(job: Job) -> dict[str, str | None]:
    completed = job.state.completed_at if isinstance(job.state, JobEnded) else None
    return {
        "job_id": job.job_id,
        "status": job.status,
        "created_at": moment_text(job.created_at),
        "completed_at": moment_text(completed) if completed else None,
        "detail": msgspec.json.encode(_without_nodes(job)).decode(),
    }


def node_columns(position: int, node: Node) -> tuple[int, str, int, str]:
    detail = msgspec.json.encode(node).decode()
    return position, node.status, node.bytes_received, detail


def job_from(detail: str, nodes: Iterable[str]) -> Job:
    """Raises `msgspec.MsgspecError` for text that is not a job."""
    job = msgspec.json.decode(detail, type=Job)
    decoder = msgspec.json.Decoder(Node)
    return msgspec.structs.replace(job, nodes=tuple(decoder.decode(text) for text in nodes))


def changed_nodes(before: Job, after: Job) -> list[tuple[int, Node]]:
    """(position, node) of those that differ. Both jobs share the unchanged ones, so comparing
    them is mostly a comparison of identity.
    """
    pairs = enumerate(zip(before.nodes, after.nodes, strict=True))
    return [(at, new) for at, (old, new) in pairs if new is not old and new != old]


def changed_itself(before: Job, after: Job) -> bool:
    return _without_nodes(before) != _without_nodes(after)


def job_row_from(row: Row) -> JobRow:
    """Raises `msgspec.MsgspecError` for a row that is not a job."""
    columns = dict(zip(JobRow.__struct_fields__, row, strict=True))
    return msgspec.convert(columns, JobRow)


def file_columns(file: ReceivedFile) -> tuple[str, bytes, int, str, bool]:
    return file.node, os.fsencode(file.path), file.size, file.sha256, file.complete


def file_from(row: Row) -> ReceivedFile:
    """Whether a file was closed that is not complete is not stored."""
    node, path, size, sha256, complete = row
    closed = complete = bool(complete)
    return ReceivedFile(node, os.fsdecode(path), size, sha256, closed, complete)


def _without_nodes(job: Job) -> Job:
    return msgspec.structs.replace(job, nodes=())
