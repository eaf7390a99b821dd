"""Reads the archives and the gzip files that have come to their end, in threads, in turns.

Nobody waits for it but the node whose files they are. A turn is a fraction of a second of one
thread, a few threads work at a time, and whose turn it is goes by who has waited longest. A cancel,
or a deadline, does not wait for the turn to end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import trio

from cucmd.received_file import ReceivedFile
from cucmd.work.whole import (
    MIB,
    Contents,
    Cost,
    NotWhole,
    ReadBack,
    TooMuch,
    read_archive,
    read_gzip,
)

# As nodes name what they have packed. `*.gzo` is a gzip without an end: the node still writes it.
_GZIP = (".gz", ".tgz")
# A tenth of a second, in the unit of `Cost`.
_TURN = 32 * MIB
# zlib works without the interpreter's lock; one processor is left for the loop.
_MOST_THREADS = 4
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_threads: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("read_back")


def to_read(files: Sequence[ReceivedFile], *, compressed: bool) -> list[ReceivedFile]:
    """Those of the files that are read: all of a command that packs, else those named as gzip."""
    return [file for file in files if compressed or file.path.lower().endswith(_GZIP)]


async def read_back(
    directory: Path, files: Sequence[ReceivedFile], *, compressed: bool, announced: int
) -> ReadBack:
    """Reads `files`, whose paths are below `directory`.

    announced   what it costs to unpack what the node has announced, as `Cost` counts it

    Raises `OSError`.
    """
    found = ReadBack()
    cost = Cost(announced)
    work = _read_all(directory, files, cost, found, compressed=compressed)
    while not await trio.to_thread.run_sync(
        _work, work, cost, abandon_on_cancel=True, limiter=_limiter()
    ):
        pass
    return found


def _limiter() -> trio.CapacityLimiter:
    try:
        return _threads.get()
    except LookupError:
        processors = len(os.sched_getaffinity(0))
        _threads.set(trio.CapacityLimiter(min(max(processors - 1, 1), _MOST_THREADS)))
        return _threads.get()


# In a thread, one turn after the other


def _work(work: Iterator[None], cost: Cost) -> bool:
    """For one turn. Returns whether all is done."""
    until = cost.spent + _TURN
    return all(cost.spent < until for _ in work)


def _read_all(
    directory: Path, files: Sequence[ReceivedFile], cost: Cost, found: ReadBack, *, compressed: bool
) -> Iterator[None]:
    for file in files:
        cost.file()
        try:
            with open(directory / file.path, "rb", buffering=0, opener=_open) as content:
                try:
                    yield from _read(content, file, cost, found, compressed=compressed)
                finally:
                    # What was read only to be checked need not keep other files out of memory.
                    os.posix_fadvise(content.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except NotWhole as error:
            found.wrong[file.path] = str(error)
        except TooMuch:
            found.unread.append(file.path)
        yield


def _read(
    content: BinaryIO, file: ReceivedFile, cost: Cost, found: ReadBack, *, compressed: bool
) -> Iterator[None]:
    if not compressed:
        yield from read_gzip(content, cost)
        return
    inside = yield from read_archive(content, cost)
    found.contents.append(inside or Contents(1, file.size, packed=False))


def _open(path: str, flags: int) -> int:
    return os.open(path, _FLAGS)
