"""PURE. Declares one received file, from the upload to the store; and what reading shows.

It never changes. What is learned later, the node's word, makes a new one. What is read of it, a
process has read that is not believed more than a node (`worker/`): so it has limits.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

# Part of a sentence, which begins with a small letter.
Why: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]

# What can be wrong with a file on the disk.
GONE = "is gone"
NOT_REGULAR = "is no regular file"
OTHER_CHECKSUM = "has another checksum"


def other_size(size: int, received: int) -> str:
    return f"has {size} bytes, {received} were received"


class ReceivedFile(msgspec.Struct, frozen=True):
    """Describes a file that a node pushed.

    `node`: the node's name, as its job has it.
    `path`: relative to the job's directory.
    `size`: bytes on the disk.
    `sha256`: of these bytes, in hex. Empty where it is not known: the file is still open, or its
    process has ended, or it was found by a restart.
    `closed`: the client closed it, every write had succeeded, and the bytes are durable.
    `complete`: closed, and the node has said that the command which sent it is completed.
    `attempt`: in which attempt of its node it came, from 1.
    `modified`: the time stamp that the client gave it, in seconds since 1970, from 0 to 2106. None:
    it gave none, or the file was found by a restart.

    `closed` is not stored: what a restart reads is closed where it is complete, and of the other
    files it is not known.
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
    """Says how many packets a file of a capture has whole.

    truncated  it ends in the middle of a packet
    uncounted  why the rest of it was not counted; None: it was
    wrong      why it is no packet capture; None: it is one
    """

    count: Annotated[int, msgspec.Meta(ge=0)]
    truncated: bool = False
    uncounted: Why | None = None
    wrong: Why | None = None


class Contents(msgspec.Struct, frozen=True):
    """Says what is in a file of a command that packs.

    size     bytes of all files; None: it does not tell
    packed   it is an archive, or a gzip; else a file by itself
    """

    files: Annotated[int, msgspec.Meta(ge=0)]
    size: Annotated[int, msgspec.Meta(ge=0)] | None
    packed: bool = True


class FileRead(msgspec.Struct, frozen=True, tag=True):
    """What was seen as an archive or a gzip was read to its end.

    wrong     where it is cut off or damaged
    unread    why it was not read to its end
    error     why it cannot be read, as the system counts errors: it is gone, or the disk fails
    contents  of an archive; None: it is neither tar nor gzip
    """

    wrong: Why | None = None
    unread: Why | None = None
    error: Annotated[int, msgspec.Meta(gt=0, lt=4096)] | None = None
    contents: Contents | None = None
