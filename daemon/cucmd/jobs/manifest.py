"""`manifest.jsonl` of a job: one line of JSON for each received file.

    {"node":"cucm-pub","path":"cucm-pub/files/...","size":4,"sha256":"...","complete":true}

Lines are added as nodes end, and a line counts once it is durable. Of several lines with one path
the last counts. What follows the end of the last line is cut off first: a write that failed, on a
full disk say, or a kill may have left a part of a line there. A restart makes the file again of all
files that the store has (`recovery.py`), and a try that failed is made again with the same files
(`filing.py`), so nothing else has to be repaired here.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import msgspec
import trio

from cucmd.durable import replace_file, sync_directory
from cucmd.received_file import ReceivedFile

_MODE = 0o640
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Manifest:
    """The manifest of the job in `directory`. One call at a time."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "manifest.jsonl"
        self._exists = False

    async def append(self, files: Sequence[ReceivedFile]) -> None:
        """Durable on return, and then the file exists, also where there are no files.

        Raises `OSError`; then none of the files counts as appended.
        """
        if files or not self._exists:
            await trio.to_thread.run_sync(_append, self._path, files)
            self._exists = True

    async def write(self, pages: AsyncIterator[Sequence[ReceivedFile]]) -> None:
        """Replaces the file by one of all files of the job, which need not be in memory at once.

        Raises `OSError`, and what `pages` raise.
        """

        async def next_page() -> Sequence[ReceivedFile]:
            return await anext(pages, ())

        def lines() -> Iterator[bytes]:
            while page := trio.from_thread.run(next_page):
                yield from map(_line, page)

        await trio.to_thread.run_sync(replace_file, self._path, lines(), _MODE)


class _Entry(msgspec.Struct):
    """The fields of a line: the facts about a file that do not change later."""

    node: str
    path: str
    size: int
    sha256: str
    complete: bool


_encode = msgspec.json.Encoder().encode


def _line(file: ReceivedFile) -> bytes:
    entry = _Entry(file.node, file.path, file.size, file.sha256, file.complete)
    return _encode(entry) + b"\n"


def _append(path: Path, files: Sequence[ReceivedFile]) -> None:
    with os.fdopen(os.open(path, _FLAGS, _MODE), "r+b") as file:
        length = _end_of_lines(file.fileno())
        file.truncate(length)
        file.seek(length)
        file.writelines(map(_line, files))
        file.flush()
        os.fsync(file.fileno())
    if length == 0:
        sync_directory(path.parent)


def _end_of_lines(descriptor: int) -> int:
    """The bytes up to the end of the last line."""
    if os.fstat(descriptor).st_size == 0:  # nothing can be mapped
        return 0
    with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as content:
        return content.rfind(b"\n") + 1
