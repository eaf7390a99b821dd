"""PURE. Makes the documents beside the files of a case: summary.txt, SHA256SUMS, manifest.json.

All but the summary are made in pieces, so that they are never in memory as a whole. The same job
gives the same bytes each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from cucmd.cases.files import export_folder, name_on_node, node_folder
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.kind import format_utc
from cucmd.job.node import Cancelled, Node, with_names
from cucmd.received_file import ReceivedFile

_encode = msgspec.json.Encoder().encode


class ExportedNode(msgspec.Struct):
    """Counts the exported files of one node.

    left_out: how many files are left out because they are incomplete. incomplete: how many of the
    exported files are incomplete. damaged: what is wrong with files that are left out because they
    are not as they were received, by path. renamed: files that have another name in the export:
    (name on the node, name in the export).
    """

    files: int = 0
    size: int = 0
    left_out: int = 0
    incomplete: int = 0
    damaged: dict[str, str] = msgspec.field(default_factory=dict)
    renamed: list[tuple[str, str]] = []


# SHA256SUMS


def checksum_line(file: ReceivedFile, name: str) -> bytes:
    """Returns a line as `sha256sum` writes it, or nothing if the checksum of the file is not known.

    name: the name in the archive, which has no character that would have to be escaped.
    """
    return f"{file.sha256}  {name}\n".encode() if file.sha256 else b""


# manifest.json


def manifest_beginning(job: Job, figures: dict[str, ExportedNode]) -> bytes:
    """Returns the beginning of the manifest: the job and its nodes. figures: by node name."""
    nodes = []
    for node in job.nodes:
        if node.node not in figures:
            continue
        failed, exported = job.failure_of(node), figures[node.node]
        nodes.append(
            {
                "node": node.node,
                "name": node.name,
                "role": node.role,
                "product": node.product,
                "version": _version(node),
                "status": node.status,
                "started_at": node.state.started_at,
                "completed_at": getattr(node.state, "completed_at", None),
                "failure": failed.code if failed else None,
                "message": failed.message if failed else None,
                "earlier": node.earlier,
                "notes": node.notes,
                "coverage": node.coverage or None,
                "gaps": node.gaps,
                "logs": node.logs,
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
    """Returns a piece of the list of files, each with its name in the archive.

    first: whether no file came before this piece.
    """
    lines = []
    for file, node, name in files:
        path = printable_path(f"{export_folder(node)}/{name_on_node(file.path, node)}")
        of_file = {
            "node": file.node,
            "path": path,
            **({} if path == name else {"exported_as": name}),
            "size": file.size,
            "sha256": file.sha256,
            "complete": file.complete,
            "attempt": file.attempt,
            "modified": utc_from_seconds(file.modified),
        }
        lines.append(_encode(of_file))
    return (b"\n" if first else b",\n") + b",\n".join(lines) if lines else b""


MANIFEST_END = b"\n]}\n"


def utc_from_seconds(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def printable_path(path: str) -> str:
    """Returns a path as valid UTF-8, which a path on disk need not be."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


# summary.txt


def summary(job: Job, figures: dict[str, ExportedNode]) -> bytes:
    """Returns summary.txt, which a person at the vendor reads first."""
    lines = [f"{job.work.title} by cucmd, job {job.job_id}: {job.status}", ""]
    facts = [("Targets", ", ".join(job.targets))] if job.targets else []
    facts += [*sorted(job.labels.items()), *job.work.request_facts(job.created_at)]
    facts.append(("Started", format_utc(job.first_started_at or job.started_at)))
    facts.append(("Ended", format_utc(job.completed_at)))
    lines += [f"{name + ':':<12}{value}" for name, value in facts]
    if left_out := sum(exported.left_out for exported in figures.values()):
        lines += ["", f"{_number_of_files(left_out)} left out of this archive: not complete."]
    if incomplete := sum(exported.incomplete for exported in figures.values()):
        which = "not complete; manifest.json says which."
        lines += ["", f"{_number_of_files(incomplete)} of this archive: {which}"]
    if damaged := sum(len(exported.damaged) for exported in figures.values()):
        lines += ["", f"{_number_of_files(damaged)} left out of this archive: not as received."]
    if renamed := [names for exported in figures.values() for names in exported.renamed]:
        why = "renamed, so that any system can unpack all: %XX is a byte."
        lines += ["", f"{_number_of_files(len(renamed))} {why}"]
        lines += [f"  {given!r} is {name}" for given, name in renamed]
    nodes = [node for node in job.nodes if node.node in figures]
    lines += ["", *_table(nodes, figures)]
    if isinstance(job.work, Collect) and any(node.coverage is None for node in nodes):
        not_read = "What the files cover of the window had not been looked at when this was made."
        lines += ["", not_read]
    results = [(node.node, node.result) for node in job.nodes]
    names = {node.node: node.short_name for node in job.nodes}
    remarks = [line for node in nodes for line in _remarks(job, node, figures[node.node], names)]
    remarks += [f"{names[node]}: {line}" for node, line in job.work.compare_nodes(results)]
    if remarks:
        lines += ["", *remarks]
    lines += ["", "SHA256SUMS has the checksums of the files: sha256sum -c SHA256SUMS", ""]
    return "\n".join(lines).encode("utf-8", "backslashreplace")


def _table(nodes: Sequence[Node], figures: dict[str, ExportedNode]) -> Iterator[str]:
    """Yields a line for each node. What is not known of any node has no column."""
    rows = [("NODE", "ADDRESS", "ROLE", "PRODUCT", "VERSION", "STATUS", "FILES", "BYTES")]
    for node in nodes:
        address, exported = node.node if node.name else "", figures[node.node]
        about = node.role or "", node.product or "", _version(node) or ""
        counts = str(exported.files), f"{exported.size:,}"
        rows.append((node.short_name, address, *about, node.status, *counts))
    columns = []
    for column in zip(*rows, strict=True):
        if any(column[1:]):
            width = max(map(len, column))
            align = str.rjust if column[0] in ("FILES", "BYTES") else str.ljust
            columns.append([align(cell, width) for cell in column])
    return ("  ".join(row) for row in zip(*columns, strict=True))


def _version(node: Node) -> str | None:
    """Returns the version of the node, as the node itself has said it, or else its cluster."""
    version: str | None = getattr(node.result, "version", None)
    return version or node.version


def _remarks(
    job: Job, node: Node, figures: ExportedNode, names: Mapping[str, str]
) -> Iterator[str]:
    """Yields lines about a node. names: the short names of all nodes, by node."""
    others = {**names, node.node: node.node}  # its own name begins each line
    if node.named_at is not None:
        known = f"this name became known at {format_utc(node.named_at)}"
        yield f"{node.short_name}: {known}; in earlier exports the folder is {node_folder(node)}"
    if (failed := job.failure_of(node)) is not None:
        yield f"{node.short_name}: {failed.code}: {with_names(failed.message, others)}"
    for attempt in node.earlier:
        phase = f" in phase {attempt.phase}" if attempt.phase else ""
        outcome = f"{attempt.failure}: {attempt.message}" if attempt.failure else "cancelled"
        ended = f"attempt {attempt.attempt} ended{phase} at {format_utc(attempt.completed_at)}"
        yield f"{node.short_name}: {ended}: {outcome}"
    if node.coverage:
        yield f"{node.short_name}: {node.coverage}"
    for line in node.result.summary_lines() if node.result is not None else ():
        yield f"{node.short_name}: {line}"
    if isinstance(node.state, Cancelled):  # otherwise its failure or its notes say so
        for line in job.work.lines_if_cancelled(node.may_run):
            yield f"{node.short_name}: {line}"
    for note in node.notes:
        yield f"{node.short_name}: note: {with_names(note, others)}"
    if cut := figures.left_out + figures.incomplete:
        yield f"{node.short_name}: {_number_of_files(cut)} did not come completely"
    for path, wrong in figures.damaged.items():
        yield f"{node.short_name}: {path} {wrong}"


def _number_of_files(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"
