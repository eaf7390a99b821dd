"""PURE. Says what jobs and nodes do, for the templates, with the words that `cucmctl` uses."""

from __future__ import annotations

from collections.abc import Mapping

from cucmctl.text import health_text, render
from cucmctl.text.kind_text import text_of
from cucmctl.text.remarks import describe_waiting
from cucmd.job.coverage import format_missing
from cucmd.job.node import with_names
from cucmd.protocol.jobs import Job, JobSummary, Node

# The words of the page for the phases of the daemon.
PHASES = {
    "connect": "connecting",
    "login": "login",
    "prepare": "preparing",
    "command": "asking",
    "transfer": "sending",
    "close": "closing",
}
# Word in a result -> the status of jobs that has the same colour.
COLOURS = {**dict(health_text.WORDS.values()), "ok": "succeeded", "failed": "failed"}
_URGENCY = {"failed": 0, "running": 1, "pending": 2, "cancelled": 3, "succeeded": 4}


def what(job: Job | JobSummary) -> str:
    """Returns what a job does, in one line."""
    return f"{job.kind} {text_of(job).summarize(job)}".strip()


def who(job: Job | JobSummary) -> str:
    """Returns who asked for a job: the name that a program gave, or the user of this machine."""
    if job.asked_by:
        return job.asked_by
    return "" if job.owner is None else render.user(job.owner)


def by_urgency(job: Job) -> list[Node]:
    """Returns the nodes that fail or run first, then the others, each in the order of the job."""
    return sorted(job.nodes, key=lambda node: _URGENCY.get(node.status, 0))


def doing(job: Job, node: Node, names: Mapping[str, str]) -> str:
    """Returns what a node does now, in one or two words. `names`: see `short_names`."""
    word = text_of(job).phase(node)
    return with_names(describe_waiting(node), names) or PHASES.get(word, word)


def missing(node: Node) -> str:
    """Returns how much of the window the worst path of a node lacks: `35 min`, or "" for nothing.

    A path without any file lacks everything, but may be one that the node does not have.
    """
    longest = max((gap.seconds or 0 for gap in node.gaps or ()), default=0)
    return format_missing(longest) if longest else ""


def next_start(job: Job) -> dict[str, str] | None:
    """Returns the fields of the form Start for what usually comes after this job, or None."""
    if found := [member.node for node in job.nodes if node.found for member in node.found.members]:
        return {"nodes": " ".join(found)}
    if not any(node.sizes for node in job.nodes):
        return None
    wanted = job.collection
    fields = {
        "nodes": " ".join(job.targets or [node.node for node in job.nodes]),
        "username": job.username,
        "profile": wanted.profile,
        "paths": "" if wanted.profile else " ".join(wanted.paths or ()),
        "last": wanted.last or "",  # the form has a value of its own without it
        "since": None if wanted.last else wanted.since,
        "until": None if wanted.last else wanted.until,
    }
    return {name: value for name, value in fields.items() if value is not None}
