"""Shows the sizes that a dry run has found, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Unpack

from cucmctl.cli.printer import Layout
from cucmctl.text import render
from cucmctl.text.collect_text import CollectText
from cucmctl.text.kind_text import Part, Table, lines_of
from cucmd.job.collect import missing_room
from cucmd.protocol.jobs import Job


class DryRunText(CollectText):
    """The text of dry runs."""

    verb: ClassVar[str] = "asks for the sizes of"

    def parts(self, job: Job) -> Iterator[Part]:
        return sizes(job)

    def findings(self, job: Job, **layout: Unpack[Layout]) -> Iterator[str]:
        return lines_of(self.parts(job), **layout)

    def result(self, job: Job, files: str) -> str:
        paths = [path for node in job.nodes if node.sizes for path in node.sizes.paths]
        whole = render.size(sum(path.bytes for path in paths))
        return f"{render.count_of(sum(path.files for path in paths), 'file')}, {whole} would come"


TEXT = DryRunText()


def sizes(job: Job) -> Iterator[Part]:
    """Yields a row for each node and path, the sum of each node, the total, and whether it fits.

    Nodes without a result are listed too.
    """
    known = [(node.full_name, node.sizes) for node in job.nodes if node.sizes is not None]
    paths = [path for _, found in known for path in found.paths]
    if not paths:
        return
    rows: list[tuple[str, ...]] = []
    for node in job.nodes:
        sizes = node.sizes
        if sizes is None:
            why = node.failure.code if node.failure else node.status
            rows.append((node.full_name, f"({why})", "-", "-"))
            continue
        rows += [
            (node.full_name, path.path, str(path.files), render.size(path.bytes))
            for path in sizes.paths
        ]
        if len(job.nodes) > 1 and len(sizes.paths) > 1:
            count = str(sum(path.files for path in sizes.paths))
            rows.append((node.full_name, "(all)", count, render.size(sizes.bytes)))
    files, whole = sum(path.files for path in paths), sum(path.bytes for path in paths)
    rows.append(("total", "", str(files), render.size(whole)))
    yield Table(("NODE", "PATH", "FILES", "SIZE"), rows, right="FILES SIZE")
    for name, found in known:
        if found.why is not None:
            verdict = "does not fit" if found.fits is False else "may not fit"
            yield f"{name} {verdict}: {found.why}"
    if missing := missing_room([found for _, found in known]):
        before = " before compression" if job.collection.compress else ""
        more, room = render.size(missing), render.size(whole - missing)
        if reserved := max(found.reserved or 0 for _, found in known):
            room += f", besides the reserve of {render.size(reserved)}"
        yield f"the total{before} is {more} more than the disk has room for ({room})"
    elif all(found.fits for _, found in known):
        if unknown := len(job.nodes) - len(known):
            nodes = render.count_of(unknown, "node")
            yield f"the known sizes fit disk and quotas; the sizes of {nodes} are unknown"
        else:
            yield "each node fits disk and quotas"
