"""PURE. Puts the states of the sites together to the jobs that the hub shows.

A node is called `SITE/NODE`. A site that was not heard for a while is marked in the notes of its
unfinished nodes; what is shown of them is their last state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import asdict, replace

from cucmd.job.failure import Failure
from cucmd.job.status import JobStatus, NodeStatus
from cucmd.job.work_request import Collection, Timeouts
from cucmd.protocol.jobs import Job, JobChange, JobSummary, Node
from cucmd.protocol.knowledge import Cluster
from cucmfleet.messages import Asked, PartState

T = TypeVar("T")

# What a hub adds to the failure codes of cucmd-failures(7).
REFUSED, TOO_LATE = "refused_at_site", "too_late"
UNFINISHED = ("queued", "running")
_KINDS = {"collection": "collect", "commands": "run", "discovery": "discover"}
_MOST_TARGETS, _MOST_COMMANDS = 20, 3  # as the daemon has them in a list


class Part(Struct, frozen=True):
    """Holds what is known of a job at one site.

    targets  what was asked, without the name of the site
    state    None until the agent has sent one
    nodes    those of its nodes that are known, by position
    silence  since when the site was not heard, as text; "" if it is heard
    """

    site: str
    targets: tuple[str, ...]
    state: PartState | None
    nodes: Mapping[int, Node]
    silence: str = ""


def job_of(asked: Asked, parts: Sequence[Part]) -> Job:
    """Returns the job with all fields, as the socket sends it."""
    request = asked.request
    member, _ = request.work()
    jobs = [part.state.job for part in parts if part.state is not None and part.state.job]
    first = jobs[0] if jobs else None
    nodes = tuple(node for part in parts for node in _nodes(part, asked))
    ended = [_has_ended(part) for part in parts]
    ends = [job.completed_at for job in jobs if job.completed_at is not None]
    starts = [job.started_at for job in jobs if job.started_at is not None]
    cancelled = all(_cancelled(part) for part in parts)
    return Job(
        job_id=asked.job_id,
        status=_status(parts, nodes, ended=all(ended), cancelled=cancelled),
        cancelled=cancelled,
        closed=all(ended) and all(job.closed for job in jobs),
        revision=sum(1 + part.state.revision for part in parts if part.state is not None),
        kind=first.kind if first else _KINDS.get(member, member),
        created_at=asked.created_at,
        started_at=min(starts, default=None),
        completed_at=max(ends, default=asked.created_at) if all(ended) else None,
        directory=", ".join(
            f"{part.site}:{part.state.job.directory}"
            for part in parts
            if part.state is not None and part.state.job
        ),
        collection=(first.collection if first else request.collection) or Collection(),
        timeouts=(first.timeouts if first else request.timeouts) or Timeouts(),
        concurrency=sum(job.concurrency for job in jobs) or request.concurrency or len(parts),
        resumable=all(job.resumable for job in jobs),
        retries=max((job.retries for job in jobs), default=0),
        nodes=nodes,
        request_id=request.request_id,
        owner=asked.owner,
        username=request.login.username,
        targets=request.nodes,
        labels=request.labels,
        files_deleted=(bool(jobs) and all(job.files_deleted for job in jobs)) or None,
        commands=first.commands
        if first
        else (request.commands.lines if request.commands else None),
        capture=first.capture if first else None,
        written_for=first.written_for if first else None,
        ran_before=max((job.ran_before or 0 for job in jobs), default=0) or None,
        asked_by=asked.asked_by,
        coverage_pending=any(job.coverage_pending for job in jobs) or None,
    )


def how_it_ended(state: PartState) -> str | None:
    """Returns the status in which a job has ended at a site, or None if it goes on."""
    if state.job is not None:
        return None if state.job.status in UNFINISHED else state.job.status
    if state.cancelled:
        return "cancelled"
    return None if state.answer is None else "refused"


def _has_ended(part: Part) -> bool:
    return part.state is not None and how_it_ended(part.state) is not None


def _cancelled(part: Part) -> bool:
    state = part.state
    return state is not None and (state.job.cancelled if state.job else state.cancelled)


def _status(
    parts: Sequence[Part], nodes: Sequence[Node], *, ended: bool, cancelled: bool
) -> JobStatus:
    """Returns the status of the whole; for one site, that of its job."""
    known = {part.state.job.status for part in parts if part.state and part.state.job}
    if not ended:
        return "running" if known - {"queued"} else "queued"
    succeeded = sum(node.status == "succeeded" for node in nodes)
    if succeeded == len(nodes):
        return "succeeded"
    if succeeded:
        return "partial"
    all_cancelled = cancelled or all(node.status == "cancelled" for node in nodes)
    return "cancelled" if all_cancelled else "failed"


def _nodes(part: Part, asked: Asked) -> list[Node]:
    """Returns the nodes of a part: what was asked, until the site has said which nodes that is."""
    state = part.state
    notes = () if _has_ended(part) or not part.silence else (f"{part.site}: {part.silence}",)
    if state is None or state.job is None or not part.nodes:
        cancelled = state is not None and state.cancelled
        status: NodeStatus = "cancelled" if cancelled else "pending"
        failure = None
        if state is not None and state.answer is not None and not cancelled:
            status, failure = "failed", _failure(part.site, state)
        return [_unknown(f"{part.site}/{name}", status, failure, notes) for name in part.targets]
    return [
        replace(
            node,
            node=f"{part.site}/{node.node}",
            name=None if node.name is None else f"{part.site}/{node.name}",
            notes=node.notes if node.completed_at else (*node.notes, *notes),
        )
        for _, node in sorted(part.nodes.items())
    ]


def _failure(site: str, state: PartState) -> Failure:
    assert state.answer is not None
    late = state.answer.error == TOO_LATE
    return Failure(
        TOO_LATE if late else REFUSED, f"site {site}: {state.answer.text}", retryable=late
    )


def _unknown(
    name: str, status: NodeStatus, failure: Failure | None, notes: tuple[str, ...]
) -> Node:
    return Node(
        node=name,
        status=status,
        phase=None,
        attempt=0,
        error=failure.message if failure else None,
        failure=failure,
        notes=notes,
        started_at=None,
        completed_at=None,
        files_announced=None,
        bytes_announced=None,
        files_received=0,
        bytes_received=0,
    )


def summary_of(job: Job) -> JobSummary:
    """Returns the line of a list."""
    return _with_fields_of(
        job,
        JobSummary,
        nodes_total=len(job.nodes),
        nodes_done=sum(node.status not in ("pending", "running") for node in job.nodes),
        nodes_succeeded=sum(node.status == "succeeded" for node in job.nodes),
        nodes_failed=sum(node.status == "failed" for node in job.nodes),
        bytes_received=sum(node.bytes_received for node in job.nodes),
        first_node=job.nodes[0].node,
        first_name=job.nodes[0].name,
        targets=job.targets and job.targets[:_MOST_TARGETS],
        commands=job.commands and job.commands[:_MOST_COMMANDS],
    )


def change_of(job: Job) -> JobChange:
    """Returns a change with all nodes."""
    return _with_fields_of(job, JobChange)


def _with_fields_of(job: Job, struct: type[T], **more: Any) -> T:
    """Makes a struct from those fields of a job that it has, and from others."""
    names = getattr(struct, "__struct_fields__", ())
    return struct(**{name: value for name, value in asdict(job).items() if name in names} | more)


def at_site(site: str, cluster: Cluster) -> Cluster:
    """Returns a cluster with the name of its site before each name that a start can have."""

    def named(name: str | None) -> str | None:
        return None if name is None else f"{site}/{name}"

    nodes = cluster.nodes and tuple(
        replace(node, node=f"{site}/{node.node}") for node in cluster.nodes
    )
    return replace(
        cluster,
        name=named(cluster.name),
        publisher=named(cluster.publisher),
        asked=named(cluster.asked),
        nodes=nodes,
    )


def silence(heard_at: datetime | None) -> str:
    """Returns the text about a site that is not heard."""
    return f"not heard since {heard_at:%Y-%m-%d %H:%M:%SZ}" if heard_at else "not heard yet"
