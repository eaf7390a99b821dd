"""Jobs and nodes as plain text for people: tables, lines, sizes, times in local time.

Functions take structs and return text; nothing is printed here. Every text of a node or of the
daemon is made `visible`.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Unpack

from cucmctl.cli.printer import Layout, visible
from cucmctl.text import capture
from cucmctl.text.discover import in_order
from cucmctl.text.remarks import GAP, remarks
from cucmctl.text.table import paint, table
from cucmctl.text.times import NODE_ENDED
from cucmctl.text.window import window
from cucmd.job.asked import Collection
from cucmd.job.discover import Found
from cucmd.job.health import GOOD, among
from cucmd.protocol.jobs import Job, JobSummary, Node

JOB_ENDED = ("succeeded", "partial", "failed", "cancelled")

PATHS_SHOWN = 3


def size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:  # 1000.0 is printed in the next unit
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def progress(received: int, announced: int | None) -> str:
    """Received and announced bytes: `4.1/45.6 MB`."""
    if announced is None or announced == received:
        return size(received)
    so_far, total = size(received), size(announced)
    if so_far.split()[1] == total.split()[1]:
        so_far = so_far.split()[0]
    return f"{so_far}/{total}"


def figures(node: Node, collection: Collection) -> tuple[str, str]:
    """Returns files and bytes of a node: `4/27`, `4.1/45.6 MB`.

    With `compress` the announced numbers are left out: they are those before compression. Of a node
    that was cancelled too: no file counts as complete without the node's word.
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


def counting(count: int, what: str) -> str:
    """Returns `1 file`, `2 files`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def local(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{whole % 60:02}s" if minutes else f"{whole}s"


def took(
    started: datetime | None, completed: datetime | None, now: datetime, before: float | None = None
) -> str:
    """`before`: seconds that it ran before it was tried again."""
    if started is None:
        return duration(before) if before else ""
    return duration(((completed or now) - started).total_seconds() + (before or 0))


def job(
    job: Job, now: datetime, *, found: Iterable[str] = (), **layout: Unpack[Layout]
) -> Iterator[str]:
    """The job, node by node, and below the table failures and notes; before these what it has
    `found` on the nodes, as lines.

    With `columns` names are cut so that no line of the table is longer, and of nodes with the same
    failure only some are named.
    """
    yield from _heading(job, now, colour=layout.get("colour", False))
    yield ""
    rows: Sequence[tuple[str, ...]] = [
        (
            node.node,
            node.status,
            capture.phase(node) or ("waits" if node.waits_for else ""),
            *figures(node, job.collection),
            # A node that is pending again after a stop of the daemon has started, but does not run.
            took(
                node.waits_since if node.status == "pending" else node.started_at,
                node.completed_at,
                now,
            ),
        )
        for node in job.nodes
    ]
    headings, rows = capture.with_packets(
        job, ("NODE", "STATUS", "PHASE", "FILES", "SIZE", "TIME"), rows
    )
    yield from table(headings, rows, right="PACKETS FILES SIZE TIME", **layout)
    for node in job.nodes:
        if node.found is not None and node.found.members:
            yield ""
            yield from members(node.found, **layout)
    if table_of_nodes := list(found):
        yield ""
        yield from table_of_nodes
    columns, ascii_only = layout.get("columns"), layout.get("ascii_only", False)
    asked = job.collection
    if said := list(remarks(job.nodes, asked=asked, columns=columns, ascii_only=ascii_only)):
        yield ""
        for text in said:
            yield paint(text, "partial") if text.startswith(GAP) and layout.get("colour") else text


def first_in_view(lines: Iterable[str], rows: int | None, columns: int | None) -> Iterator[str]:
    """The lines; on a terminal that cannot show all of them, the first once more at the end."""
    shown = list(lines)
    yield from shown
    if rows and columns:
        taken = sum(1 + max(0, len(text) - 1) // columns for text in shown)
        if taken >= rows:  # one row is for the shell's prompt
            yield ""
            yield shown[0]


# What a job does whose kind says all of it.
_DOES = {
    "discover": "asks a node which nodes its cluster has",
    "check": "looks whether a collection can be expected to work",
    "health": "looks whether the nodes are well",
}


def _heading(job: Job, now: datetime, *, colour: bool) -> Iterator[str]:
    status = paint(job.status, job.status) if colour else job.status
    yield f"job {visible(job.job_id)}: {status}, {tally(job)}"
    begun = f"created {local(job.created_at)}"
    if job.started_at is not None and job.status == "queued":
        begun += f", begun {local(job.started_at)} and queued again when the daemon had stopped"
    elif job.started_at is not None:
        verb = "took" if job.completed_at else "running for"
        begun += f", {verb} {took(job.started_at, job.completed_at, now, job.ran_before)}"
    yield begun
    if what := collected(job.collection):
        verb = "asks for the sizes of" if job.kind == "dry_run" else "collects"
        yield f"{verb} {visible(what)}"
        yield from _window(job)
        if job.collection.profile is not None and job.collection.paths:
            # --only and --path may have made others of them than the profile has
            yield f"paths {visible(', '.join(_first(job.collection.paths)))}"
    elif job.kind in _DOES:
        yield _DOES[job.kind]
    elif job.capture is not None:
        yield from capture.asked(job.capture)
    for command in job.commands or ():
        yield f"runs {visible(command)}"
    if whose := _whose(job):
        yield visible(whose)
    if job.collection.compress:
        yield packed(job)
    if job.files_deleted:
        yield f"files were deleted, or removed from {visible(job.directory)}"
    else:
        yield from on_disk(job)
    yield from unsaved(job)


def _whose(job: Job) -> str:
    """Returns `from berlin, by anna, as administrator; case=698123456`. An older daemon tells
    nothing of it.
    """
    if job.targets is None or job.owner is None:
        return ""
    first = job.nodes[0].node if job.nodes else None
    text = f"from {target(job.targets, first, len(job.nodes))}, by {user(job.owner)}"
    if job.asked_by is not None:
        text += f", asked by {job.asked_by}"
    if job.username is not None:
        text += f", as {job.username}"
    labels = ", ".join(f"{key}={value}" for key, value in sorted((job.labels or {}).items()))
    return f"{text}; {labels}" if labels else text


def target(targets: Sequence[str] | None, first_node: str | None, nodes: int) -> str:
    """What a job was started for: `berlin`, `cucm-pub and 8 more`."""
    if targets and len(targets) == 1:
        return targets[0]
    if first_node is None:
        return ""
    return f"{first_node} and {nodes - 1} more" if nodes > 1 else first_node


def user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def unsaved(job: Job) -> Iterator[str]:
    """A line that says why the shown state is old, if it is."""
    if job.unsaved is not None:
        yield f"later changes cannot be stored, and are not shown: {visible(job.unsaved)}"


def packed(job: Job) -> str:
    """What is in the archives: `packed by the nodes, from 27 files, 5.2 MB`."""
    files = sum(node.files_announced or 0 for node in job.nodes)
    whole = size(sum(node.bytes_announced or 0 for node in job.nodes))
    return "packed by the nodes" + (f", from {counting(files, 'file')}, {whole}" if files else "")


def collected(collection: Collection) -> str:
    """What a job collects: `cm/trace/ccm/sdl, last 2h`. Of many paths the first few.

    If there is no window it says so, because such a job may take hours.
    """
    parts = _first(collection.paths or ())
    if collection.profile is not None:
        parts = [f"profile {collection.profile}"]
    if collection.match is not None:
        parts.append(f"names that match {collection.match}")
    if collection.last is not None:
        parts.append(f"last {collection.last}")
    if collection.since is not None and collection.last is None:
        parts.append(f"since {local(datetime.fromisoformat(collection.since))}")
    if collection.until is not None and collection.last is None:
        parts.append(f"until {local(datetime.fromisoformat(collection.until))}")
    if parts and not (collection.last or collection.since or collection.until):
        parts.append("all of it (no window)")
    return ", ".join(parts)


def what(job: JobSummary) -> str:
    """What a job of its kind does: `callmanager, last 2h`, `show status`, `port 5060`.

    Without the word "profile", so that more of its name can be seen.
    """
    if job.capture is not None:
        return capture.packets_of(job.capture)
    commands = job.commands if job.kind in ("run", "follow") else None
    collection = job.collection or Collection()
    return "; ".join(commands or ()) or collected(collection).removeprefix("profile ")


def _first(paths: Sequence[str]) -> list[str]:
    more = len(paths) - PATHS_SHOWN
    return [*paths[:PATHS_SHOWN], *([f"{more} more paths"] if more > 0 else [])]


def _window(job: Job) -> Iterator[str]:
    if job.collection.since is not None:
        zones = {node.zone for node in job.nodes if node.zone is not None}
        zone = zones.pop() if len(zones) == 1 else None
        yield f"window  {window(job.collection.since, job.collection.until, zone)}"


def members(found: Found, **layout: Unpack[Layout]) -> Iterator[str]:
    """The nodes of a cluster, and the version of the one that was asked."""
    rows = [(one.node, one.name, one.role, one.product, one.address) for one in in_order(found)]
    headings = ("NODE", "NAME", "ROLE", "PRODUCT", "ADDRESS")
    yield from table(headings, rows, right="", **layout)
    if found.version is not None:
        yield f"version {visible(found.version)}"


def tally(job: Job, *, without: Sequence[str] = ()) -> str:
    """Returns `3 nodes: 2 succeeded, 1 failed`."""
    counts: dict[str, int] = {}
    for node in job.nodes:
        counts[node.status] = counts.get(node.status, 0) + 1
    order = ("succeeded", "running", "pending", "failed", "cancelled")
    shown = [status for status in order if status in counts and status not in without]
    parts = ", ".join(f"{counts[status]} {status}" for status in shown)
    total = counting(len(job.nodes), "node")
    return f"{total}: {parts}" if parts else total


def ending(job: Job, *, columns: int | None = None, ascii_only: bool = False) -> Iterator[str]:
    """Says how a job ended: a summary, then what is to be said of its nodes."""
    came = _came(job)
    yield f"job {visible(job.job_id)} {job.status}: {tally(job)}; {came}"
    asked = job.collection
    yield from remarks(job.nodes, asked=asked, columns=columns, ascii_only=ascii_only)


def _came(job: Job) -> str:
    if any(node.found for node in job.nodes):
        members = sum(len(node.found.members) for node in job.nodes if node.found)
        return f"{counting(members, 'node')} found"
    if job.kind == "dry_run":
        paths = [one for node in job.nodes if node.sizes for one in node.sizes.paths]
        whole = size(sum(one.bytes for one in paths))
        return f"{counting(sum(one.files for one in paths), 'file')}, {whole} would come"
    if job.kind == "check":
        return f"{counting(sum(bool(node.checked) for node in job.nodes), 'node')} checked"
    if job.kind == "health":
        of_all = [len(node.health.findings) for node in job.nodes if node.health]
        return f"{counting(sum(of_all), 'finding')} of {counting(len(of_all), 'node')}"
    files = sum(node.files_received for node in job.nodes)
    received = size(sum(node.bytes_received for node in job.nodes))
    came = f"{counting(files, 'file')}, {received}"
    if wrong := _not_good(job):
        came += f", {counting(wrong, 'finding')} of health not good"
    return came if job.capture is None else f"{came}, {capture.counted(job)}"


def _not_good(job: Job) -> int:
    """Returns how much is not good that a snapshot has found: `status` shows it."""
    looked = [(node.node, node.health) for node in job.nodes]
    found = [one for _, health in looked if health for one in health.findings]
    return sum(one.state != GOOD for one in (*found, *(one for _, one in among(looked))))


def where(job: Job) -> Iterator[str]:
    """Says where the files of a job are that has ended, and what can be done next."""
    yield from on_disk(job)
    yield from next_commands(job)


def on_disk(job: Job) -> Iterator[str]:
    """Says where its files are; nothing for somebody who cannot open them there."""
    readable = True
    try:
        os.stat(job.directory)
        readable = os.access(job.directory, os.R_OK | os.X_OK, effective_ids=True)
    except PermissionError:
        readable = False
    except (OSError, ValueError):  # it is not there, as of a daemon on another host
        pass
    if readable:
        yield f"files in {visible(job.directory)}"


def next_commands(job: Job) -> Iterator[str]:
    """What can be done next: the others once more, and what has come can be handed on."""
    if job.status in ("failed", "partial"):
        which = "the others" if job.status == "partial" else "it"
        yield f"to try {which} again: cucmctl retry {visible(job.job_id)}"
    if any(node.files_received for node in job.nodes):
        yield f"to hand them on: cucmctl export {visible(job.job_id)}"


def summary(job: Job) -> JobSummary:
    """Returns the summary of a job, as in a list of jobs."""
    ended = [node for node in job.nodes if node.status in NODE_ENDED]
    return JobSummary(
        job_id=job.job_id,
        status=job.status,
        created_at=job.created_at,
        completed_at=job.completed_at,
        nodes_total=len(job.nodes),
        nodes_done=len(ended),
        nodes_failed=sum(node.status == "failed" for node in job.nodes),
        bytes_received=sum(node.bytes_received for node in job.nodes),
        nodes_succeeded=sum(node.status == "succeeded" for node in job.nodes),
        started_at=job.started_at,
        owner=job.owner,
        targets=job.targets,
        first_node=job.nodes[0].node if job.nodes else None,
        collection=job.collection,
        labels=job.labels,
        kind=job.kind,
        ran_before=job.ran_before,
        commands=job.commands,
        capture=job.capture,
    )
