"""Declares what travels about what a job has collected: files, output, exports, and their end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from cucmd.job.request import Request
from cucmd.protocol.jobs import JobSummary


class CommandOutput(Struct, frozen=True):
    """Holds a piece of what a command has printed on a node. number is that of the command in its
    job, from 1. ended: it was the last piece. complete: the command has come to its end on the
    node. parsed has the fields that were read of it, with the last piece, where the daemon can read
    such an answer: lines in no known form are in its field others. unparsed says why there is no
    parsed where such an answer can be read, and this one was not.
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
    """Show what the commands of a job that have ended have printed on its nodes, or on some of
    them; secrets masked. A node need not have ended: files_received and bytes_received of one that
    runs commands grow with each output that can be had. Needs "more". Each reply has the next piece
    of an output; the last has none. Where several attempts have kept the output of a command, it is
    that of the last one in which the command came to its end, or else that of the last attempt.
    With follow the pieces of nodes that have not ended come as they are printed, those of several
    nodes among each other and without parsed, until these nodes have ended.
    """

    job_id: str
    nodes: tuple[str, ...] | None = None
    follow: bool | None = None


class OutputReply(Struct, frozen=True):
    output: CommandOutput | None = None


class File(Struct, frozen=True):
    """Describes one received file. path is as the node named it, or output/NNN-COMMAND.txt of what
    a command has printed (output/NNN-COMMAND.attempt-N.txt once the node was tried again, where N
    is the first attempt of that retry); an export has it below a folder for the node. exported says
    whether an export has it: it is complete, and of the attempt that succeeded. modified is the
    time stamp that the node gave it.
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
    """List the files of a job, or of some of its nodes. Needs "more"; each reply has the next of
    them. If the job is deleted between two replies, the last one is an error; so it is of
    Transcript.
    """

    job_id: str
    nodes: tuple[str, ...] | None = None


class FilesReply(Struct, frozen=True):
    files: tuple[File, ...]


class ExportRequest(Request, frozen=True):
    """Export all files of a job that is closed, with transcripts, checksums, a manifest and a
    summary. Needs "upgrade": after the reply come length bytes, one tar, and then the end of the
    connection. A client that takes fewer than 64 KiB in a minute is cut off. With incomplete, files
    that did not come completely are in it too; left_out is how many are not. With after, a name in
    the tar, only what is behind that file comes, up to the end of the tar, so that an export that
    was cut off can go on.
    A file that is gone, or has another size, is left out, and the summary names it; so is one that
    was found to be damaged before, by Verify or as it passed. damaged is how many these are, and
    wrong has the first 20. The client should compare the files with SHA256SUMS. Those that differ
    it names in suspect when it asks again: they are read before the reply.
    name is how a file that is made of it should be called, without a suffix: case-698123456 of a
    job with the label case, else cucmd- and the id of the job.
    A job that an operator exports is not deleted and not tried again meanwhile. An export of
    somebody else ends then.
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
    """Names a file that is gone, or is not as it was received."""

    node: str
    path: str
    reason: str


class VerifyRequest(Request, frozen=True):
    """Read every complete file of a closed job, and compare it with its checksum. Needs "more". An
    export leaves out what differs. Each reply has how many files and bytes were read so far, and
    which files are wrong since the last. It has to be read within 60 s: the next one who verifies
    waits.
    """

    job_id: str
    nodes: tuple[str, ...] | None = None


class VerifyReply(Struct, frozen=True):
    files: int
    bytes: int
    wrong: tuple[WrongFile, ...]


class TranscriptRequest(Request, frozen=True):
    """Show what was said on a node, secrets masked. Needs "more". With follow it goes on until the
    node ends.
    """

    job_id: str
    node: str
    follow: bool | None = None


class TranscriptReply(Struct, frozen=True):
    text: str


class DeleteRequest(Request, frozen=True):
    """Delete a closed job with everything that it has collected; with files_only its record
    stays. Neither this nor Prune touches a job that an operator exports or verifies, or that is
    tried again. bytes is what its files took. Both finish what they have begun also if the caller
    goes away or the daemon stops.
    """

    job_id: str
    files_only: bool | None = None


class DeleteReply(Struct, frozen=True):
    job: JobSummary
    bytes: int


class PruneRequest(Request, frozen=True):
    """Delete all closed jobs of which everything given is true, at least one of these: they ended
    longer ago than older_than ("30d"); keep newer ones with these labels stay; their files
    take more bytes than larger_than; they have all of the labels. Jobs with the label keep
    stay. With dry_run nothing is deleted, and the reply has those that would be. Nothing is
    said of those that somebody reads. jobs are the first 1000 of them, more is how many there
    are besides, and bytes is of all.
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
