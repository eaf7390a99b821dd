"""Shows what a dry run has found, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Unpack

from cucmctl.cli.printer import Layout, visible
from cucmctl.text import render
from cucmctl.text.collect import CollectText
from cucmctl.text.remarks import wrapped
from cucmctl.text.table import table
from cucmd.job.collect import PathSize, Sizes
from cucmd.protocol.jobs import Job, Node


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
    rows = [row for node in job.nodes for row in _sizes_of(node, several=len(job.nodes) > 1)]
    files, whole = sum(one.files for one in paths), sum(one.bytes for one in paths)
    rows.append(("total", "", str(files), render.size(whole), _in_words(estimated(job))))
    count = 4 if all(found.seconds is None for _, found in known) else 5
    headings = ("NODE", "PATH", "FILES", "SIZE", "TIME")[:count]
    shown = [row[:count] for row in rows]
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


def _sizes_of(node: Node, *, several: bool) -> Iterator[tuple[str, ...]]:
    """Yields the rows of a node: each path, and their sum if there are several nodes and paths."""
    if node.sizes is None:
        why = node.failure.code if node.failure else node.status
        yield node.node, f"({why})", "-", "-", _in_words(None)
        return
    paths = node.sizes.paths
    for one in paths:
        yield node.node, one.path, str(one.files), render.size(one.bytes), _time_of(one, node.sizes)
    if several and len(paths) > 1:
        files = str(sum(one.files for one in paths))
        yield (
            node.node,
            "(all)",
            files,
            render.size(node.sizes.bytes),
            _in_words(node.sizes.seconds),
        )


def _time_of(path: PathSize, found: Sizes) -> str:
    """Returns the share of a path in the time of its node."""
    whole = sum(one.bytes for one in found.paths)
    return _in_words(found.seconds and found.seconds * path.bytes / whole)


def _in_words(seconds: float | None) -> str:
    return "unknown" if seconds is None else render.duration(seconds)
