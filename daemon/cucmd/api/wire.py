"""PURE. Makes the structs of the socket (`cucmd.protocol`) from the structs of `cucmd.job`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from cucmd.cases.documents import printable_path, utc_from_seconds
from cucmd.cases.files import is_counted, name_on_node
from cucmd.job import work_request
from cucmd.job.job import End, Job
from cucmd.job.kind import Kind
from cucmd.job.node import Node, Running
from cucmd.job.work import RESULT_MEMBERS
from cucmd.protocol import cases as wire_cases
from cucmd.protocol import jobs as wire
from cucmd.received_file import ReceivedFile
from cucmd.store import JobRow, summarise

# The most targets and commands of each job in a list. A request may have a thousand targets.
MOST_TARGETS = 20
MOST_COMMANDS = 3
# Damaged files that the reply to Export names. The summary in the export names all of them.
MOST_DAMAGED = 20


def job_to_wire(
    job: Job, directory: Path, unsaved: str | None = None, *, gone: bool = False
) -> wire.Job:
    """Returns the job with all fields, in the form that the socket sends.

    gone: the directory of the job no longer exists.
    """
    return wire.Job(
        **_state(job, job.nodes, unsaved, gone=gone),
        created_at=job.created_at,
        directory=str(directory),
        timeouts=work_request.Timeouts(**asdict(job.timeouts)),
        request_id=job.request_id,
        owner=job.uid,
        username=job.username,
        targets=job.targets or None,
        resumable=job.resumable,
        retries=job.retries,
        kind=job.kind,
        commands=job.work.commands_kept or None,
        concurrency=job.concurrency,
        ran_before=job.ran_before or None,
        asked_by=job.asked_by,
        **{"collection": work_request.Collection(), **job.work.job_members()},
    )


def changed_to_wire(before: Job | None, job: Job, unsaved: str | None) -> wire.JobChange:
    """Returns a change with the nodes that differ from `before`, or all nodes if it is None."""
    known = () if before is None else before.nodes
    nodes = [
        node
        for position, node in enumerate(job.nodes)
        if position >= len(known) or (node is not known[position] and node != known[position])
    ]
    return wire.JobChange(**_state(job, nodes, unsaved))


def _state(
    job: Job, nodes: Iterable[Node], unsaved: str | None, *, gone: bool = False
) -> dict[str, Any]:
    """Returns the fields that a job and a change of it have in common."""
    return {
        "job_id": job.job_id,
        "status": job.status,
        "cancelled": job.cancelled,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "nodes": tuple(_node(job, node) for node in nodes),
        "revision": job.revision,
        "closed": job.closed,
        "unsaved": unsaved,
        "labels": job.labels or None,
        "files_deleted": job.files_deleted or gone or None,
        "deleted": job.end is End.DELETED or None,
        "coverage_pending": (job.coverage_pending and not gone) or None,
    }


def summary_to_wire(job: Job | JobRow) -> wire.JobSummary:
    """Makes the summary of a job for a list."""
    fields = asdict(summarise(job) if isinstance(job, Job) else job)
    detail: Job = fields.pop("job")
    members = detail.work.job_members()
    return wire.JobSummary(
        **fields,
        started_at=detail.started_at,
        owner=detail.uid,
        targets=detail.targets[:MOST_TARGETS] or None,
        collection=members.get("collection", work_request.Collection()),
        labels=detail.labels or None,
        revision=detail.revision,
        kind=detail.kind,
        ran_before=detail.ran_before or None,
        commands=detail.work.commands_kept[:MOST_COMMANDS] or None,
        capture=members.get("capture"),
        asked_by=detail.asked_by,
    )


def file_to_wire(file: ReceivedFile, node: Node, work: Kind) -> wire_cases.File:
    return wire_cases.File(
        node=file.node,
        path=printable_path(name_on_node(file.path, node)),
        size=file.size,
        complete=file.complete,
        exported=file.complete and is_counted(file, node, work),
        sha256=file.sha256 or None,
        attempt=file.attempt,
        modified=utc_from_seconds(file.modified),
    )


def wrong_to_wire(file: ReceivedFile, node: Node, wrong: str) -> wire_cases.WrongFile:
    path = printable_path(name_on_node(file.path, node))
    return wire_cases.WrongFile(file.node, path, wrong, node.name)


def damaged_to_wire(
    job: Job, damaged: Mapping[str, Mapping[str, str]]
) -> tuple[int | None, tuple[wire_cases.WrongFile, ...] | None]:
    """Returns the number of damaged files and the first `MOST_DAMAGED` of them.

    Returns (None, None) if no file is damaged.
    """
    names = {node.node: node.name for node in job.nodes}
    files = (
        wire_cases.WrongFile(node, path, wrong, names[node])
        for node, reasons in damaged.items()
        for path, wrong in reasons.items()
    )
    first = tuple(islice(files, MOST_DAMAGED))
    return sum(map(len, damaged.values())) or None, first or None


def _node(job: Job, node: Node) -> wire.Node:
    state = node.state
    failure = job.failure_of(node)
    result: dict[str, Any] = (
        {} if node.result is None else {RESULT_MEMBERS[type(node.result)]: node.result}
    )
    return wire.Node(
        node=node.node,
        status=node.status,
        phase=state.phase.value if isinstance(state, Running) else None,
        attempt=node.attempt,
        error=failure.message if failure else None,
        failure=failure,
        notes=node.notes,
        started_at=state.started_at,
        completed_at=getattr(state, "completed_at", None),
        files_announced=node.files_announced,
        bytes_announced=node.bytes_announced,
        files_received=node.files_received,
        bytes_received=node.bytes_received,
        coverage=(node.coverage or None) if node.settled else None,
        all_announced=node.all_announced or None,
        heard_at=node.heard_at if isinstance(state, Running) else None,
        waits_for=getattr(state, "waits_for", ()) or None,
        waits_since=getattr(state, "waits_since", None),
        zone=node.zone,
        may_run=job.names_left_running(node) if job.work.simultaneous else None,
        gaps=(node.gaps or None) if node.settled else None,
        logs=(node.logs or None) if node.settled else None,
        earlier=node.earlier or None,
        name=node.name,
        role=node.role,
        product=node.product,
        version=node.version,
        phases=node.phases or None,
        **result,
    )
