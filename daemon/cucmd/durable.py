"""Writes files so that they are complete and on the disk when a call returns.

After a power failure a file has its old content or its new content, never a part of it. While a
file is written, its new content is beside it, under a name that `drop_half_written` finds. Call the
functions in a worker thread, because they wait for the disk.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable
from pathlib import Path

# Bytes in the state directory that are kept free for deleting jobs (store/reserve.py).
RESERVE = 4 * 1024 * 1024


def replace_file(path: Path, pieces: Iterable[bytes], mode: int, group: int | None = None) -> None:
    """Writes the bytes to `path` and replaces a file that is there.

    With a `group` (gid), the file belongs to that group and has exactly that mode, whatever the
    umask is.

    Raises `OSError`, and whatever iterating over `pieces` raises. The old file stays then.
    """
    new = path.with_name(f".{path.name}.{threading.get_native_id()}.new")
    # A writer that was killed and had the same thread id may have left a file of this name.
    new.unlink(missing_ok=True)
    # With O_EXCL nothing is written through a link that somebody else has put there.
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
    """Makes the missing directories below `top`, down to `path`.

    Their names are on the disk when this returns, even if another thread makes one at the same
    time. Raises `OSError`.
    """
    above = top
    for name in path.relative_to(top).parts:
        (above / name).mkdir(mode, exist_ok=True)
        sync_directory(above)
        above /= name


def sync_directory(directory: Path) -> None:
    """Makes durable what was created, renamed or removed in the directory. Raises `OSError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop_half_written(directory: Path) -> tuple[Path, ...]:
    """Removes the unfinished files of writers that were killed. Returns their paths.

    Call it while nobody writes to the directory: the files of a living writer look the same.
    """
    found = tuple(path for path in directory.glob(".*.new") if stat.S_ISREG(path.lstat().st_mode))
    for path in found:
        path.unlink(missing_ok=True)
    return found
