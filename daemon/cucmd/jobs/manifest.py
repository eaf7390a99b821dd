"""`manifest.jsonl` of a job: one line of JSON for each received file.

    {"node":"cucm-pub","path":"cucm-pub/files/...","size":4,"sha256":"...","complete":true}

Lines are only added at the end, and a line counts once it is durable. Of several lines with one
path the last counts.

An append
    1. cuts the file to the length that was durable last. A write that failed, on a full disk say,
       may have left a part of a line there, and the next line must not continue it
    2. writes the lines, and calls fsync on the file, and on its folder if the file is new
    3. only then takes the new length for durable

The first append of a `Manifest` reads the file, because a daemon that was killed may have left
anything behind what was durable:
    a last line without its end          is cut off, by step 1
    a line that cannot be parsed         the file is replaced by one with its other lines
    `manifest.json`, the one document    the file is replaced by one with the files of both; then
      that the first version wrote       `manifest.json` is removed
    a link, a pipe, a file that is not    the file is replaced likewise
      writable
A later append reads it again if somebody has put one of the last there meanwhile, or has edited the
file so that no line ends at the length that was durable.

Files whose line is there already are not written again. So a restart appends all files that the
store has of a job, and the manifest gets those that it lacks (`recovery.py`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import trio

from cucmd.durable import replace_file, sync_directory
from cucmd.received_file import ReceivedFile

_MODE = 0o640
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Manifest:
    """Of the job in `directory`. One append at a time."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "manifest.jsonl"
        self._first_version = directory / "manifest.json"
        self._length: int | None = None  # bytes that are durable; None: not read yet
        self._found: _Found | None = None  # what was read, as long as it is needed

    async def append(self, files: Sequence[ReceivedFile]) -> None:
        """Durable on return, and then the file exists, also where there are no files.

        Raises `OSError`; then none of the files counts as appended.
        """
        if files or not self._length:  # at 0 there may be no file: the first append can have failed
            await trio.to_thread.run_sync(self._append, files)

    async def append_pages(self, pages: AsyncIterator[Sequence[ReceivedFile]]) -> None:
        """As `append`, for all files of a job, which need not be in memory at once."""
        try:
            async for files in pages:
                await trio.to_thread.run_sync(partial(self._append, files, more=True))
            await self.append(())
        finally:
            self._found = None

    def _append(self, files: Sequence[ReceivedFile], *, more: bool = False) -> None:
        """`more`: what the file has is remembered for the next call."""
        # What somebody took out of the file while the job ran stays out. But a line is never
        # continued: a file that was edited can have the middle of a line at this length.
        if (
            self._length is None
            or _must_be_replaced(self._path)
            or not _line_ends_at(self._path, self._length)
        ):
            self._read()
        found = self._found
        if found is not None:
            files = [file for file in files if not found.has(file.path, _line(file))]
        if files or not more:
            self._length = _write(self._path, self._length or 0, map(_line, files))
        if not more:
            self._found = None

    def _read(self) -> None:
        """Learns what is in the file, and repairs it."""
        self._length = None
        found = _look_at(self._path)
        first_version = _lines_of_first_version(self._first_version)
        if found.damaged or first_version is not None or _must_be_replaced(self._path):
            lines = _sound_lines(self._path, found, first_version or {})
            replace_file(self._path, lines, _MODE)
            found = _look_at(self._path)
        if first_version is not None:
            self._first_version.unlink(missing_ok=True)
            sync_directory(self._path.parent)
        self._length = found.length
        self._found = found


class _Line(msgspec.Struct):
    """The fields of a line: the facts about a file that do not change later."""

    node: str
    path: str
    size: int
    sha256: str
    complete: bool


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode
# What decoding raises for what is not ours; RecursionError for brackets that are nested too deeply.
_NO_JSON = (ValueError, RecursionError)


def _line(file: ReceivedFile) -> bytes:
    line = _Line(file.node, file.path, file.size, file.sha256, file.complete)
    return _encode(line) + b"\n"


def _must_be_replaced(path: Path) -> bool:
    """Whether somebody has put something there that cannot be appended to: a link, a pipe, a file
    without the permission to write.
    """
    try:
        regular = stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False
    return not regular or not os.access(path, os.W_OK)


def _line_ends_at(path: Path, length: int) -> bool:
    if length == 0:
        return True
    try:
        with path.open("rb") as file:
            file.seek(length - 1)
            return file.read(1) == b"\n"
    except FileNotFoundError:
        return False


def _write(path: Path, length: int, lines: Iterable[bytes]) -> int:
    """Puts `lines` after the first `length` bytes of the file; its new length, durable."""
    with os.fdopen(os.open(path, _FLAGS, _MODE), "wb") as file:
        file.truncate(length)
        file.seek(length)
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
        end = file.tell()
    if length == 0:
        sync_directory(path.parent)
    return end


class _Found(NamedTuple):
    """`last`: of each path the last line; `length` up to the end of the last line of all.

    Hashes of both, of 64 bits with a key that nobody knows: a job can have hundreds of thousands
    of files, and the lines themselves would take most of the memory of a restart.
    `damaged`: a line before that end cannot be parsed.
    """

    last: dict[int, int]
    length: int
    damaged: bool

    def has(self, path: str, line: bytes) -> bool:
        """Whether that is the last line of that path."""
        return self.last.get(hash(path)) == hash(line)


def _look_at(path: Path) -> _Found:
    last: dict[int, int] = {}
    length, damaged = 0, False
    for line in _read_lines(path):
        length += len(line)
        named = _path_in(line)
        if named is None:
            damaged = True
        else:
            last[hash(named)] = hash(line)
    return _Found(last, length, damaged)


def _sound_lines(path: Path, found: _Found, older: dict[str, bytes]) -> Iterator[bytes]:
    """What of the file can be parsed, of each path the last line, after the `older` lines of
    paths that it does not have.
    """
    yield from (line for named, line in older.items() if hash(named) not in found.last)
    for line in _read_lines(path):
        named = _path_in(line)
        if named is not None and found.has(named, line):
            yield line


def _path_in(line: bytes) -> str | None:
    try:
        return _decode(line).path
    except _NO_JSON:
        return None


def _read_lines(path: Path) -> Iterator[bytes]:
    """Without a last one that has no end."""
    if path.is_file():  # to open a pipe would wait for whoever writes to it
        with path.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))


class _FirstVersion(msgspec.Struct):
    files: tuple[_Line, ...]


def _lines_of_first_version(path: Path) -> dict[str, bytes] | None:
    """None: there is no such file. The store has all that is in it, so a damaged one is empty."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_FirstVersion)
    except (FileNotFoundError, IsADirectoryError):
        return None
    except _NO_JSON:
        return {}
    return {line.path: _encode(line) + b"\n" for line in found.files}
