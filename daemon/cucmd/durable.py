"""Writes files so that they are complete and on the disk when a call returns. For worker threads.

After a power failure a name has its old content or the new one, never a part. What is not finished
is beside it, under a name that `drop_half_written` knows.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable
from pathlib import Path

# Bytes in the state directory that only deleting may use (store/reserve.py).
RESERVE = 4 * 1024 * 1024


def replace_file(path: Path, pieces: Iterable[bytes], mode: int, group: int | None = None) -> None:
    """Writes the bytes to `path`, in place of what is there. If this raises, that stays.

    With a `group` the file is given to it, and has that mode whatever the umask is.

    Raises `OSError`, and what `pieces` raise.
    """
    new = path.with_name(f".{path.name}.{threading.get_native_id()}.new")
    new.unlink(missing_ok=True)  # of a writer that was killed and had the same thread id
    # O_EXCL: never writes through a link that somebody else made.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(descriptor)
        if group is not None:
            os.chown(new, -1, group)
            new.chmod(mode)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    sync_directory(path.parent)


def make_directories(top: Path, path: Path, mode: int) -> None:
    """Makes those directories from below `top` down to `path` that are missing.

    Their names are on the disk when this returns, also those that another thread is just making.

    Raises `OSError`.
    """
    above = top
    for name in path.relative_to(top).parts:
        (above / name).mkdir(mode, exist_ok=True)
        sync_directory(above)
        above /= name


def sync_directory(directory: Path) -> None:
    """Makes what was created, renamed or removed in there durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop_half_written(directory: Path) -> tuple[Path, ...]:
    """Removes the files of writers that were killed. Returns their paths.

    Nobody may write to the directory meanwhile: the files of a living writer look the same.
    """
    found = tuple(path for path in directory.glob(".*.new") if stat.S_ISREG(path.lstat().st_mode))
    for path in found:
        path.unlink(missing_ok=True)
    return found
