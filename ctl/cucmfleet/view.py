"""PURE. Puts the states of the sites together to the jobs that the hub shows.

The job at one site is the daemon's job, with `SITE/` before the name of each node. A site that was
not heard for a while is marked in the notes of its unfinished nodes; what is shown of them is their
last state.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from cucmd.job.failure import Failure
from cucmd.job.status import JobStatus, NodeStatus
from cucmd.job.work_request import Collection, Timeouts
from cucmd.protocol.jobs import Job, JobSummary, Node
from cucmd.protocol.knowledge import Cluster
from cucmfleet.messages import UPLOAD, Asked, NodeState, PartState, by_site

_KINDS = {"collection": "collect", "commands": "run", "discovery": "discover"}
_MOST_TARGETS, _MOST_COMMANDS = 20, 3  # as the daemon has them in a list


class Known(Struct):
    """Holds what a site has sent of a job: its state, and its nodes by their position."""

    state: PartState | None = None
    nodes: dict[int, NodeState] = {}


def job_of(asked: Asked, known: Mapping[str, Known], silence: Mapping[str, str]) -> Job:
    """Returns a job with all fields, as the socket sends it.

    known    by the name of the site
    silence  the text about each site that is not heard
    """
    ended = asked.has_ended
    jobs = {
        site: _at_site(asked, site, known.get(site, Known()), silence.get(site))
        for site in asked.parts
    }
    all_jobs = jobs.values()
    begun = {site: job for site, job in jobs.items() if job.directory}
    labels = {**(asked.request.labels or {})}
    for site, job in jobs.items():  # how far the upload of the site is
        own = {key: value for key, value in (job.labels or {}).items() if key.startswith(UPLOAD)}
        labels |= {f"{site}/{key}": value for key, value in own.items()}
    ends = [job.completed_at for job in all_jobs if job.completed_at]
    return replace(
        next(iter((begun or jobs).values())),
        job_id=asked.job_id,
        status=_status({job.status for job in all_jobs}, ended=ended),
        cancelled=all(job.cancelled for job in all_jobs),
        closed=ended and all(job.closed for job in all_jobs),
        revision=sum(job.revision for job in all_jobs),
        created_at=asked.created_at,
        started_at=min((job.started_at for job in all_jobs if job.started_at), default=None),
        completed_at=max(ends, default=asked.created_at) if ended else None,
        directory=", ".join(f"{site}:{job.directory}" for site, job in begun.items()),
        concurrency=sum(job.concurrency for job in all_jobs),
        retries=max(job.retries for job in all_jobs),
        nodes=tuple(node for job in all_jobs for node in job.nodes),
        request_id=asked.request.request_id,
        owner=asked.owner,
        targets=asked.request.nodes,
        labels=labels or None,
        files_deleted=all(job.files_deleted for job in all_jobs) or None,
        asked_by=asked.asked_by,
        coverage_pending=any(job.coverage_pending for job in all_jobs) or None,
    )


def _at_site(asked: Asked, site: str, known: Known, silence: str | None) -> Job:
    """Returns the part of a job at a site: the daemon's job, or what was asked if there is none. A
    job that was not started has no directory.
    """
    part, state, request = asked.parts[site], known.state, asked.request
    status = part.end[0] if part.end else "queued"
    job = (state and state.job) or Job(
        job_id=asked.job_id,
        status=status,
        cancelled=status == "cancelled",
        closed=part.end is not None,
        revision=0,
        kind=_KINDS.get(request.work()[0], request.work()[0]),
        created_at=asked.created_at,
        started_at=None,
        completed_at=None,
        directory="",
        collection=request.collection or Collection(),
        timeouts=request.timeouts or Timeouts(),
        concurrency=request.concurrency or 1,
        resumable=True,
        retries=0,
        nodes=(),
        username=request.login.username,
        commands=request.commands.lines if request.commands else None,
    )
    failure = state.failure if state else None
    # Positions behind the number of nodes can only be from a hostile site.
    count = state.nodes if state else 0
    nodes = [each.node for position, each in sorted(known.nodes.items()) if position < count]
    if not nodes:
        nodes = [_not_known(name, job, failure) for name in by_site(request.nodes)[site]]
    notes = [f"the {one.operation} is on its way" for one in part.commands if not one.start]
    notes += [failure.message] if failure and job.directory else []
    named = [
        replace(
            node,
            node=f"{site}/{node.node}",
            name=f"{site}/{node.name}" if node.name else None,
            notes=(
                *node.notes,
                *(f"{site}: {note}" for note in notes),
                *([f"{site}: {silence}"] if silence and node.status in _GOES_ON else []),
            ),
        )
        for node in nodes
    ]
    return replace(job, revision=state.revision if state else 0, nodes=tuple(named))


_GOES_ON = ("pending", "running")


def _not_known(name: str, job: Job, failure: Failure | None) -> Node:
    """Returns a node of which the site has sent nothing."""
    status: NodeStatus = "cancelled" if job.cancelled else "failed" if failure else "pending"
    return Node(
        node=name,
        status=status,
        phase=None,
        attempt=0,
        error=failure.message if failure else None,
        failure=failure,
        notes=(),
        started_at=None,
        completed_at=None,
        files_announced=None,
        bytes_announced=None,
        files_received=0,
        bytes_received=0,
    )


def _status(known: set[JobStatus], *, ended: bool) -> JobStatus:
    if not ended:
        return "running" if known - {"queued"} else "queued"
    if known & {"succeeded", "partial"}:
        return "succeeded" if known == {"succeeded"} else "partial"
    return "cancelled" if known == {"cancelled"} else "failed"


def summary_of(job: Job) -> JobSummary:
    """Returns the line of a list."""
    status = [node.status for node in job.nodes]
    fields = asdict(job) | {
        "nodes_total": len(status),
        "nodes_done": sum(one not in _GOES_ON for one in status),
        "nodes_succeeded": status.count("succeeded"),
        "nodes_failed": status.count("failed"),
        "bytes_received": sum(node.bytes_received for node in job.nodes),
        "first_node": job.nodes[0].node,
        "first_name": job.nodes[0].name,
        "targets": job.targets and job.targets[:_MOST_TARGETS],
        "commands": job.commands and job.commands[:_MOST_COMMANDS],
    }
    return msgspec.convert(fields, JobSummary, from_attributes=True)


def cluster_at(site: str, cluster: Cluster) -> Cluster:
    """Returns a cluster with the name of its site before each name that a start can have."""
    names = {
        field: f"{site}/{name}"
        for field in ("name", "publisher", "asked")
        if (name := getattr(cluster, field)) is not None
    }
    nodes = cluster.nodes and tuple(
        replace(node, node=f"{site}/{node.node}") for node in cluster.nodes
    )
    return replace(cluster, nodes=nodes, **names)
