"""PURE. Declares what the daemon, the first process and those that it forks say to each other.

With the first process a frame is one packet of a SOCK_SEQPACKET socket, with a descriptor where its
struct says so. On a channel it is four bytes with its length and then so many, at most `MAX_FRAME`. What
a process that receives says on its channel is in `receiver/messages.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import msgspec

from cucmd.job.coverage import Covered
from cucmd.received_file import Why

# Bytes of one frame of a channel: 500 files with the longest names are 650 KB.
MAX_FRAME = 1024 * 1024
# Bytes of one frame with the first process.
MAX_PACKET = 16 * 1024

# For what a process may take without a limit of its own: resource.RLIM_INFINITY.
NO_LIMIT = -1

T = TypeVar("T")


class ProcessLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits one process, by the kernel. Bytes and seconds; a file size of 0: it writes nothing.

    Of the processor time the process is told at `seconds`, and it is killed soon after that.
    `NO_LIMIT`: so many as there can be. nice: how far it stands back behind the dialogue with
    nodes.
    """

    memory: int
    seconds: int = NO_LIMIT
    file_size: int = 0
    descriptors: int = 64
    nice: int = 10


class Fork(msgspec.Struct, frozen=True, tag=True):
    """Asks the first process, with its end of the channel, to fork one that does `role`.

    folder: below which it may read; "" is nowhere. Answered by `Forked` or `CannotFork`.
    """

    number: int
    role: str
    folder: str
    limits: ProcessLimits


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The first process has imported everything. confined: by Landlock."""

    confined: bool


class Forked(msgspec.Struct, frozen=True, tag=True):
    """Comes with the pidfd of the process."""

    number: int


class CannotFork(msgspec.Struct, frozen=True, tag=True):
    number: int
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


FromForkServer = Ready | Forked | CannotFork | Ended
FromExporting = ExportMoved | ExportDamaged


class WrongFrame(Exception):
    """The bytes are no frame that is expected: too long, or something else."""


_encoder = msgspec.msgpack.Encoder()


def encode_packet(frame: msgspec.Struct) -> bytes:
    return _encoder.encode(frame)


def encode_frame(frame: msgspec.Struct) -> bytes:
    """Makes the bytes for a channel. Raises `WrongFrame` where it is too long."""
    content = _encoder.encode(frame)
    return _checked(len(content)).to_bytes(4) + content


def frame_length(head: bytes | bytearray) -> int:
    """Reads the length of the frame that begins with these four bytes. Raises `WrongFrame`."""
    return _checked(int.from_bytes(head))


def decode_frame(decoder: msgspec.msgpack.Decoder[T], content: bytes) -> T:
    """Raises `WrongFrame`."""
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WrongFrame(str(error)) from error


def _checked(length: int) -> int:
    if length > MAX_FRAME:
        raise WrongFrame(f"a frame of {length} bytes; at most {MAX_FRAME}")
    return length
