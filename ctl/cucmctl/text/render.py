"""Turns jobs and nodes into plain text for people: tables, lines, sizes, times in local time.

The functions take structs and return text; nothing is printed here. Text from a node or from the
daemon is made `visible`.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Unpack

from cucmctl.cli.printer import Layout, visible
from cucmctl.text.kind_text import text_of
from cucmctl.text.pace import NODE_ENDED
from cucmctl.text.remarks import GAP, remarks
from cucmctl.text.table import paint, table
from cucmd.job.work_request import Collection
from cucmd.protocol.jobs import Job, JobSummary, Node

JOB_ENDED = ("succeeded", "partial", "failed", "cancelled")


def size(count: int) -> str:
    """Returns a size such as `4.1 MB`; a kB is 1000 bytes."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:  # a larger value would be printed as 1000.0
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def progress(received: int, announced: int | None) -> str:
    """Returns received and announced bytes: `4.1/45.6 MB`."""
    if announced is None or announced == received:
        return size(received)
    so_far, total = size(received), size(announced)
    if so_far.split()[1] == total.split()[1]:
        so_far = so_far.split()[0]
    return f"{so_far}/{total}"


def figures(node: Node, collection: Collection) -> tuple[str, str]:
    """Returns files and bytes of a node: `4/27`, `4.1/45.6 MB`.

    With `compress` the announced numbers are left out, because they count files before compression.
    For a cancelled node they are left out too, because its files do not count as complete.
    """
    if node.status == "cancelled":
        return str(node.files_received or ""), size(node.bytes_received)
    if collection.compress:
        return str(node.files_received), size(node.bytes_received)
    return (
        counted(node.files_received, node.files_announced),
        progress(node.bytes_received, node.bytes_announced),
    )


def counted(received: int, announced: int | None) -> str:
    return str(received) if announced in (None, received) else f"{received}/{announced}"


def count_of(count: int, what: str) -> str:
    """Returns `1 file`, `2 files`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def paragraphs(*groups: Iterable[str]) -> Iterator[str]:
    """Yields the lines of all groups, with an empty line between two groups that have lines."""
    between: tuple[str, ...] = ()
    for group in groups:
        if shown := list(group):
            yield from (*between, *shown)
            between = ("",)


def files_of(files: str, received: int) -> str:
    """Returns `2 files` or `0/4 files`. If bytes were received, but no whole file, says so."""
    if files == "0" and received:
        return "no complete file"
    return "1 file" if files == "1" else f"{files} files"


def local(at: datetime) -> str:
    """Returns a time in the local time zone, to the second."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Returns a duration such as `42s`, `1m20s` or `2h05m`."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{whole % 60:02}s" if minutes else f"{whole}s"


def took(
    started: datetime | None, completed: datetime | None, now: datetime, before: float | None = None
) -> str:
    """Returns how long something took. `before`: seconds that it ran before it was retried."""
    if started is None:
        return duration(before) if before else ""
    return duration(((completed or now) - started).total_seconds() + (before or 0))


def show_job(
    job: Job, now: datetime, *, may_operate: bool = True, **layout: Unpack[Layout]
) -> Iterator[str]:
    """Yields a job, node by node, with what it found on the nodes, failures and notes.

    With `columns`, names are cut so that the table fits, and only some of the nodes with the same
    failure are named.
    """
    text = text_of(job)
    rows: Sequence[tuple[str, ...]] = [
        (
            node.full_name,
            node.status,
            text.phase(node) or ("waits" if node.waits_for else ""),
            *figures(node, job.collection),
            # A pending node has a start time if the daemon was stopped in between; ignore it.
            took(
                node.waits_since if node.status == "pending" else node.started_at,
                node.completed_at,
                now,
            ),
        )
        for node in job.nodes
    ]
    headings, rows = text.columns(job, ("NODE", "STATUS", "PHASE", "FILES", "SIZE", "TIME"), rows)
    colour, columns = layout.get("colour", False), layout.get("columns")
    ascii_only = layout.get("ascii_only", False)
    below = remarks(job, columns=columns, ascii_only=ascii_only, may_operate=may_operate)
    yield from paragraphs(
        _heading(job, now, colour=colour),
        table(headings, rows, right="PACKETS FILES SIZE TIME", **layout),
        text.findings(text.complete(job), **layout),
        (paint(line, "partial") if line.startswith(GAP) and colour else line for line in below),
    )


def first_in_view(lines: Iterable[str], rows: int | None, columns: int | None) -> Iterator[str]:
    """Yields the lines. If the terminal has too few rows, the first line is repeated at the end."""
    shown = list(lines)
    yield from shown
    if rows and columns:
        taken = sum(1 + max(0, len(text) - 1) // columns for text in shown)
        if taken >= rows:  # one row is for the prompt of the shell
            yield ""
            yield shown[0]


def _heading(job: Job, now: datetime, *, colour: bool) -> Iterator[str]:
    status = paint(job.status, job.status) if colour else job.status
    yield f"job {visible(job.job_id)}: {status}, {tally(job)}"
    begun = f"created {local(job.created_at)}"
    if job.started_at is not None and job.status == "queued":
        begun += f", begun {local(job.started_at)} and queued again after a stop of the daemon"
    elif job.started_at is not None:
        verb = "took" if job.completed_at else "running for"
        begun += f", {verb} {took(job.started_at, job.completed_at, now, job.ran_before)}"
    yield begun
    yield from text_of(job).describe(job)
    for command in job.commands or ():
        yield f"runs {visible(command)}"
    if origin := _origin(job):
        yield visible(origin)
    if job.collection.compress:
        yield packed(job)
    yield from on_disk(job)
    yield from unsaved(job)


def _origin(job: Job) -> str:
    """Returns `from berlin, by anna, as administrator; case=698123456`."""
    if job.targets is None or job.owner is None:
        return ""
    text = f"from {target(summary(job))}, by {user(job.owner)}"
    if job.asked_by is not None:
        text += f", asked by {job.asked_by}"
    if job.username is not None:
        text += f", as {job.username}"
    labels = ", ".join(f"{key}={value}" for key, value in sorted((job.labels or {}).items()))
    return f"{text}; {labels}" if labels else text


def target(job: JobSummary) -> str:
    """Returns what a job was started for: `berlin`, or `cucm-pub and 8 more`."""
    first, others = first_target(job)
    return f"{first} and {others} more" if others else first


def first_target(job: JobSummary) -> tuple[str, int]:
    """Returns the only target of a job, or its first node and how many others the job has."""
    if job.targets and len(job.targets) == 1 and job.targets[0] != job.first_node:
        return job.targets[0], 0
    return job.first_name or job.first_node, job.nodes_total - 1


def user(uid: int) -> str:
    """Returns the name of a user, or the number if there is no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def unsaved(job: Job) -> Iterator[str]:
    """Yields why the state may be old: the daemon cannot store changes. Else yields nothing."""
    if job.unsaved is not None:
        yield f"later changes cannot be stored, and are not shown: {visible(job.unsaved)}"


def packed(job: Job) -> str:
    """Returns what the archives contain: `packed by the nodes, from 27 files, 5.2 MB`."""
    files = sum(node.files_announced or 0 for node in job.nodes)
    whole = size(sum(node.bytes_announced or 0 for node in job.nodes))
    return "packed by the nodes" + (f", from {count_of(files, 'file')}, {whole}" if files else "")


def tally(job: Job, *, without: Sequence[str] = ()) -> str:
    """Returns `3 nodes: 2 succeeded, 1 failed`."""
    counts: dict[str, int] = {}
    for node in job.nodes:
        counts[node.status] = counts.get(node.status, 0) + 1
    order = ("succeeded", "running", "pending", "failed", "cancelled")
    shown = [status for status in order if status in counts and status not in without]
    parts = ", ".join(f"{counts[status]} {status}" for status in shown)
    total = count_of(len(job.nodes), "node")
    return f"{total}: {parts}" if parts else total


def ending(
    job: Job,
    *,
    columns: int | None = None,
    ascii_only: bool = False,
    may_operate: bool = True,
) -> Iterator[str]:
    """Yields how a job ended: one line in summary, then remarks about its nodes."""
    files = str(sum(node.files_received for node in job.nodes))
    received = sum(node.bytes_received for node in job.nodes)
    came = text_of(job).result(job, f"{files_of(files, received)}, {size(received)}")
    yield f"job {visible(job.job_id)} {job.status}: {tally(job)}; {came}"
    yield from remarks(job, columns=columns, ascii_only=ascii_only, may_operate=may_operate)


def where_files_are(job: Job, *, may_operate: bool = True) -> Iterator[str]:
    """Yields where the files of a job are that has ended, and the next commands."""
    yield from on_disk(job)
    if may_operate:
        yield from next_commands(job)


def on_disk(job: Job) -> Iterator[str]:
    """Yields where a job's files are, or that they are gone; nothing if their folder is closed, or
    if there is none: a hub of several sites shows jobs that no site has started.
    """
    if job.files_deleted:
        yield f"files were deleted, or removed from {visible(job.directory)}"
        return
    readable = True
    try:
        os.stat(job.directory)
        readable = os.access(job.directory, os.R_OK | os.X_OK, effective_ids=True)
    except PermissionError:
        readable = False
    except (OSError, ValueError):  # the folder does not exist, as if the daemon is on another host
        pass
    if readable and job.directory:
        yield f"files in {visible(job.directory)}"


def next_commands(job: Job) -> Iterator[str]:
    """Yields commands to use next: `retry` and `export`. Neither is possible without the files."""
    if job.files_deleted:
        return
    if job.status in ("failed", "partial"):
        which = "the others" if job.status == "partial" else "it"
        yield f"to try {which} again: cucmctl retry {visible(job.job_id)}"
    # At a hub of several sites, the folders have the names of the sites before them.
    if any(node.files_received for node in job.nodes) and job.directory.startswith("/"):
        yield f"to export the files: cucmctl export {visible(job.job_id)}"


def summary(job: Job) -> JobSummary:
    """Returns the summary of a job, as a list of jobs has it: with 20 targets and 3 commands."""
    ended = [node for node in job.nodes if node.status in NODE_ENDED]
    return JobSummary(
        job_id=job.job_id,
        status=job.status,
        revision=job.revision,
        created_at=job.created_at,
        completed_at=job.completed_at,
        nodes_total=len(job.nodes),
        nodes_done=len(ended),
        nodes_failed=sum(node.status == "failed" for node in job.nodes),
        bytes_received=sum(node.bytes_received for node in job.nodes),
        nodes_succeeded=sum(node.status == "succeeded" for node in job.nodes),
        started_at=job.started_at,
        owner=job.owner,
        targets=job.targets and job.targets[:20],
        first_node=job.nodes[0].node,
        first_name=job.nodes[0].name,
        collection=job.collection,
        labels=job.labels,
        kind=job.kind,
        ran_before=job.ran_before,
        commands=job.commands and job.commands[:3],
        capture=job.capture,
        asked_by=job.asked_by,
    )
