"""PURE. Declares a received file, and what a reading process reports about its content.

A `ReceivedFile` never changes. When the node announces later that the transfer was complete, a new
object replaces it. The reports come from worker processes, which are not trusted more than the
nodes whose bytes they read (`worker/`): that is why their fields have limits.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

# A reason: part of a sentence, without a capital letter at its beginning.
Why: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]

# What can be wrong with a file on the disk.
GONE = "is gone"
NOT_REGULAR = "is no regular file"
OTHER_CHECKSUM = "has another checksum"


def other_size(size: int, received: int) -> str:
    return f"has {size} bytes, {received} were received"


class ReceivedFile(msgspec.Struct, frozen=True):
    """Describes a file that a node pushed.

    node      the node's name as its job has it
    path      relative to the job's directory
    size      bytes on the disk
    sha256    the checksum of these bytes in hex; empty if it is not known, because the file is
              still open, its process has ended, or it was found after a restart
    closed    whether the client closed it after every write had succeeded, and the bytes are
              durable
    complete  whether it is closed, and the node has announced that its command is completed
    attempt   in which attempt of its node it was received, from 1
    modified  the time stamp that the client set, in seconds since 1970 (0 to the year 2106), or
              None if the client set none or the file was found after a restart

    `closed` is not stored. After a restart, complete files count as closed and others do not.
    """

    node: str
    path: str
    size: int
    sha256: str = ""
    closed: bool = False
    complete: bool = False
    attempt: int = 0
    modified: int | None = None


class PacketCount(msgspec.Struct, frozen=True, tag=True):
    """Reports how many whole packets a capture file has.

    truncated  whether the file ends in the middle of a packet
    uncounted  why the rest of the file was not counted, or None if all of it was
    wrong      why the file is not a packet capture, or None if it is one
    """

    count: Annotated[int, msgspec.Meta(ge=0)]
    truncated: bool = False
    uncounted: Why | None = None
    wrong: Why | None = None


class Contents(msgspec.Struct, frozen=True):
    """Describes the content of a file that was sent by a command with `compress`.

    files   the number of files in it
    size    the bytes of all these files, or None if the archive does not tell
    packed  whether it is an archive or a gzip; False for a file by itself
    """

    files: Annotated[int, msgspec.Meta(ge=0)]
    size: Annotated[int, msgspec.Meta(ge=0)] | None
    packed: bool = True


class FileRead(msgspec.Struct, frozen=True, tag=True):
    """Reports what was found when a file was read to its end.

    wrong     where an archive or a gzip is cut off or damaged
    unread    why it was not read to its end
    error     the errno of the system if the file cannot be read: it is gone, or the disk fails
    contents  what is in the archive, or None if the file is neither tar nor gzip
    """

    wrong: Why | None = None
    unread: Why | None = None
    error: Annotated[int, msgspec.Meta(gt=0, lt=4096)] | None = None
    contents: Contents | None = None
