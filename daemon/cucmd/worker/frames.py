"""PURE. Declares the messages (frames) between the daemon, the fork server and the workers.

To and from the fork server, a frame is one packet of a SOCK_SEQPACKET socket, with a descriptor if
the struct says so. On a worker's channel a frame is four bytes with its length, and then as many
bytes, at most `MAX_FRAME`. `receiver/messages.py` has the messages of workers that receive files.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias, TypeVar

import msgspec

from cucmd.job.coverage import Covered
from cucmd.received_file import Why

# Bytes of one frame on a channel. 500 files with the longest names take 650 KB.
MAX_FRAME = 1024 * 1024
# Bytes of one frame to or from the fork server.
MAX_PACKET = 16 * 1024

# Stands for no limit. This is resource.RLIM_INFINITY.
NO_LIMIT = -1

T = TypeVar("T")


class ProcessLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Holds the limits of one worker, which the kernel enforces.

    memory: bytes of address space.
    seconds: processor time. A worker that has used it up gets a signal, and is killed after 5 more
        seconds of processor time.
    file_size: bytes that a file may grow to. With 0 the worker can write to no file.
    descriptors: open files.
    nice: the nice value. The dialogue with nodes has to get the processor before workers get it.
    """

    memory: int
    seconds: int = NO_LIMIT
    file_size: int = 0
    descriptors: int = 64
    nice: int = 10


class Fork(msgspec.Struct, frozen=True, tag=True):
    """Asks the fork server for a worker. The worker's end of the channel is sent with it.

    number: the daemon's number for this worker.
    role: what the worker does, as `open_workers` names it.
    folder: the folder in which the worker may read files, or "" if it may read none.

    Answered by `Forked` or `CannotFork`.
    """

    number: int
    role: str
    folder: str
    limits: ProcessLimits


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Says that the fork server has imported everything. confined: whether Landlock works."""

    confined: bool


class Forked(msgspec.Struct, frozen=True, tag=True):
    """Says that a worker was forked. Its pidfd is sent with this."""

    number: int


class CannotFork(msgspec.Struct, frozen=True, tag=True):
    """Says why no worker could be forked."""

    number: int
    why: str


class Ended(msgspec.Struct, frozen=True, tag=True):
    """Says that a worker has ended.

    code: its exit code, or -N if signal N has ended it.
    seconds: the processor time that it has used.
    """

    number: int
    code: int
    seconds: float


# Between the daemon and a worker that reads the traces of one node.


class ReadTraces(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Begins the work: asks for one `TracesRead` about the files whose pages follow.

    directory: the job's folder, in which the files are.
    by: the latest possible time stamp, by the node's clock.
    zone: the name of the node's time zone, or None if it is not known.
    ahead: how many seconds the node's clock is ahead of ours.
    since, until: the window of the collection.
    paths: the paths of the collection.
    longer: for each path, the longer `written_for` with which the node would send later files, or
        None if there are no later files.
    unverified: the paths that may match no file.
    recurs: whether the collection includes subfolders.
    asked: whether the node was asked for every path.
    """

    directory: str
    by: datetime
    zone: str | None
    ahead: float
    since: datetime | None
    until: datetime | None
    paths: tuple[str, ...]
    longer: tuple[str | None, ...]
    unverified: tuple[str, ...]
    recurs: bool
    asked: bool


class TracePage(msgspec.Struct, frozen=True, tag=True):
    """Names some of the files. An empty page is the last one.

    files: for each file, its path below the job's folder and its name on the node.
    """

    files: tuple[tuple[str, str], ...]


class TracesRead(msgspec.Struct, frozen=True, tag=True):
    """Says which part of the time window the files of the node cover."""

    covered: Covered


# From the daemon to a worker that reads files one by one.


class CountPackets(msgspec.Struct, frozen=True, tag=True):
    """Asks for the `PacketCount` of a capture. most: the number of packets at which to stop."""

    path: str
    most: int


class ReadToEnd(msgspec.Struct, frozen=True, tag=True):
    """Asks for the `FileRead` of a file.

    archive: whether the file has to be an archive. Any other file may be a gzip.
    """

    path: str
    archive: bool


# Between the daemon and a worker that exports. The worker first gets the client's connection. Paths
# are bytes, because a name on the disk need not be UTF-8.


class ExportPart(msgspec.Struct, frozen=True, array_like=True):
    """Holds a part of a tar: some bytes, and then a file, padded to a full block.

    path: the absolute path of the file, or b"" if no file follows.
    size: the number of bytes of the file.
    """

    head: bytes
    path: bytes = b""
    size: int = 0


class ExportParts(msgspec.Struct, frozen=True, tag=True):
    """Gives the next parts to send."""

    parts: tuple[ExportPart, ...]


class ExportMoved(msgspec.Struct, frozen=True, tag=True):
    """Says how many bytes the client's connection has taken since the beginning.

    wants: whether all parts were sent, and the worker asks for more.
    """

    size: int
    wants: bool = False


class ExportDamaged(msgspec.Struct, frozen=True, tag=True):
    """Names a file that differs from what was received. The worker sends nothing more."""

    path: bytes
    why: Why


# Between the daemon and a worker that compares files with their checksums.


class CheckedFile(msgspec.Struct, frozen=True, array_like=True):
    """Describes a file as it was received. path: its absolute path."""

    path: bytes
    size: int
    sha256: str


class CheckFiles(msgspec.Struct, frozen=True, tag=True):
    """Asks for one `FileChecked` for each file, in the same order."""

    files: tuple[CheckedFile, ...]


class FileChecked(msgspec.Struct, frozen=True, tag=True):
    """Says whether a file is as it was received. wrong: the difference, or None."""

    wrong: Why | None = None


# Between the daemon and a worker that searches files.

# The time of a line whose time is not known, which is after all others.
NO_TIME = 2**62


# A part of an identifier of a call.
Word: TypeAlias = Annotated[str, msgspec.Meta(max_length=256)]


class FindIn(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Begins a search. Answered by `FindBegun`. Pages of files follow.

    directory: the job's folder, in which the files are.
    text, regex, number, ignore_case: what to search for, as in `protocol.cases.Search`.
    since, until: milliseconds since 1970.
    context: the number of lines to send before and after a line that was found.
    files: only count the lines of each file.
    call, too_common: kind and value of each identifier of a call, as in `reading/call_search.py`.
    ties: find only what ties other identifiers to these.
    """

    directory: bytes
    text: str | None
    regex: str | None
    number: str | None
    ignore_case: bool
    since: int | None
    until: int | None
    context: int
    files: bool
    call: tuple[tuple[str, str], ...] = ()
    too_common: tuple[tuple[str, str], ...] = ()
    ties: bool = False


class FindBegun(msgspec.Struct, frozen=True, tag=True):
    """Says that the search can begin. wrong: what is wrong with what is searched for, or None."""

    wrong: Why | None = None


class FindPage(msgspec.Struct, frozen=True, tag=True):
    """Names files of one node. A page without a file is the last one.

    node: the number by which the worker names the node.
    by, zone: as in `ReadTraces`.
    files: the paths below the job's folder.
    """

    node: int = 0
    by: datetime = datetime.max
    zone: str | None = None
    files: tuple[bytes, ...] = ()


class FoundLine(msgspec.Struct, frozen=True, array_like=True):
    """Describes a line that was found.

    time: milliseconds since 1970, or `NO_TIME`.
    """

    time: int
    node: int
    path: bytes
    number: Annotated[int, msgspec.Meta(ge=1)]
    line: bytes
    member: str = ""
    before: tuple[bytes, ...] = ()
    after: tuple[bytes, ...] = ()


class CountedLines(msgspec.Struct, frozen=True, array_like=True):
    """Says how many lines were found in a file."""

    node: int
    path: bytes
    lines: Annotated[int, msgspec.Meta(ge=1)]


class UnsearchedFile(msgspec.Struct, frozen=True, array_like=True):
    """Names a file that could not be searched, or not to its end."""

    node: int
    path: bytes
    why: Why


class FoundTie(msgspec.Struct, frozen=True, array_like=True):
    """Says that a file ties an identifier of a call to another one, `via`, that was known."""

    node: int
    path: bytes
    kind: Word
    value: Word
    via_kind: Word
    via_value: Word


class LinesFound(msgspec.Struct, frozen=True, tag=True):
    """Gives what was found since the last such frame.

    mark: all lines that will follow are of this time or later.
    files, size: how many files, and bytes of them, were searched so far.
    too_long: the regular expression was stopped in the last of `unread`, and the search has ended.
    ended: the search has ended.
    """

    mark: int
    files: Annotated[int, msgspec.Meta(ge=0)]
    size: Annotated[int, msgspec.Meta(ge=0)]
    lines: tuple[FoundLine, ...] = ()
    counted: tuple[CountedLines, ...] = ()
    unread: tuple[UnsearchedFile, ...] = ()
    ties: tuple[FoundTie, ...] = ()
    too_long: bool = False
    ended: bool = False


FromForkServer = Ready | Forked | CannotFork | Ended
FromExporting = ExportMoved | ExportDamaged


class WrongFrame(Exception):
    """Raised for bytes that are not a frame of the expected kind, or too long."""


def encode_frame(frame: msgspec.Struct) -> bytes:
    """Returns a frame for a channel, with its length. Raises `WrongFrame` if it is too long."""
    content = msgspec.msgpack.encode(frame)
    return _checked(len(content)).to_bytes(4) + content


def frame_length(head: bytes | bytearray) -> int:
    """Returns the length of the frame that begins with these four bytes. Raises `WrongFrame`."""
    return _checked(int.from_bytes(head))


def decode_frame(decoder: msgspec.msgpack.Decoder[T], content: bytes) -> T:
    """Returns the struct in the content of a frame. Raises `WrongFrame`."""
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WrongFrame(str(error)) from error


def _checked(length: int) -> int:
    if length > MAX_FRAME:
        raise WrongFrame(f"a frame of {length} bytes; at most {MAX_FRAME}")
    return length
