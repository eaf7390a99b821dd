"""Shows what a dry run has found, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Unpack

from cucmctl.cli.printer import Layout, visible
from cucmctl.text import render
from cucmctl.text.collect import CollectText
from cucmctl.text.remarks import wrapped
from cucmctl.text.table import table
from cucmd.protocol.jobs import Job


class DryRunText(CollectText):
    verb: ClassVar[str] = "asks for the sizes of"

    def found(self, job: Job, **layout: Unpack[Layout]) -> Iterator[str]:
        return sizes(job, **layout)

    def came(self, job: Job, files: str) -> str:
        paths = [one for node in job.nodes if node.sizes for one in node.sizes.paths]
        whole = render.size(sum(one.bytes for one in paths))
        return f"{render.counting(sum(one.files for one in paths), 'file')}, {whole} would come"


TEXT = DryRunText()


def sizes(job: Job, **layout: Unpack[Layout]) -> Iterator[str]:
    """Yields what a dry run has found: a line a node and path, the sum of each node, the total, and
    whether it fits. A node of which nothing is known is there, too.

    With the times, where they are known of a node: that of the total is less than their sum, since
    nodes send at once.
    """
    known = [(node.node, node.sizes) for node in job.nodes if node.sizes is not None]
    paths = [one for _, found in known for one in found.paths]
    if not paths:
        return
    rows: list[tuple[str, ...]] = []
    for node in job.nodes:
        sizes = node.sizes
        if sizes is None:
            why = node.failure.code if node.failure else node.status
            rows.append((node.node, f"({why})", "-", "-", _in_words(None)))
            continue
        of_node = sum(one.bytes for one in sizes.paths)
        for one in sizes.paths:  # each has its share of the time
            seconds = sizes.seconds and sizes.seconds * one.bytes / of_node
            size = render.size(one.bytes)
            rows.append((node.node, one.path, str(one.files), size, _in_words(seconds)))
        if len(job.nodes) > 1 and len(sizes.paths) > 1:
            size, seconds = render.size(sizes.bytes), sizes.seconds
            count = str(sum(one.files for one in sizes.paths))
            rows.append((node.node, "(all)", count, size, _in_words(seconds)))
    files, whole = sum(one.files for one in paths), sum(one.bytes for one in paths)
    rows.append(("total", "", str(files), render.size(whole), _in_words(estimated(job))))
    columns = 4 if all(found.seconds is None for _, found in known) else 5
    headings = ("NODE", "PATH", "FILES", "SIZE", "TIME")[:columns]
    shown = [row[:columns] for row in rows]
    yield from table(headings, shown, right="FILES SIZE TIME", **layout)
    for name, found in known:
        if found.why is not None:
            said = "does not fit" if found.fits is False else "may not fit"
            yield from wrapped(visible(f"{name} {said}: {found.why}"), layout.get("columns"))
    room = min((found.room for _, found in known if found.room is not None), default=None)
    if room is not None and whole > room:
        before = " before compression" if job.collection.compress else ""
        more = render.size(whole - room)
        yield f"all of it{before} is {more} more than the disk has room for ({render.size(room)})"
    elif all(found.fits for _, found in known):
        if unknown := len(job.nodes) - len(known):
            nodes = render.counting(unknown, "node")
            yield f"what is known fits disk and quotas; of {nodes} nothing is known"
        else:
            yield "each node fits disk and quotas"


def estimated(job: Job) -> float | None:
    """Returns the seconds for all that a dry run has found, with as many nodes at once as the job
    has: None if it is not known of one of them.
    """
    free_at = [0.0] * (job.concurrency or len(job.nodes))
    for node in job.nodes:
        if node.sizes is None:
            continue
        if node.sizes.seconds is None:
            return None
        first = free_at.index(min(free_at))
        free_at[first] += node.sizes.seconds
    return max(free_at)


def _in_words(seconds: float | None) -> str:
    return "unknown" if seconds is None else render.duration(seconds)
