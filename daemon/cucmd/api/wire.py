"""PURE. Jobs as structs of the interface: from `cucmd.job` to `cucmd.api.structs`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cucmd import job as domain
from cucmd.api import structs
from cucmd.store import JobRow, summarise


def job_to_wire(job: domain.Job, directory: Path, unsaved: str | None = None) -> structs.Job:
    return structs.Job(
        job_id=job.job_id,
        status=job.status,
        cancelled=job.cancelled,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.state.completed_at if isinstance(job.state, domain.JobEnded) else None,
        directory=str(directory),
        collection=_collection(job.work),
        timeouts=_timeouts(job.timeouts),
        nodes=tuple(_node(node) for node in job.nodes),
        unsaved=unsaved,
        request_id=job.request_id,
    )


def summary_to_wire(job: domain.Job | JobRow) -> structs.JobSummary:
    row = summarise(job) if isinstance(job, domain.Job) else job
    return structs.JobSummary(
        **{name: getattr(row, name) for name in structs.JobSummary.__struct_fields__}
    )


def _node(node: domain.Node) -> structs.Node:
    state = node.state
    failure = state.failure if isinstance(state, domain.Failed) else None
    return structs.Node(
        node=node.node,
        status=node.status,
        phase=state.phase.value if isinstance(state, domain.Running) else None,
        attempt=node.attempt,
        error=failure.message if failure else None,
        failure=structs.Failure(failure.code, failure.message, failure.retryable, failure.hint)
        if failure
        else None,
        notes=node.notes,
        started_at=state.started_at,
        completed_at=getattr(state, "completed_at", None),
        files_announced=node.files_announced,
        bytes_announced=node.bytes_announced,
        files_received=node.files_received,
        bytes_received=node.bytes_received,
    )


def _collection(work: domain.Work) -> structs.Collection:
    """What a job collects. Empty for other work: every client expects the field."""
    if not isinstance(work, domain.Collect):
        return structs.Collection()
    return structs.Collection(
        profile=work.profile,
        paths=work.paths,
        location=work.location,
        match=work.match,
        recurs=work.recurs,
        compress=work.compress,
        last=work.last,
        since=_rfc3339(work.since),
        until=_rfc3339(work.until),
    )


def _timeouts(timeouts: domain.Timeouts) -> structs.Timeouts:
    """Without `answer`, which is in requests only."""
    fields = (name for name in domain.Timeouts.__struct_fields__ if name != "answer")
    return structs.Timeouts(**{name: getattr(timeouts, name) for name in fields})


def _rfc3339(time: datetime | None) -> str | None:
    return time.isoformat().replace("+00:00", "Z") if time else None
