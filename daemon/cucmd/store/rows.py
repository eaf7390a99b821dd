"""PURE. Converts jobs, nodes and files to rows, and back.

A job that is written and read again is equal to the original. Times are stored as text in UTC, all
of the same length, so that they are ordered as text as they are in time.

All decoders are made when this module is imported, because the store reads in two threads. Before
msgspec can read a struct, it collects information about the struct. If two threads do that at the
same time, the process ends with a segmentation fault (msgspec 0.22).
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
    """Describes a job as lists show it.

    nodes_done  counts every node that has ended, in any way
    first_node, first_name  the first node, and its `Node.name`
    job         the job without its nodes
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
    first_name: str | None
    job: Job


class StartKey(msgspec.Struct, frozen=True):
    """Holds the key that a user gave a call, so that making the call twice has one effect.

    owner   the uid of the user
    digest  a checksum of the request; another request with the same key has another digest
    """

    owner: int
    name: str
    digest: str


class ClosedJob(msgspec.Struct, frozen=True):
    """Describes a closed job, as far as deletion and retention need it.

    bytes        the size of those of its files that are still there
    ended_after  the count of elapsed seconds at its end (`Store.elapsed`)
    """

    job_id: str
    completed_at: datetime
    bytes: int
    labels: dict[str, str] = {}
    ended_after: float = 0.0
    kind: str = ""


class JobFilter(msgspec.Struct, frozen=True):
    """Selects the jobs of a list. A field that is None or empty selects all jobs.

    kind    the kind of work
    target  a name from the request, a node, or its `Node.name`
    labels  labels that the jobs must have
    since   the jobs were created at this time or later
    before  the id of a job; the jobs must be older
    """

    status: str | None = None
    kind: str | None = None
    target: str | None = None
    labels: dict[str, str] = {}
    since: datetime | None = None
    before: str | None = None

    def fits(self, job: Job) -> bool:
        """Returns whether the job is in the list. Ignores `before`."""
        return (
            self.status in (None, job.status)
            and self.kind in (None, job.kind)
            and (self.target is None or self.target in target_names(job))
            and self.labels.items() <= job.labels.items()
            and (self.since is None or job.created_at >= self.since)
        )


EVERY_JOB = JobFilter()


def target_names(job: Job) -> list[str]:
    """Returns the names by which a job is found, each of them once."""
    names = (name for node in job.nodes for name in (node.node, node.name) if name)
    return list(dict.fromkeys((*job.targets, *names)))


def summarise(job: Job) -> JobRow:
    """Returns the row of a job in memory. It is equal to the row that the store has for the job."""
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
        first_name=job.nodes[0].name,
        job=_without_nodes(job),
    )


def format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def normalize_node(node: str) -> str:
    """Returns the same text for every spelling of a node's name."""
    return address(*node_key(*parse_node(node)))


def job_columns(job: Job) -> dict[str, str | int | None]:
    return {
        "job_id": job.job_id,
        "status": job.status,
        "kind": job.kind,
        "created_at": format_time(job.created_at),
        "completed_at": format_time(job.completed_at) if job.completed_at else None,
        "revision": job.revision,
        "detail": msgspec.json.encode(_without_nodes(job)).decode(),
    }


def node_columns(position: int, node: Node) -> Row:
    """Returns position, name, status, bytes_received, detail."""
    detail = msgspec.json.encode(node).decode()
    return position, node.node, node.status, node.bytes_received, detail


def decode_job(detail: str, revision: int, nodes: Iterable[str], end: End) -> Job:
    """Returns the job of a row and its nodes. Raises `msgspec.MsgspecError` if they are damaged.

    end  the progress of the job's end, if it has ended
    """
    job = _job_decoder.decode(detail)
    decoder = _node_decoder(job.work.result_type)
    decoded = tuple(decoder.decode(text) for text in nodes)
    job = msgspec.structs.replace(job, nodes=decoded, revision=revision)
    return job.with_end(end) if job.ended else job


@functools.cache
def _node_decoder(gives: type[Result] | None) -> msgspec.json.Decoder[Node]:
    """Returns the decoder of nodes whose kind of work gives that result."""
    # mypy wants a type in the brackets, and `gives` is a variable.
    kind = Node[gives] if gives is not None else Node[Result]  # type: ignore[valid-type]
    return msgspec.json.Decoder(kind)


_job_decoder = msgspec.json.Decoder(Job)
for _kind in KINDS:
    _node_decoder(_kind.result_type)
for _row in (JobRow, ClosedJob):
    msgspec.json.Decoder(_row)  # `msgspec.convert` reads these; it uses the same information


def changed_nodes(before: Job, after: Job) -> list[tuple[int, Node]]:
    """Returns (position, node) of the nodes that differ.

    Unchanged nodes are the same objects in both jobs, so comparing them is quick.
    """
    changed = after.positions_changed_since(before)
    return [(at, after.nodes[at]) for at in changed if after.nodes[at] != before.nodes[at]]


def changed_itself(before: Job, after: Job) -> bool:
    """Returns whether anything but the nodes and the revision differs."""
    same_revision = msgspec.structs.replace(before, revision=after.revision)
    return _without_nodes(same_revision) != _without_nodes(after)


def decode_job_row(row: Row) -> JobRow:
    """Returns the `JobRow` of a row of a list. Raises `msgspec.MsgspecError` if it is damaged."""
    *others, revision, detail = row
    job = msgspec.structs.replace(_job_decoder.decode(detail), revision=revision)
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


def decode_file(row: Row) -> ReceivedFile:
    """Returns the file of a row. A file counts as closed if it is complete."""
    node, path, size, sha256, complete, attempt, modified = row
    closed = complete = bool(complete)
    path = os.fsdecode(path)
    return ReceivedFile(node, path, size, sha256, closed, complete, attempt, modified)


def _without_nodes(job: Job) -> Job:
    """Returns the part of a job that is stored as JSON. Nodes have their own rows, and the progress
    of the job's end is in separate columns.
    """
    job = msgspec.structs.replace(job, nodes=())
    return job.with_end(End.OPEN) if job.ended else job
