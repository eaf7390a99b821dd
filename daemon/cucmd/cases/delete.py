"""Removes the directory of a job.

Nothing outside of it is touched. Every name is removed within an open directory, and a link is
removed and not followed, wherever it points and whoever changes the tree meanwhile.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from cucmd import durable


class Stopped(Exception):
    """The daemon stops. What is left is removed after the next start."""


def remove_directory(directory: Path, stopped: threading.Event) -> None:
    """Returns once it is gone for good. One that is not there is fine; for a worker thread.

    Raises `Stopped` soon after `stopped` is set, and `OSError` with what is left.
    """
    with suppress(FileNotFoundError):  # of the directory itself
        for _, folders, files, descriptor in os.fwalk(directory, topdown=False, onerror=_raise):
            for name in (*files, *folders):
                if stopped.is_set():
                    raise Stopped
                _remove(name, descriptor)
    _remove(str(directory), None)
    if directory.parent.exists():
        durable.sync_directory(directory.parent)


def _remove(name: str, descriptor: int | None) -> None:
    """Removes a file, a link or an empty directory, if it is there."""
    with suppress(FileNotFoundError):
        try:
            os.unlink(name, dir_fd=descriptor)
        except IsADirectoryError:
            os.rmdir(name, dir_fd=descriptor)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
