"""Reads the transcript of a node and the output of its commands, also while these files grow.

Files are read in pieces of whole lines, so that no character is cut in two. An output is read after
the store has it, that is, after its node has ended. Before that, an output is read if the running
job says that it is whole, or if it is being followed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeAlias

import msgspec
import trio

from cucmd.cases.files import PAGE, is_counted, node_folder
from cucmd.job.job import Job
from cucmd.job.kind import OUTPUT
from cucmd.job.node import Node
from cucmd.received_file import ReceivedFile
from cucmd.store import Store

# The name of a node, and the number of one of its outputs.
OutputKey: TypeAlias = tuple[str, int]
_PIECE = 128 * 1024
# Seconds between two reads of a file that grows, which is fast enough for a person.
_EVERY = 0.25


async def read_transcript(path: Path, grows: Callable[[], bool]) -> AsyncGenerator[str, None]:
    """Yields the text of a transcript, and added text as long as `grows()` returns True.

    Yields nothing if the file does not exist. Raises `OSError`.
    """
    async with aclosing(follow_outputs({("", 0): path}, lambda _: grows())) as pieces:
        async for _key, text, _is_last in pieces:
            if text:
                yield text


async def follow_outputs(
    paths: Mapping[OutputKey, Path], grows: Callable[[str], bool]
) -> AsyncGenerator[tuple[OutputKey, str, bool], None]:
    """Yields texts of these outputs while they grow: (output, text, whether it is the last text).

    The last text of an output may be empty. grows: says whether the node of that name may still
    print. Raises `OSError`.
    """
    files = {key: _Growing(path) for key, path in paths.items()}
    while files:
        quiet = True
        for key, file in tuple(files.items()):
            # Call `grows` before reading, so that no text before the node's end is missed.
            growing = grows(key[0])
            text = await file.more()
            quiet = quiet and text is None
            if text:
                yield key, text, False
            elif text is None and not growing:
                del files[key]
                yield key, file.rest(), True
        if quiet and files:
            await trio.sleep(_EVERY)


class _Growing:
    """Reads a file that may grow, in pieces of whole lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    async def more(self) -> str | None:
        """Returns the whole lines that were added; None if nothing was added. Raises `OSError`."""
        piece = await trio.to_thread.run_sync(_read, self._path, self._offset)
        if not piece:
            return None
        self._offset += len(piece)
        lines, newline, self._rest = (self._rest + piece).rpartition(b"\n")
        if len(self._rest) > _PIECE:  # a line without end
            lines, newline, self._rest = lines + newline + self._rest, b"", b""
        return (lines + newline).decode(errors="replace")

    def rest(self) -> str:
        """Returns the last line if it was not ended."""
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


class OutputFile(msgspec.Struct, frozen=True):
    """Describes the output of one command on one node, with passwords masked.

    complete: whether the command came to its end.
    """

    number: int
    path: Path
    complete: bool


async def list_outputs(
    store: Store,
    job: Job,
    node: Node,
    directory: Path,
    *,
    written: Sequence[ReceivedFile] = (),
) -> list[OutputFile]:
    """Lists one output for each command of a node that has any, in the order of the commands.

    If several attempts have kept the output of a command, the last complete output is listed, or
    the last one if none is complete; of work that `adds_up`, the outputs of all attempts. written:
    outputs that are whole on disk, but may not be in the store. Raises `StoreFailed`.
    """
    outputs = f"{node_folder(node)}/{OUTPUT}/"
    files = {file.path: file for file in written}
    # In this order the files that the node pushed come before the outputs, so they are skipped.
    after = (node.node, outputs)
    while page := await store.files(job.job_id, after, PAGE, one_node=True):
        files = {file.path: file for file in page} | files
        after = (node.node, page[-1].path)
    found = {
        (
            int(file.path.removeprefix(outputs).partition("-")[0]),
            file.attempt if job.work.adds_up else 0,
        ): file
        for file in sorted(files.values(), key=lambda file: (file.complete, file.attempt))
        if file.path.startswith(outputs) and is_counted(file, node, job.work)
    }
    return [
        OutputFile(number, directory / file.path, file.complete)
        for (number, _), file in sorted(found.items())
    ]


async def read_output(path: Path) -> AsyncGenerator[tuple[str, bool], None]:
    """Yields the text in pieces of whole lines, each with whether it is the last piece.

    There is at least one piece, which is empty if the file is gone. Raises `OSError`.
    """
    before: str | None = None
    async with aclosing(read_transcript(path, lambda: False)) as pieces:
        async for piece in pieces:
            if before is not None:
                yield before, False
            before = piece
    yield before or "", True
