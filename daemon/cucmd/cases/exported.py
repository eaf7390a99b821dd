"""Gives the files of an export: as pieces of its tar, or open, for a client that makes the tar.

The length that is told before the first byte is that of what follows. So everything in a header is
known before, and a file must have the size that was recorded.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import msgspec
import trio

from cucmd.cases.documents import shown

_BLOCK = tarfile.BLOCKSIZE
# Two blocks of zeros; not padded to a record of 20 blocks, which no reader needs.
END = bytes(2 * _BLOCK)
# Bytes that are read at once.
CHUNK = 1024 * 1024
# Files that are read in one change of threads, or whose descriptors are in one message; the kernel
# takes 253. On a disk that is slow to open them a stop of the daemon waits for all of them.
MOST_TOGETHER = 64
# To open a FIFO in place of a file does not wait for somebody who writes into it.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# No descriptor is left, or no memory.
_NOT_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
GONE = "is gone"
NOT_REGULAR = "is no regular file"


def other_size(size: int, received: int) -> str:
    return f"has {size} bytes, {received} were received"


class CannotExport(Exception):
    """A file of the job is gone, or not as it was recorded. The text names it."""


class TarEntry(msgspec.Struct, frozen=True):
    """Describes a file in the tar. `name`: the path in the tar. `size`: bytes. `modified`: seconds
    since 1970.
    """

    name: str
    size: int
    modified: int

    def header(self) -> bytes:
        """Writes the header in the pax format, which has no limit for names and sizes."""
        info = tarfile.TarInfo(self.name)
        info.size, info.mtime, info.mode = self.size, self.modified, 0o640
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def padding(self) -> bytes:
        return bytes(-self.size % _BLOCK)

    def length(self) -> int:
        """Counts the bytes of header, content and padding."""
        return len(self.header()) + self.size + len(self.padding())


# As a tar

OnDisk: TypeAlias = tuple[TarEntry, Path]


async def contents(items: Iterable[OnDisk]) -> AsyncGenerator[bytes, None]:
    """Yields these files, one after the other, each with header and padding.

    A piece is at most a little more than `CHUNK`. Small files share one, and a change of threads,
    which takes longer than to read one of them. Raises `CannotExport`, `OSError`.
    """
    for batch in batches(items):
        (entry, path) = batch[0]
        if entry.size <= CHUNK:
            yield await trio.to_thread.run_sync(_read_all, batch)
            continue
        descriptor = await trio.to_thread.run_sync(os.open, path, _FLAGS)
        try:
            ahead, left = entry.header(), entry.size
            while left:
                read = partial(_read, descriptor, entry, min(CHUNK, left))
                chunk = await trio.to_thread.run_sync(read)
                left -= len(chunk)
                behind = b"" if left else entry.padding()
                yield b"".join((ahead, chunk, behind)) if ahead or behind else chunk
                ahead = b""
        finally:
            os.close(descriptor)


def batches(items: Iterable[OnDisk]) -> Iterator[list[OnDisk]]:
    """Yields those that are read together: with `CHUNK` bytes at most, or a single file."""
    batch: list[OnDisk] = []
    size = 0
    for item in items:
        size += item[0].size
        if batch and (size > CHUNK or len(batch) == MOST_TOGETHER):
            yield batch
            batch, size = [], item[0].size
        batch.append(item)
    if batch:
        yield batch


def _read_all(batch: list[OnDisk]) -> bytes:
    """Reads whole files, in a worker thread."""
    pieces: list[bytes] = []
    for entry, path in batch:
        pieces.append(entry.header())
        descriptor = os.open(path, _FLAGS)
        try:
            left = entry.size
            while left:
                pieces.append(_read(descriptor, entry, left))
                left -= len(pieces[-1])
        finally:
            os.close(descriptor)
        pieces.append(entry.padding())
    return b"".join(pieces)


def _read(descriptor: int, entry: TarEntry, size: int) -> bytes:
    """Returns at most so many bytes, and at least one. Raises `CannotExport` at the end of the
    file.
    """
    chunk = os.read(descriptor, size)
    if not chunk:
        raise CannotExport(f"{shown(entry.name)} was cut while it was read")
    return chunk


# Open


class WantedFile(msgspec.Struct, frozen=True):
    """Describes a file of a job that is exported. `entry`: as what it is exported. `path`: below
    the directory of the job. `sha256`: in hex; empty where it is not known, as of a transcript.
    """

    entry: TarEntry
    path: str
    node: str
    sha256: str = ""


class OpenedFile(msgspec.Struct, frozen=True):
    """Has `descriptor`, or `wrong`: why there is none."""

    wanted: WantedFile
    descriptor: int | None
    wrong: str | None = None


def open_all(
    directory: Path, wanted: Sequence[WantedFile], *, damaged: bool = False
) -> list[OpenedFile]:
    """Opens each of the files, in their order. With `damaged` one that is not as recorded is no
    error.

    Raises `CannotExport`, `OSError`; nothing is left open then.
    """
    opened: list[OpenedFile] = []
    with _folder(directory) as folder:
        try:
            for one in wanted:
                opened.append(_opened(folder, one, damaged=damaged))  # noqa: PERF401  closed below
        except BaseException:
            for done in opened:
                if done.descriptor is not None:
                    os.close(done.descriptor)
            raise
    return opened


@contextmanager
def _folder(directory: Path) -> Iterator[int | None]:
    """Yields the directory's descriptor, by which files are opened; None if it is gone."""
    try:
        folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield folder
    finally:
        os.close(folder)


def _opened(folder: int | None, wanted: WantedFile, *, damaged: bool) -> OpenedFile:
    descriptor, wrong = _open(folder, wanted)
    if wrong is not None and not damaged:
        raise CannotExport(f"{shown(wanted.entry.name)} {wrong}")
    return OpenedFile(wanted, descriptor, wrong)


def _open(folder: int | None, wanted: WantedFile) -> tuple[int | None, str | None]:
    """Opens the file, or says what is wrong. Raises `OSError` where that is not its fault."""
    if folder is None:
        return None, GONE
    try:
        descriptor = os.open(wanted.path, _FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return None, GONE
    except OSError as error:
        if error.errno in _NOT_THE_FILE:
            raise
        return None, f"cannot be read: {error.strerror}"
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        wrong = NOT_REGULAR
    elif found.st_size != wanted.entry.size:
        wrong = other_size(found.st_size, wanted.entry.size)
    else:
        return descriptor, None
    os.close(descriptor)
    return None, wrong
