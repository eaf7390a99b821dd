"""One daemon in a state directory: a lock that the kernel releases when the process ends.

The lock is taken before anything in the directory is read.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cucmd.store.errors import StateInUse, StoreFailed

LOCK_NAME = "cucmd.lock"


@contextmanager
def hold_state_directory(directory: Path) -> Iterator[None]:
    """Holds the lock while the body runs. Raises `StateInUse`, `StoreFailed`.

    The file is not removed afterwards: two daemons could then each lock a file of that name.
    """
    try:
        descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        said = f"cannot use the state directory {directory}: {error.strerror}"
        raise StoreFailed(f"{said}; another is given by --state-dir") from error
    try:
        _lock(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        raise StateInUse(directory, owner if owner.isdigit() else "") from None
    except OSError as error:
        raise StoreFailed(
            f"cannot lock the state directory {directory}: {error.strerror}"
        ) from error
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        pass  # a full disk; the number is only for the message above, and the lock is held
