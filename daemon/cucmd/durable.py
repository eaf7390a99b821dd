"""Files that are whole and on the disk when the caller goes on. Blocking: for worker threads.

The one rule: a name has its old file or the new one, whole, whenever the power goes; what is not
finished stands beside it under a name that `drop_half_written` knows.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_file(path: Path, pieces: Iterable[bytes], mode: int) -> None:
    """Puts the bytes at `path`, in the place of what is there, which stays if this raises.

    Raises `OSError`, and what `pieces` raise.
    """
    with _written_beside(path, pieces, mode) as new:
        new.replace(path)
    sync_directory(path.parent)


def make_file(path: Path, pieces: Iterable[bytes], mode: int) -> bool:
    """Puts the bytes at `path` where nothing is; False: something was. Raises as that does."""
    with _written_beside(path, pieces, mode) as new:
        # Unlike a rename, a link never takes the place of what somebody else has just made.
        try:
            os.link(new, path)
            made = True
        except FileExistsError:
            made = False
    sync_directory(path.parent)  # the other's too: from here on it is relied upon
    return made


def sync_directory(directory: Path) -> None:
    """Makes what was created, renamed or removed in there durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop_half_written(directory: Path) -> tuple[Path, ...]:
    """Removes what writers left behind that were killed; says what it was.

    For a directory that nobody writes to meanwhile: of a writer that lives it would be the same.
    """
    # Versions before this room had other middles, or none, but the same ends.
    found = tuple(path for path in directory.glob(".*.new") if stat.S_ISREG(path.lstat().st_mode))
    for path in found:
        path.unlink(missing_ok=True)
    return found


@contextmanager
def _written_beside(path: Path, pieces: Iterable[bytes], mode: int) -> Iterator[Path]:
    """The bytes under a name of this thread's own, durable; gone again at the end."""
    new = path.with_name(f".{path.name}.{threading.get_native_id()}.new")
    new.unlink(missing_ok=True)  # of one that was killed, and had the same number
    # O_EXCL: what somebody else puts there, a link say, is not written through.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(descriptor)
        yield new
    finally:
        new.unlink(missing_ok=True)
