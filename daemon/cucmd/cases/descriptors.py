"""Opens files of a job for a client that reads them itself.

A descriptor can only be read, and is that of a regular file which has the size that was recorded.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cucmd.cases import documents
from cucmd.cases.contents import CannotExport
from cucmd.cases.entries import Entry

# Descriptors in one message; the kernel takes 253.
MOST_TOGETHER = 64
# To open a FIFO in place of a file does not wait for somebody who writes into it.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

# No descriptor is left, or no memory.
_NOT_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)

GONE = "is gone"


def other_size(size: int, received: int) -> str:
    return f"has {size} bytes, {received} were received"


class Wanted(msgspec.Struct, frozen=True):
    """A file of a job. `entry`: as what it is exported. `path`: below the directory of the job.
    `sha256`: in hex; empty where it is not known, as of a transcript.
    """

    entry: Entry
    path: str
    node: str
    sha256: str = ""


class Opened(msgspec.Struct, frozen=True):
    """`descriptor`, or `wrong`: why there is none."""

    wanted: Wanted
    descriptor: int | None
    wrong: str | None = None


def open_all(directory: Path, wanted: Sequence[Wanted], *, damaged: bool = False) -> list[Opened]:
    """Each of the files, in their order. With `damaged` one that is not as recorded is no error.

    Raises `CannotExport`, `OSError`; nothing is left open then.
    """
    opened: list[Opened] = []
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
    """Its descriptor, by which files are opened; None if it is gone."""
    try:
        folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield folder
    finally:
        os.close(folder)


def _opened(folder: int | None, wanted: Wanted, *, damaged: bool) -> Opened:
    descriptor, wrong = _open(folder, wanted)
    if wrong is not None and not damaged:
        raise CannotExport(f"{documents.shown(wanted.entry.name)} {wrong}")
    return Opened(wanted, descriptor, wrong)


def _open(folder: int | None, wanted: Wanted) -> tuple[int | None, str | None]:
    """The descriptor, or what is wrong. Raises `OSError` where that is not the file's fault."""
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
        wrong = "is no regular file"
    elif found.st_size != wanted.entry.size:
        wrong = other_size(found.st_size, wanted.entry.size)
    else:
        return descriptor, None
    os.close(descriptor)
    return None, wrong
