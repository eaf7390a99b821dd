"""PURE. Turns jobs, nodes and files into rows, and back.

A job that is written and read is equal to what it was. Times are text of one length, in UTC, so
that their order as text is their order in time.

The store reads in two threads. So what msgspec has to know of a struct before it can read one is
made as this module is imported: two threads that make it at once end the process (msgspec 0.22, a
segmentation fault).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from cucmd.job.job import End, Job
from cucmd.job.kind import Result
from cucmd.job.node import Failed, Node, Succeeded
from cucmd.job.status import JobStatus
from cucmd.job.work import KINDS
from cucmd.node_name import address, node_key, parse_node
from cucmd.received_file import ReceivedFile

# A row as sqlite3 gives it. The types of its columns depend on the statement.
Row: TypeAlias = tuple[Any, ...]


class JobRow(msgspec.Struct, frozen=True):
    """Describes a job as lists show it. `nodes_done` counts every node that has ended, in any way.

    `first_node` is the name of its first node. `job` has everything but nodes.
    """

    job_id: str
    status: JobStatus
    created_at: datetime
    completed_at: datetime | None
    nodes_total: int
    nodes_done: int
    nodes_succeeded: int
    nodes_failed: int
    bytes_received: int
    first_node: str
    job: Job


class StartKey(msgspec.Struct, frozen=True):
    """Holds a key that a user has given a call, so that the same call made twice has one effect.

    `digest`: of what was requested; that of another request differs.
    """

    owner: int
    name: str
    digest: str


class ClosedJob(msgspec.Struct, frozen=True):
    """Describes a closed job, as far as it matters for which of them are deleted.

    `bytes`: of its files that are still there. `ended_after`: how many seconds had passed for sure
    at its end (`Store.elapsed`).
    """

    job_id: str
    completed_at: datetime
    bytes: int
    labels: dict[str, str] = {}
    ended_after: float = 0.0


class JobFilter(msgspec.Struct, frozen=True):
    """Says which jobs a list holds; a field that is None or empty leaves none out.

    `target`: a name of the request, or a node. `labels`: all of them. `since`: created then or
    later. `before`: older than the job of this id. `kind`: of its work.
    """

    status: str | None = None
    kind: str | None = None
    target: str | None = None
    labels: dict[str, str] = {}
    since: datetime | None = None
    before: str | None = None

    def fits(self, job: Job) -> bool:
        """Says whether the job is in the list, `before` left aside."""
        return (
            self.status in (None, job.status)
            and self.kind in (None, job.kind)
            and (self.target is None or self.target in target_names(job))
            and self.labels.items() <= job.labels.items()
            and (self.since is None or job.created_at >= self.since)
        )


EVERY_JOB = JobFilter()


def target_names(job: Job) -> list[str]:
    """Returns the names by which a job is found, each once."""
    return list(dict.fromkeys((*job.targets, *(node.node for node in job.nodes))))


def summarise(job: Job) -> JobRow:
    """Makes the row of a job in memory. The store has the same for it."""
    return JobRow(
        job_id=job.job_id,
        status=job.status,
        created_at=job.created_at,
        completed_at=job.completed_at,
        nodes_total=len(job.nodes),
        nodes_done=sum(node.settled for node in job.nodes),
        nodes_succeeded=sum(isinstance(node.state, Succeeded) for node in job.nodes),
        nodes_failed=sum(isinstance(node.state, Failed) for node in job.nodes),
        bytes_received=sum(node.bytes_received for node in job.nodes),
        first_node=job.nodes[0].node,
        job=_without_nodes(job),
    )


def moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def node_text(node: str) -> str:
    """Gives the same text for every spelling of a node's name."""
    return address(*node_key(*parse_node(node)))


def job_columns(job: Job) -> dict[str, str | int | None]:
    return {
        "job_id": job.job_id,
        "status": job.status,
        "kind": job.kind,
        "created_at": moment_text(job.created_at),
        "completed_at": moment_text(job.completed_at) if job.completed_at else None,
        "revision": job.revision,
        "detail": msgspec.json.encode(_without_nodes(job)).decode(),
    }


def node_columns(position: int, node: Node) -> Row:
    """Returns position, name, status, bytes_received, detail."""
    detail = msgspec.json.encode(node).decode()
    return position, node.node, node.status, node.bytes_received, detail


def job_from(detail: str, revision: int, nodes: Iterable[str], end: End) -> Job:
    """Raises `msgspec.MsgspecError` for text that is not a job. `end`: if it has ended."""
    job = _jobs.decode(detail)
    decoder = _nodes_of(job.work.result_type)
    decoded = tuple(decoder.decode(text) for text in nodes)
    job = msgspec.structs.replace(job, nodes=decoded, revision=revision)
    return job.with_end(end) if job.ended else job


@functools.cache
def _nodes_of(gives: type[Result] | None) -> msgspec.json.Decoder[Node]:
    """Reads nodes with what their kind of work gives."""
    kind = Node[gives] if gives is not None else Node[Result]  # type: ignore[valid-type]  # a value
    return msgspec.json.Decoder(kind)


_jobs = msgspec.json.Decoder(Job)
for _kind in KINDS:
    _nodes_of(_kind.result_type)
for _row in (JobRow, ClosedJob):
    msgspec.json.Decoder(_row)  # they are read by `msgspec.convert`


def changed_nodes(before: Job, after: Job) -> list[tuple[int, Node]]:
    """Returns (position, node) of those that differ. Both jobs share the unchanged ones, so
    comparing them is mostly a comparison of identity.
    """
    changed = after.positions_changed_since(before)
    return [(at, after.nodes[at]) for at in changed if after.nodes[at] != before.nodes[at]]


def changed_itself(before: Job, after: Job) -> bool:
    """Says whether anything but the nodes and the revision differs."""
    same_revision = msgspec.structs.replace(before, revision=after.revision)
    return _without_nodes(same_revision) != _without_nodes(after)


def job_row_from(row: Row) -> JobRow:
    """Raises `msgspec.MsgspecError` for a row that is not a job."""
    *others, revision, detail = row
    job = msgspec.structs.replace(_jobs.decode(detail), revision=revision)
    columns = dict(zip(JobRow.__struct_fields__, (*others, job), strict=True))
    return msgspec.convert(columns, JobRow)


def file_columns(file: ReceivedFile) -> Row:
    """Returns node, path, size, sha256, complete, attempt, modified."""
    return (
        file.node,
        os.fsencode(file.path),
        file.size,
        file.sha256,
        file.complete,
        file.attempt,
        file.modified,
    )


def file_from(row: Row) -> ReceivedFile:
    """Reads a file from its row. Whether one was closed that is not complete is not stored."""
    node, path, size, sha256, complete, attempt, modified = row
    closed = complete = bool(complete)
    path = os.fsdecode(path)
    return ReceivedFile(node, path, size, sha256, closed, complete, attempt, modified)


def _without_nodes(job: Job) -> Job:
    """Makes of a job what its row has: how far its end has come is in columns of their own."""
    job = msgspec.structs.replace(job, nodes=())
    return job.with_end(End.OPEN) if job.ended else job
