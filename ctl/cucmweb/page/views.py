"""PURE. Prepares jobs and nodes for the templates, with the words that `cucmctl` uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from cucmctl.text import health_text, render
from cucmctl.text.kind_text import text_of
from cucmctl.text.pace import NODE_ENDED, Rates, silence
from cucmctl.text.remarks import describe_waiting, remarks, short_names
from cucmd.job.node import with_names
from cucmd.protocol.jobs import Job, JobSummary, ListReply, Node
from cucmweb.page import pictures

RUNNING = ("queued", "running")
# The nodes, the rows of a result and the remarks of a job that its view shows at first.
MOST_NODES = 100
# Word in a result -> the status of jobs that has the same colour.
COLOURS = {**dict(health_text.WORDS.values()), "ok": "succeeded", "failed": "failed"}


class JobRow(Struct, frozen=True):
    """Holds a job as the list shows it."""

    job: JobSummary
    what: str
    target: str
    asked_by: str
    took: str
    percent: int | None  # of its nodes have ended; None for a job that has ended

    @property
    def labels(self) -> Sequence[tuple[str, str]]:
        return sorted((self.job.labels or {}).items())


def job_row(job: JobSummary, now: datetime) -> JobRow:
    return JobRow(
        job,
        what(job),
        render.target(job),
        who(job),
        render.took(job.started_at, job.completed_at, now, job.ran_before),
        100 * job.nodes_done // job.nodes_total if job.status in RUNNING else None,
    )


def who(job: Job | JobSummary) -> str:
    """Returns who asked for a job: the name that a program gave, or the user of this machine."""
    if job.asked_by:
        return job.asked_by
    return "" if job.owner is None else render.user(job.owner)


class NodeRow(Struct, frozen=True):
    """Holds a node as the view of its job shows it.

    doing    what it does now, in one or two words
    percent  how much of what it announced has come; None if that is not known
    rate     bytes per second; 0 if nothing came in the last seconds
    silent   seconds since the last byte, if that is worth a remark
    """

    node: Node
    doing: str
    files: str
    size: str
    took: str
    percent: int | None
    rate: float
    silent: float | None

    @property
    def is_running(self) -> bool:
        return self.node.status not in NODE_ENDED


# Seconds of silence after which the page says so.
_SILENT = 5.0


def node_rows(job: Job, now: datetime, rates: Rates, at: float) -> list[NodeRow]:
    """Returns the nodes that fail or run first, then the others, each in the order of the job.

    at  the moment of `now` by the clock that `rates` uses
    """
    urgency = {"failed": 0, "running": 1, "pending": 2, "cancelled": 3, "succeeded": 4}
    names = short_names(job.nodes)
    return sorted(
        (_node_row(job, node, names, now, rates.rate_of(node.node, at)) for node in job.nodes),
        key=lambda row: urgency.get(row.node.status, 0),
    )


def _node_row(
    job: Job, node: Node, names: Mapping[str, str], now: datetime, rate: float
) -> NodeRow:
    text = text_of(job)
    files, size = render.figures(node, job.collection)
    percent = None
    is_announced = node.bytes_announced and not job.collection.compress
    if node.status == "running" and node.all_announced and is_announced:
        percent = min(100, 100 * node.bytes_received // (node.bytes_announced or 1))
    silent = silence(node, now)
    word = text.phase(node)
    return NodeRow(
        node,
        with_names(describe_waiting(node), names) or pictures.PHASES.get(word, word),
        files,
        size,
        render.took(
            node.waits_since if node.status == "pending" else node.started_at,
            node.completed_at,
            now,
        ),
        percent,
        rate if node.status == "running" else 0.0,
        silent if silent is not None and silent >= _SILENT else None,
    )


def list_values(state: ListReply, now: datetime) -> dict[str, Any]:
    """Returns the values of the template of the list of jobs."""
    rows = [job_row(job, now) for job in state.jobs]
    return {
        "running": [row for row in rows if row.job.status in RUNNING],
        "others": [row for row in rows if row.job.status not in RUNNING],
        "older": state.older,
        "last": state.jobs[-1].job_id if state.jobs else "",
    }


def job_values(
    job: Job, rates: Rates, now: datetime, at: float, *, all_nodes: bool, may_change: bool
) -> dict[str, Any]:
    """Returns the values of the template of a job. `at`: see `node_rows`."""
    text = text_of(job)
    zones = {node.zone for node in job.nodes if node.zone}
    rows = node_rows(job, now, rates, at)
    most = None if all_nodes else MOST_NODES
    most_bars = None if all_nodes else pictures.MOST_BARS
    coverage = pictures.coverage(job, most_bars)
    # The picture of the coverage has the missing parts of the window.
    # The line about the window is in the zone of this machine. The page has its own.
    described = [line for line in text.describe(job) if not line.startswith("window ")]
    since, until = job.collection.since, job.collection.until
    lines = list(remarks(job, may_operate=may_change, gaps=coverage is None))
    return {
        "job": job,
        "what": what(job),
        "who": who(job),
        "describes": described or [f"runs {command}" for command in job.commands or ()],
        "since": since and datetime.fromisoformat(since),
        "until": until and datetime.fromisoformat(until),
        "node_zone": zones.pop() if len(zones) == 1 else "",
        "tally": render.tally(job),
        "rows": rows[:most],
        "more_nodes": len(rows[most:]) if most else 0,
        "all_nodes": all_nodes,
        "result": list(text.parts(text.complete(job))),
        "colours": COLOURS,
        "most_rows": most,
        "remarks": lines[:most],
        "more_remarks": len(lines[most:]) if most else 0,
        "running": job.status in RUNNING,
        "next_start": _next_start(job),
        "timeline": pictures.timeline(job, now, most_bars),
        "coverage": coverage,
    }


def _next_start(job: Job) -> dict[str, str] | None:
    """Returns the fields of the form Start for what usually comes after this job, or None."""
    found = [member.node for node in job.nodes if node.found for member in node.found.members]
    if found:
        return {"nodes": " ".join(found)}
    if not any(node.sizes for node in job.nodes):
        return None
    wanted = job.collection
    fields = {"nodes": " ".join(job.targets or [node.node for node in job.nodes])}
    fields |= {"profile": wanted.profile or "", "username": job.username or ""}
    if not wanted.profile:
        fields["paths"] = " ".join(wanted.paths or ())
    if wanted.last:
        return fields | {"last": wanted.last}
    return fields | {"last": "", "since": wanted.since or "", "until": wanted.until or ""}


def what(job: Job | JobSummary) -> str:
    """Returns what a job does, in one line."""
    return f"{job.kind} {text_of(job).summarize(job)}".strip()
