"""PURE. Declares what the daemon, the first process and those that it forks say to each other.

With the first process a frame is one packet of a SOCK_SEQPACKET socket, with a descriptor where its
struct says so. On a channel it is four bytes with its length and then so many, at most `MOST`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec

from cucmd.failure import Code
from cucmd.job.coverage import Covered
from cucmd.received_file import Why

# Bytes of one frame of a channel: 500 files with the longest names are 650 KB.
MOST = 1024 * 1024
# Bytes of one frame with the first process.
MOST_PACKET = 16 * 1024
# Characters of a line for the log.
MOST_SAID = 2000

# For what a process may take without a limit of its own: resource.RLIM_INFINITY.
NO_LIMIT = -1

T = TypeVar("T")


class ProcessLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits one process, by the kernel. Bytes and seconds; a file size of 0: it writes nothing.

    Of the processor time the process is told at `seconds`, and it is killed soon after that.
    `NO_LIMIT`: so many as there can be. threads: it may start some.
    """

    memory: int
    seconds: int = NO_LIMIT
    file_size: int = 0
    descriptors: int = 64
    threads: bool = False


class Fork(msgspec.Struct, frozen=True, tag=True):
    """Asks the first process, with its end of the channel, to fork one that does `role`.

    folder: below which it may read; "": nowhere. takes: it takes connections, which come by its
    door; its socket to who opens files for it comes too, and it is forked once there is a
    connection for it, if the channel is not closed before. Answered by `Forked` or `CannotFork`.
    """

    number: int
    role: str
    folder: str
    limits: ProcessLimits
    takes: bool = False


class Listen(msgspec.Struct, frozen=True, tag=True):
    """Gives the first process the listening sockets: it accepts from now on."""


class Route(msgspec.Struct, frozen=True, tag=True):
    """Tells the first process who takes the connections of that address (`node_name.source_of`).

    source: "" is every address that has no route. number: of the process; negative: of one that
    takes them no more, where another may take them by now.
    """

    source: str
    number: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The first process has imported everything. confined: by Landlock."""

    confined: bool


class Forked(msgspec.Struct, frozen=True, tag=True):
    """Comes with the pidfd of the process."""

    number: int


class CannotFork(msgspec.Struct, frozen=True, tag=True):
    number: int
    why: str


class CannotAccept(msgspec.Struct, frozen=True, tag=True):
    """The first process cannot accept connections. It keeps trying."""

    why: str


class Ended(msgspec.Struct, frozen=True, tag=True):
    """It has ended: with an exit code, or -N by signal N. seconds: of the processor."""

    number: int
    code: int
    seconds: float


# What a process that reads the traces of one node is told, and what it says


class ReadTraces(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Comes first, and asks for what `TracesRead` is to say of the files whose pages follow.

    directory: of the job, below which the files are.
    by: no stamp is later, by the node's clock. zone: its name; None: not known. ahead: of our
    clock, in seconds.
    paths: of the collection. longer: of each, with which `written_for` the node would be asked for
    later files; None: there are none. unverified: those of which nothing need come. asked: whether
    the node was asked for every path.
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
    """Gives some of the files. files: (path below the directory of the job, name on the node). An
    empty page is the last.
    """

    files: tuple[tuple[str, str], ...]


class TracesRead(msgspec.Struct, frozen=True, tag=True):
    covered: Covered


# What a process that reads files one by one is told of the next


class CountPackets(msgspec.Struct, frozen=True, tag=True):
    """Asks for a `PacketCount`. most: packets that are counted."""

    path: str
    most: int


class ReadToEnd(msgspec.Struct, frozen=True, tag=True):
    """Asks for a `FileRead`. archive: it is one, or is to be one; else perhaps a gzip."""

    path: str
    archive: bool


class ParseAnswer(msgspec.Struct, frozen=True, tag=True):
    """Gives the lines of an answer, and names a function of `vos/`. Answered by `AnswerParsed`."""

    parser: str
    lines: tuple[str, ...]


class AnswerParsed(msgspec.Struct, frozen=True, tag=True):
    """Answers `ParseAnswer`. said: what that function has returned, packed."""

    said: msgspec.Raw


# What a process that exports is told, and what it says. The first thing that it gets is the
# connection of the client. Paths are bytes: a name on the disk need not be UTF-8.


class ExportPart(msgspec.Struct, frozen=True, array_like=True):
    """Holds a part of a tar: bytes, then the file of that path and size, padded to a block.

    path: absolute; b"": no file follows.
    """

    head: bytes
    path: bytes = b""
    size: int = 0


class ExportParts(msgspec.Struct, frozen=True, tag=True):
    parts: tuple[ExportPart, ...]


class ExportMoved(msgspec.Struct, frozen=True, tag=True):
    """Says how many bytes the client's connection has taken so far. wants: all parts are sent, and
    the next ones are asked for.
    """

    size: int
    wants: bool = False


class ExportDamaged(msgspec.Struct, frozen=True, tag=True):
    """Names a file that is not as it was received: nothing more is sent."""

    path: bytes
    why: Why


# What a process that compares files with their checksums is told, and what it says


class CheckedFile(msgspec.Struct, frozen=True, array_like=True):
    """Describes a file as it was received. path: absolute."""

    path: bytes
    size: int
    sha256: str


class CheckFiles(msgspec.Struct, frozen=True, tag=True):
    """Asks for a `FileChecked` of each, in their order."""

    files: tuple[CheckedFile, ...]


class FileChecked(msgspec.Struct, frozen=True, tag=True):
    """wrong: how the file differs from what was received; None: it does not."""

    wrong: Why | None = None


# What a process that receives is told, and what it says. `login` is a name that the daemon made.


class Begin(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Comes first. host_keys: the receiver's own, as OpenSSH has them. limits: `ReceiverLimits`.

    expected: the logins that there are at the fork.
    """

    host_keys: tuple[bytes, ...]
    limits: dict[str, int | float]
    legacy_algorithms: bool
    expected: tuple[Expect, ...] = ()


class Expect(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Announces a login. digest: SHA-256 of its one-time password.

    source: the address of its node; "": unknown. name: a job and a node, for messages.
    """

    login: str
    digest: bytes
    source: str
    name: str


class Grant(msgspec.Struct, frozen=True, tag=True):
    """So many bytes more may be written. The answer to `Wants`."""

    login: str
    size: int


class Refuse(msgspec.Struct, frozen=True, tag=True):
    """No more may be written, and why. An answer to `Wants` or `Opened`."""

    login: str
    message: str


class Forget(msgspec.Struct, frozen=True, tag=True):
    """The login has ended: nothing is written after `Forgotten`, the answer."""

    login: str


class Figures(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Tells all figures of a login so far. received: bytes of files. silent: seconds since the last
    login or byte.

    refused: connections of the node's address that a limit of ours has ended before a login.
    """

    login: str
    received: int = 0
    logins: int = 0
    wrong_logins: int = 0
    refused: int = 0
    refused_why: str = ""
    silent: float = 0.0


class Opened(msgspec.Struct, frozen=True, tag=True):
    """Announces a new file: the next number, from 0. named: by the client; stored: the name on the
    disk.
    """

    login: str
    number: int
    named: str
    stored: str


class Stamped(msgspec.Struct, frozen=True, tag=True):
    """The client has given a file a time stamp, while it was open or later."""

    login: str
    number: int
    modified: int


class Closed(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The file is open no more. closed: by the client, and its bytes and name are durable."""

    login: str
    number: int
    size: int
    sha256: str
    closed: bool


class Wants(msgspec.Struct, frozen=True, tag=True):
    """Asks for more bytes, at least so many."""

    login: str
    size: int


class UploadsRefused(msgspec.Struct, frozen=True, tag=True):
    """Says why nothing more of the login is taken. code: disk_full or quota_exceeded."""

    login: str
    code: Code
    message: str
    hint: str | None = None


class Forgotten(msgspec.Struct, frozen=True, tag=True):
    login: str


What = Literal["new file", "new folder", "folder"]


class Open(msgspec.Struct, frozen=True, tag=True):
    """Asks for a descriptor of something in the folder of a login, since it may open nothing.

    It is one packet of a socket of its own, and so is the answer: an errno in four bytes, or 0 with
    the descriptor. what: the first two are made. path: below the login's folder; "": that one
    itself, which is made if there is none.
    """

    login: str
    what: What
    path: str


class LogLine(msgspec.Struct, frozen=True, tag=True):
    """Carries a line for the log, of a level of `logging`."""

    level: int
    text: Annotated[str, msgspec.Meta(max_length=MOST_SAID)]


ToFirst = Fork | Listen | Route
FromFirst = Ready | Forked | CannotFork | CannotAccept | Ended
ToReceiving = Expect | Grant | Refuse | Forget
OfLogin = Figures | Opened | Stamped | Closed | Wants | UploadsRefused | Forgotten
FromReceiving = OfLogin | LogLine
FromExporting = ExportMoved | ExportDamaged


class WrongFrame(Exception):
    """The bytes are no frame that is expected: too long, or something else."""


_encoder = msgspec.msgpack.Encoder()


def packet(frame: msgspec.Struct) -> bytes:
    return _encoder.encode(frame)


def framed(frame: msgspec.Struct) -> bytes:
    """Makes the bytes for a channel. Raises `WrongFrame` where it is too long."""
    content = _encoder.encode(frame)
    return _checked(len(content)).to_bytes(4) + content


def length_of(head: bytes | bytearray) -> int:
    """Reads the length of the frame that begins with these four bytes. Raises `WrongFrame`."""
    return _checked(int.from_bytes(head))


def decoded(decoder: msgspec.msgpack.Decoder[T], content: bytes) -> T:
    """Raises `WrongFrame`."""
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WrongFrame(str(error)) from error


def _checked(length: int) -> int:
    if length > MOST:
        raise WrongFrame(f"a frame of {length} bytes; at most {MOST}")
    return length
