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
    them again before it replies. With found only those files are exported in which Find finds a
    line; they are searched before the reply. unsearched is how many of them could not be searched,
    or not to their end, and unread has the first 20. name is how a file made from the export should
    be called, without a suffix: case-698123456 for a job with the label case, otherwise cucmd- and
    the id of the job.
    While an operator exports a job, it cannot be deleted or retried. A deletion or a retry ends an
    export by a user who is not an operator.
    """

    job_id: str
    nodes: tuple[str, ...] | None = None
    incomplete: bool | None = None
    after: str | None = None
    suspect: tuple[str, ...] | None = None
    found: Search | None = None


class ExportReply(Struct, frozen=True):
    job_id: str
    name: str
    length: int
    files: int
    bytes: int
    left_out: int
    damaged: int | None = None
    wrong: tuple[WrongFile, ...] | None = None
    unsearched: int | None = None
    unread: tuple[WrongFile, ...] | None = None


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


class Search(Struct, frozen=True):
    """Describes the lines that Find looks for. One of text, regex, number and call_id is set, and
    has at most 1000 characters.
    """

    text: str | None = None
    # A regular expression of Python's module re, on the bytes of one line. It is stopped, and the
    # call refused with InvalidRequest for search.regex, if it needs seconds for a part of a file.
    regex: str | None = None
    # A directory number, as it appears in traces.
    number: str | None = None
    # A SIP Call-ID. The call is followed across the nodes.
    call_id: str | None = None
    # Ignores the case of ASCII letters.
    ignore_case: bool | None = None
    # Only files with this in their path, such as "sdl" or "cm/trace/ccm".
    path: str | None = None
    # Only lines of this time, RFC 3339 with a zone. A line whose time is not known is kept.
    since: str | None = None
    until: str | None = None


class Match(Struct, frozen=True):
    """Describes a line that was found. path is as in File."""

    node: str
    path: str
    # At most 32 KiB. Of a longer line it is the part with the first match.
    line: str
    # The number of the line in the unpacked file, from 1.
    number: int
    # The time stamp of the line, or of the nearest line before that has one, by the clock of the
    # node. Absent if the file has no time stamp that is known, or the zone is not known.
    time: datetime | None = None
    # The name of the file in the archive at path.
    member: str | None = None
    # The lines around, at most 4 KiB of each.
    before: tuple[str, ...] | None = None
    after: tuple[str, ...] | None = None


class FoundFile(Struct, frozen=True):
    """Says how many lines were found in a file. path is as in File. An archive is one file."""

    node: str
    path: str
    matches: int


class Followed(Struct, frozen=True):
    """Names an identifier of a call that was followed, and the file that ties it to the call. node
    and path are absent for the Call-ID that was asked for.
    """

    # Call-ID, Session-ID (one UUID of it), Cisco-Guid, CI (a call reference of CUCM), or signal
    # (which message has caused the lines SdlSig that have it).
    kind: str
    value: str
    node: str | None = None
    path: str | None = None


class MissingLog(Struct, frozen=True):
    """Describes a part of the time that was searched of which files are missing."""

    node: str
    # As in LogCoverage, or the path of the collection of which no file came. Absent for a node that
    # has not sent all of its files: reason says why.
    log: str | None = None
    # Absent for all of the time.
    since: datetime | None = None
    until: datetime | None = None
    # True if it is not certain that anything is missing.
    unclear: bool | None = None
    reason: str | None = None


class FindRequest(Request, frozen=True):
    """Search the files of a job, or of some of its nodes. Needs "more". Every complete file is
    searched that an export contains, also in archives; of a job that still runs, those that have
    come so far. Each reply has what was found since the last reply, and the number of files and
    bytes (as stored) that were searched so far. Matches come in the order of time across all nodes,
    those without a time last. With files, no matches come but the files with a match, in no order.
    context is the number of lines before and after a match, at most 20. A deletion or a retry of
    the job ends the call with JobBusy or JobNotFound.
    """

    job_id: str
    search: Search
    nodes: tuple[str, ...] | None = None
    context: int | None = None
    files: bool | None = None


class FindReply(Struct, frozen=True):
    files: int
    bytes: int
    matches: tuple[Match, ...] | None = None
    found: tuple[FoundFile, ...] | None = None
    # With call_id, the identifiers that were followed. They come before the matches.
    followed: tuple[Followed, ...] | None = None
    # What of the call was not followed, in words, and why.
    not_followed: tuple[str, ...] | None = None
    # Files that could not be searched, or not to their end.
    unread: tuple[WrongFile, ...] | None = None
    # Only in the last replies, after all matches: which files are missing, by the coverage.
    missing: tuple[MissingLog, ...] | None = None
    # Matches of this reply are not in the order of time, since too many came out of order.
    unordered: bool | None = None
    # The bytes of all files that are searched. A call is followed in several searches, and bytes
    # begins at 0 in each.
    of_bytes: int | None = None


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
    They ended longer ago than older_than ("30d"). At least keep newer jobs of the same kind with
    these labels remain. Their files have more bytes than larger_than. They have all of the labels.
    Jobs with the label keep are never deleted. With dry_run nothing is deleted, and the reply has
    the jobs that would be deleted. Jobs that somebody reads are skipped, and are not in the reply.
    jobs has the first 1000 deleted jobs, more is the number of the others, and bytes is the size of
    all.
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
