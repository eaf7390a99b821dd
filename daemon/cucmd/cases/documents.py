"""PURE. Makes the documents beside the files of a case: summary.txt, SHA256SUMS, manifest.json.

They are made of pieces, so that none is in memory as a whole but the summary, and the same job
gives the same bytes each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from cucmd.cases.files import folder, name_of
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.kind import format_utc
from cucmd.job.node import Cancelled, Node
from cucmd.received_file import ReceivedFile

_encode = msgspec.json.Encoder().encode


class ExportedNode(msgspec.Struct):
    """Says what is exported of one node. `left_out`: files that are not complete. `damaged`: those
    that are not as they were received, by path, with what is wrong; they are left out too.
    `renamed`: how the node has named a file, and how it is named here.
    """

    files: int = 0
    size: int = 0
    left_out: int = 0
    damaged: dict[str, str] = msgspec.field(default_factory=dict)
    renamed: list[tuple[str, str]] = []


# SHA256SUMS


def checksum_line(file: ReceivedFile, name: str) -> bytes:
    """Writes a line as `sha256sum` does. `name`: that in the archive, with nothing that is to be
    escaped.
    """
    return f"{file.sha256}  {name}\n".encode()


# manifest.json


def manifest_beginning(job: Job, figures: dict[str, ExportedNode]) -> bytes:
    nodes = []
    for node in job.nodes:
        if node.node not in figures:
            continue
        failed, exported = job.failure_of(node), figures[node.node]
        nodes.append(
            {
                "node": node.node,
                "status": node.status,
                "started_at": node.state.started_at,
                "completed_at": getattr(node.state, "completed_at", None),
                "failure": failed.code if failed else None,
                "message": failed.message if failed else None,
                "earlier": node.earlier,
                "notes": node.notes,
                "coverage": node.coverage or None,
                "files": exported.files,
                "bytes": exported.size,
                "result": node.result,
            }
        )
    head = {
        "job_id": job.job_id,
        "status": job.status,
        "created_at": job.created_at,
        "started_at": job.first_started_at or job.started_at,
        "completed_at": job.completed_at,
        "targets": job.targets,
        "labels": job.labels,
        "work": job.work,
        "nodes": nodes,
    }
    return b'{"job":' + _encode(head) + b',"files":['


def manifest_files(files: Sequence[tuple[ReceivedFile, Node, str]], *, first: bool) -> bytes:
    """Returns a piece of the list of files, each with its name in the archive. `first`: no piece
    with a file came before it.
    """
    lines = []
    for file, node, name in files:
        path = shown(f"{folder(node)}/{name_of(file, node)}")
        of_file = {
            "node": file.node,
            "path": path,
            **({} if path == name else {"exported_as": name}),
            "size": file.size,
            "sha256": file.sha256,
            "complete": file.complete,
            "attempt": file.attempt,
            "modified": moment(file.modified),
        }
        lines.append(_encode(of_file))
    return (b"\n" if first else b",\n") + b",\n".join(lines) if lines else b""


MANIFEST_END = b"\n]}\n"


def moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def shown(path: str) -> str:
    """Returns a path as text of UTF-8, which a path on disk need not be."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


# summary.txt


def summary(job: Job, figures: dict[str, ExportedNode]) -> bytes:
    """Returns what a person at the vendor reads first."""
    return ("\n".join(_summary_lines(job, figures)) + "\n").encode("utf-8", "backslashreplace")


def _summary_lines(job: Job, figures: dict[str, ExportedNode]) -> Iterator[str]:
    yield f"{job.work.title} by cucmd, job {job.job_id}: {job.status}"
    yield ""
    facts = [("Targets", ", ".join(job.targets))] if job.targets else []
    facts += [*sorted(job.labels.items()), *job.work.request_facts(job.created_at)]
    facts.append(("Started", format_utc(job.first_started_at or job.started_at)))
    facts.append(("Ended", format_utc(job.completed_at)))
    for name, value in facts:
        yield f"{name + ':':<12}{value}"
    left_out = sum(one.left_out for one in figures.values())
    if left_out:
        yield ""
        yield f"{_counted(left_out)} left out of this archive: not complete."
    if damaged := sum(len(one.damaged) for one in figures.values()):
        yield ""
        yield f"{_counted(damaged)} left out of this archive: not as received."
    if renamed := [names for one in figures.values() for names in one.renamed]:
        yield ""
        yield f"{_counted(len(renamed))} renamed, so that any system can unpack all: %XX is a byte."
        for given, name in renamed:
            yield f"  {given!r} is {name}"
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
    results = [(node.node, node.result) for node in job.nodes]
    remarks += [f"{name}: {line}" for name, line in job.work.compare_nodes(results)]
    if remarks:
        yield ""
        yield from remarks
    yield ""
    yield "SHA256SUMS has the checksums of the files: sha256sum -c SHA256SUMS"


def _remarks(job: Job, node: Node, figures: ExportedNode) -> Iterator[str]:
    if (failed := job.failure_of(node)) is not None:
        yield f"{node.node}: {failed.code}: {failed.message}"
    for one in node.earlier:
        phase = f" in phase {one.phase}" if one.phase else ""
        said = f"{one.failure}: {one.message}" if one.failure else "cancelled"
        ended = f"attempt {one.attempt} ended{phase} at {format_utc(one.completed_at)}"
        yield f"{node.node}: {ended}: {said}"
    if node.coverage:
        yield f"{node.node}: {node.coverage}"
    for line in node.result.summary_lines() if node.result is not None else ():
        yield f"{node.node}: {line}"
    if isinstance(node.state, Cancelled):  # else its failure or its notes have them
        for line in job.work.lines_if_cancelled(node.may_run):
            yield f"{node.node}: {line}"
    for note in node.notes:
        yield f"{node.node}: note: {note}"
    if figures.left_out:
        yield f"{node.node}: {_counted(figures.left_out)} did not come completely"
    for path, wrong in figures.damaged.items():
        yield f"{node.node}: {path} {wrong}"


def _counted(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"
