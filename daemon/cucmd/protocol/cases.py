"""Declares the requests and replies about what a job has collected, up to its deletion."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from cucmd.job.request import Request
from cucmd.protocol.jobs import JobSummary


class CommandOutput(Struct, frozen=True):
    """Holds a piece of what a command has printed on a node. number is the number of the command in
    its job, from 1. ended: this is the last piece. complete: the command came to its end on the
    node. If the daemon can parse the output of this command, the last piece has the field parsed,
    with the fields of the whole output. Lines that the parser does not know are in others, a field
    of parsed. If this output cannot be parsed, the field unparsed says why.
    """

    node: str
    number: int
    command: str
    text: str
    ended: bool
    complete: bool
    parsed: dict[str, Any] | None = None
    unparsed: str | None = None


class OutputRequest(Request, frozen=True):
    """Show what the finished commands of a job have printed on its nodes, or on some of them, with
    secrets masked. Needs "more". Each reply has the next piece of an output; the last reply has
    none. A node need not have ended: its files_received and bytes_received grow with each output
    that can be shown. If several attempts have kept the output of a command, the output is that of
    the last attempt in which the command came to its end, or else that of the last attempt. With
    follow, the output of nodes that have not ended is sent as it is printed, until they end. Pieces
    of several nodes are mixed then, and have no parsed.
    """

    job_id: str
    nodes: tuple[str, ...] | None = None
    follow: bool | None = None


class OutputReply(Struct, frozen=True):
    output: CommandOutput | None = None


class File(Struct, frozen=True):
    """Describes one received file. path is the name that the node gave it, or
    output/NNN-COMMAND.txt for the output of a command (output/NNN-COMMAND.attempt-N.txt once the
    node was retried, where N is the first attempt of that retry). In an export it is below a folder
    for the node. exported: an export contains the file, since it is complete and belongs to the
    attempt that succeeded. modified is the time stamp that the node gave it.
    """

    node: str
    path: str
    size: int
    complete: bool
    exported: bool
    sha256: str | None = None
    attempt: int | None = None
    modified: datetime | None = None


class FilesRequest(Request, frozen=True):
    """List the files of a job, or of some of its nodes. Needs "more"; each reply has the next
    files. If the job is deleted between two replies, the last reply is an error, as it is for
    Output and Transcript.
    """

    job_id: str
    nodes: tuple[str, ...] | None = None


class FilesReply(Struct, frozen=True):
    files: tuple[File, ...]


class ExportRequest(Request, frozen=True):
    """Export all files of a closed job, with transcripts, checksums, a manifest and a summary.
    Needs "upgrade": after the reply the daemon sends a tar of length bytes, and closes the
    connection. A client that takes fewer than 64 KiB in a minute is cut off. If incomplete is true,
    files that did not arrive completely are exported too. Otherwise left_out is the number of these
    files. after is the name of a file in the tar: only what follows that file is sent, so that an
    export that was cut off can go on. A file that is missing or has another size is left out, and
    so is a file that Verify or an earlier export found to be damaged. The summary names them,
    damaged is how many there are, and wrong has the first 20. The client should compare the files
    with SHA256SUMS. If some differ, it exports again and names them in suspect: the daemon reads
    them again before it replies. name is how a file made from the export should be called, without
    a suffix: case-698123456 for a job with the label case, otherwise cucmd- and the id of the job.
    While an operator exports a job, it cannot be deleted or retried. A deletion or a retry ends an
    export by a user who is not an operator.
    """

    job_id: str
    nodes: tuple[str, ...] | None = None
    incomplete: bool | None = None
    after: str | None = None
    suspect: tuple[str, ...] | None = None


class ExportReply(Struct, frozen=True):
    job_id: str
    name: str
    length: int
    files: int
    bytes: int
    left_out: int
    damaged: int | None = None
    wrong: tuple[WrongFile, ...] | None = None


class WrongFile(Struct, frozen=True):
    """Names a file that is missing or no longer has the content that was received. name is that of
    its node, as in Node.
    """

    node: str
    path: str
    reason: str
    name: str | None = None


class VerifyRequest(Request, frozen=True):
    """Read every complete file of a closed job and compare it with its checksum. Needs "more".
    Later exports leave out files that differ. Each reply has the number of files and bytes read so
    far, and the wrong files that were found since the last reply. A reply has to be read within 60
    s, since only one job is verified at a time and others wait.
    """

    job_id: str
    nodes: tuple[str, ...] | None = None


class VerifyReply(Struct, frozen=True):
    files: int
    bytes: int
    wrong: tuple[WrongFile, ...]


class TranscriptRequest(Request, frozen=True):
    """Show the dialogue with a node, with secrets masked. Needs "more". With follow it goes on
    until the node ends.
    """

    job_id: str
    node: str
    follow: bool | None = None


class TranscriptReply(Struct, frozen=True):
    text: str


class DeleteRequest(Request, frozen=True):
    """Delete a closed job with everything that it has collected. With files_only the record of the
    job stays. bytes is the size of the deleted files. A job that an operator exports or verifies,
    or that is being retried, cannot be deleted; Prune skips it. A deletion that has begun is
    finished, even if the caller goes away or the daemon stops.
    """

    job_id: str
    files_only: bool | None = None


class DeleteReply(Struct, frozen=True):
    job: JobSummary
    bytes: int


class PruneRequest(Request, frozen=True):
    """Delete the closed jobs that meet all conditions that are set; at least one has to be set.
    They ended longer ago than older_than ("30d"). At least keep newer jobs with these labels
    remain. Their files have more bytes than larger_than. They have all of the labels. Jobs with the
    label keep are never deleted. With dry_run nothing is deleted, and the reply has the jobs that
    would be deleted. Jobs that somebody reads are skipped, and are not in the reply. jobs has the
    first 1000 deleted jobs, more is the number of the others, and bytes is the size of all.
    """

    older_than: str | None = None
    keep: int | None = None
    larger_than: int | None = None
    labels: dict[str, str] | None = None
    dry_run: bool | None = None


class PruneReply(Struct, frozen=True):
    jobs: tuple[JobSummary, ...]
    bytes: int
    more: int | None = None
