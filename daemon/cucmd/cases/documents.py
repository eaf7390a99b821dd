"""PURE. The documents beside the files of a case: summary.txt, SHA256SUMS, manifest.json.

They are made of pieces, so that none is in memory as a whole but the summary, and the same job
gives the same bytes each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from cucmd.cases.files import folder, name_of
from cucmd.job.collect import Collect
from cucmd.job.job import Job, JobEnded
from cucmd.job.kind import Result, utc
from cucmd.job.node import Cancelled, Node
from cucmd.job.work import Work
from cucmd.received_file import ReceivedFile

_encode = msgspec.json.Encoder().encode


class Figures(msgspec.Struct):
    """What is exported of one node. `left_out`: files that are not complete."""

    files: int = 0
    size: int = 0
    left_out: int = 0


# SHA256SUMS


def checksum_line(file: ReceivedFile, name: str) -> bytes:
    """As `sha256sum` writes it: a name with a backslash or a line break is escaped, and marked."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != name else ""
    return f"{mark}{file.sha256}  {escaped}\n".encode("utf-8", "surrogateescape")


# manifest.json


class ManifestFile(msgspec.Struct, frozen=True):
    node: str
    path: str
    size: int
    sha256: str
    complete: bool
    attempt: int
    modified: datetime | None


class _ManifestNode(msgspec.Struct, frozen=True):
    node: str
    status: str
    started_at: datetime | None
    completed_at: datetime | None
    failure: str | None
    message: str | None
    notes: tuple[str, ...]
    coverage: str | None
    files: int
    bytes: int
    result: Result | None


class _ManifestJob(msgspec.Struct, frozen=True):
    job_id: str
    status: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    targets: tuple[str, ...]
    labels: dict[str, str]
    work: Work
    nodes: tuple[_ManifestNode, ...]


def manifest_beginning(job: Job, figures: dict[str, Figures]) -> bytes:
    nodes = tuple(
        _manifest_node(job, node, figures[node.node]) for node in job.nodes if node.node in figures
    )
    head = _ManifestJob(
        job.job_id,
        job.status,
        job.created_at,
        job.started_at,
        _completed_at(job),
        job.targets,
        job.labels,
        job.work,
        nodes,
    )
    return b'{"job":' + _encode(head) + b',"files":['


def _manifest_node(job: Job, node: Node, figures: Figures) -> _ManifestNode:
    failed = job.failure_of(node)
    return _ManifestNode(
        node.node,
        node.status,
        node.state.started_at,
        getattr(node.state, "completed_at", None),
        failed.code.value if failed else None,
        failed.message if failed else None,
        node.notes,
        node.coverage or None,
        figures.files,
        figures.size,
        node.result,
    )


def manifest_files(files: Sequence[tuple[ReceivedFile, Node]], *, first: bool) -> bytes:
    """A piece of the list of files. `first`: no piece with a file came before it."""
    lines = b",\n".join(_encode(_manifest_file(file, node)) for file, node in files)
    return (b"\n" if first else b",\n") + lines if lines else b""


MANIFEST_END = b"\n]}\n"


def _manifest_file(file: ReceivedFile, node: Node) -> ManifestFile:
    return ManifestFile(
        file.node,
        shown(f"{folder(node)}/{name_of(file, node)}"),
        file.size,
        file.sha256,
        file.complete,
        file.attempt,
        moment(file.modified),
    )


def moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def shown(path: str) -> str:
    """A path as text of UTF-8, which a path on disk need not be."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


# summary.txt


def summary(job: Job, figures: dict[str, Figures]) -> bytes:
    """What a person at the vendor reads first."""
    return ("\n".join(_summary_lines(job, figures)) + "\n").encode("utf-8", "backslashreplace")


def _summary_lines(job: Job, figures: dict[str, Figures]) -> Iterator[str]:
    yield f"{job.work.title} by cucmd, job {job.job_id}: {job.status}"
    yield ""
    for name, value in _facts(job):
        yield f"{name + ':':<12}{value}"
    left_out = sum(one.left_out for one in figures.values())
    if left_out:
        yield ""
        yield f"{left_out} files did not come completely and are left out of this archive."
    yield ""
    rows = [("NODE", "STATUS", "FILES", "BYTES")]
    nodes = [node for node in job.nodes if node.node in figures]
    rows += [
        (node.node, node.status, str(figures[node.node].files), f"{figures[node.node].size:,}")
        for node in nodes
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, status, count, size in rows:
        yield (
            f"{name:<{widths[0]}}  {status:<{widths[1]}}  {count:>{widths[2]}}  {size:>{widths[3]}}"
        )
    if isinstance(job.work, Collect) and any(node.coverage is None for node in nodes):
        yield ""
        yield "What the files cover of the window had not been looked at when this was made."
    remarks = [line for node in nodes for line in _remarks(job, node, figures[node.node])]
    if remarks:
        yield ""
        yield from remarks
    yield ""
    yield "SHA256SUMS has the checksums of the files: sha256sum -c SHA256SUMS"


def _facts(job: Job) -> Iterator[tuple[str, str]]:
    if job.targets:
        yield "Targets", ", ".join(job.targets)
    yield from sorted(job.labels.items())
    yield from job.work.facts(job.created_at)
    yield "Started", utc(job.started_at)
    yield "Ended", utc(_completed_at(job))


def _remarks(job: Job, node: Node, figures: Figures) -> Iterator[str]:
    if (failed := job.failure_of(node)) is not None:
        yield f"{node.node}: {failed.code.value}: {failed.message}"
    if node.coverage:
        yield f"{node.node}: {node.coverage}"
    for line in node.result.lines() if node.result is not None else ():
        yield f"{node.node}: {line}"
    if isinstance(node.state, Cancelled):  # else its failure or its notes have them
        for name in node.may_run:
            yield f"{node.node}: a capture may still run there, into platform/cli/{name}.cap"
    for note in node.notes:
        yield f"{node.node}: note: {note}"
    if figures.left_out:
        yield f"{node.node}: {figures.left_out} files did not come completely"


def _completed_at(job: Job) -> datetime | None:
    return job.state.completed_at if isinstance(job.state, JobEnded) else None
