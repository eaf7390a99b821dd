"""Reads what was said on a node, and what its commands have printed, on disk and while it grows.

It is read in pieces of whole lines, so that no character is cut in two. An output is read once it
is on record, which it is when its node has ended; and before that, where whoever runs the job says
that it is whole, or where it is followed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeAlias

import msgspec
import trio

from cucmd.cases.files import PAGE, counts, folder
from cucmd.job.job import Job
from cucmd.job.kind import OUTPUT
from cucmd.job.node import Node
from cucmd.received_file import ReceivedFile
from cucmd.store import Store

# The name of a node, and the number of an output of it.
Which: TypeAlias = tuple[str, int]
_PIECE = 128 * 1024
# Seconds between two looks at a transcript that grows: nobody reads faster.
_EVERY = 0.25


async def read_transcript(path: Path, grows: Callable[[], bool]) -> AsyncGenerator[str, None]:
    """Yields its text, piece by piece, until its end; and on as long as `grows()`.

    Nothing for a file that does not exist. Raises `OSError`.
    """
    async with aclosing(follow_outputs({("", 0): path}, lambda _: grows())) as pieces:
        async for _, text, _ in pieces:
            if text:
                yield text


async def follow_outputs(
    paths: Mapping[Which, Path], grows: Callable[[str], bool]
) -> AsyncGenerator[tuple[Which, str, bool], None]:
    """Yields the text of these outputs as they grow, and with each piece whether it is the last of
    its output; an empty one may be. Raises `OSError`.

    grows: whether the node of that name may still print.
    """
    files = {which: _Growing(path) for which, path in paths.items()}
    while files:
        quiet = True
        for which, file in tuple(files.items()):
            # Asked before the look: what came before its end is then in it.
            growing = grows(which[0])
            text = await file.more()
            quiet = quiet and text is None
            if text:
                yield which, text, False
            elif text is None and not growing:
                del files[which]
                yield which, file.rest(), True
        if quiet and files:
            await trio.sleep(_EVERY)


class _Growing:
    """Reads a file that may grow, in pieces of whole lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    async def more(self) -> str | None:
        """Reads what came since; "": no whole line. None: nothing. Raises `OSError`."""
        piece = await trio.to_thread.run_sync(_read, self._path, self._offset)
        if not piece:
            return None
        self._offset += len(piece)
        lines, newline, self._rest = (self._rest + piece).rpartition(b"\n")
        if len(self._rest) > _PIECE:  # a line without end
            lines, newline, self._rest = lines + newline + self._rest, b"", b""
        return (lines + newline).decode(errors="replace")

    def rest(self) -> str:
        """Returns the beginning of a line that has no end."""
        return self._rest.decode(errors="replace")


def _read(path: Path, offset: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(descriptor, _PIECE, offset)
    finally:
        os.close(descriptor)


class PrintedFile(msgspec.Struct, frozen=True):
    """Describes the output of one command on one node. `path`: of the file; its text is masked.

    `complete`: the command came to its end.
    """

    number: int
    path: Path
    complete: bool


async def printed(
    store: Store,
    job: Job,
    node: Node,
    directory: Path,
    *,
    written: Sequence[ReceivedFile] = (),
) -> list[PrintedFile]:
    """Lists an output for each command that has one on a node, in the order of the commands. Where
    several attempts have kept the output of a command, it is the last of those that are complete,
    or the last of all. Raises `StoreFailed`.

    `written`: those that are whole on disk, and need not be on record.
    """
    outputs = f"{folder(node)}/{OUTPUT}/"
    files = {file.path: file for file in written}
    # Before them are the files that the node pushed, of a job that has collected.
    after = (node.node, outputs)
    while page := await store.files(job.job_id, after, PAGE, one_node=True):
        files = {file.path: file for file in page} | files
        after = (node.node, page[-1].path)
    found = {
        int(file.path.removeprefix(outputs).partition("-")[0]): file
        for file in sorted(files.values(), key=lambda one: (one.complete, one.attempt))
        if file.path.startswith(outputs) and counts(file, node)
    }
    return [
        PrintedFile(number, directory / file.path, file.complete)
        for number, file in sorted(found.items())
    ]


async def read_output(path: Path) -> AsyncGenerator[tuple[str, bool], None]:
    """Yields its text, in pieces of whole lines, and with each whether it is the last.

    One piece at least; an empty one for a file that is gone. Raises `OSError`.
    """
    before: str | None = None
    async with aclosing(read_transcript(path, lambda: False)) as pieces:
        async for piece in pieces:
            if before is not None:
                yield before, False
            before = piece
    yield before or "", True
