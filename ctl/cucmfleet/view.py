"""PURE. Puts the states of the sites together to the jobs that the hub shows.

The job at one site is the daemon's job, with `SITE/` before the name of each node. A site that was
not heard for a while is marked in the notes of its unfinished nodes; what is shown of them is their
last state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict, replace

from cucmd.job.status import JobStatus
from cucmd.job.work_request import Collection, Timeouts
from cucmd.protocol.jobs import Job, Node
from cucmd.protocol.knowledge import Cluster
from cucmfleet.messages import UNFINISHED, UPLOAD, UPLOAD_SHA256, UPLOAD_STATE, Asked, Part, by_site

_KINDS = {"collection": "collect", "commands": "run", "discovery": "discover"}
# What a job or a node has before anything is known of it: null, where that is possible.
_NO_JOB: dict[str, Any] = dict.fromkeys(Job.__struct_fields__)
_NO_NODE: dict[str, Any] = dict.fromkeys(Node.__struct_fields__)


def job_of(asked: Asked, silence: Mapping[str, str]) -> Job:
    """Returns a job with all fields, as the socket sends it.

    silence  the text about each site that is not heard
    """
    ended = asked.has_ended
    jobs = {
        site: _at_site(asked, site, part, silence.get(site)) for site, part in asked.parts.items()
    }
    all_jobs = jobs.values()
    begun = {site: job for site, job in jobs.items() if job.directory}
    labels = asked.request.labels or {}
    for site, job in begun.items():
        there = job.labels or {}
        uploads = [key for key in (UPLOAD, UPLOAD_STATE, UPLOAD_SHA256) if key in there]
        labels = labels | {f"{site}/{key}": there[key] for key in uploads}
    ends = [job.completed_at for job in all_jobs if job.completed_at]
    # A site's job only fills in what the request left open, such as the beginning of the last two
    # hours. A hostile site could say that it does something else than the others.
    first, plain = next(iter((begun or jobs).values())), _not_started(asked, "queued")
    wanted = {name: value for name, value in asdict(plain.collection).items() if value is not None}
    return replace(
        first,
        kind=plain.kind,
        collection=replace(first.collection, **wanted),
        commands=plain.commands or first.commands,
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


def _at_site(asked: Asked, site: str, part: Part, silence: str | None) -> Job:
    """Returns the part of a job at a site: the daemon's job, or, before the daemon has started one,
    what was asked. A job that was not started has no directory.
    """
    state = part.state
    job = (state and state.job) or _not_started(asked, part.end[0] if part.end else "queued")
    failure = state.failure if state else None
    # Positions behind the number of nodes can only be from a hostile site.
    shown = [node for _, node in sorted(part.nodes.items())][: state.nodes if state else 0]
    if not shown:
        status = "cancelled" if job.cancelled else "failed" if failure else "pending"
        fields = {"status": status, "failure": failure, "error": failure and failure.message}
        numbers = {"attempt": 0, "notes": (), "files_received": 0, "bytes_received": 0}
        names = by_site(asked.request.nodes)[site]
        shown = [Node(**(_NO_NODE | fields | numbers | {"node": name})) for name in names]
    notes = [f"the {one.operation} is on its way" for one in part.commands if not one.start]
    notes += [failure.message] if failure and job.directory else []
    named = []
    for node in shown:
        cut_off = [silence] if silence and node.status in ("pending", "running") else []
        named.append(
            replace(
                node,
                node=f"{site}/{node.node}",
                name=f"{site}/{node.name}" if node.name else None,
                notes=(*node.notes, *(f"{site}: {note}" for note in (*notes, *cut_off))),
            )
        )
    return replace(job, revision=part.revision, nodes=tuple(named))


def _not_started(asked: Asked, status: JobStatus) -> Job:
    request, (name, work) = asked.request, asked.request.work()
    fields = {
        "job_id": asked.job_id,
        "status": status,
        "cancelled": status == "cancelled",
        "closed": status not in UNFINISHED,
        "kind": _KINDS.get(name, name),
        "directory": "",
        "collection": getattr(work, "collection", Collection()),
        "timeouts": request.timeouts or Timeouts(),
        "concurrency": request.concurrency or 1,
        "resumable": True,
        "retries": 0,
        "username": request.login.username,
        "commands": request.commands and request.commands.lines,
    }
    return Job(**(_NO_JOB | fields))


def _status(known: set[JobStatus], *, ended: bool) -> JobStatus:
    if not ended:
        return "running" if known - {"queued"} else "queued"
    if known & {"succeeded", "partial"}:
        return "succeeded" if known == {"succeeded"} else "partial"
    return "cancelled" if known == {"cancelled"} else "failed"


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
