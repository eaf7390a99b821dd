"""Reserves space on the disk in a file that is truncated while jobs are deleted.

On a full disk, SQLite could not write that a job is deleted, so nothing could be deleted to make
room. `posix_fallocate` guarantees the space of the file, and truncating the file needs no space.
The reserve is also released while the database is opened, so that the daemon starts on a full disk.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

from cucmd.durable import RESERVE

# Bytes of the smallest useful reserve: a page of the database for each table, and the journal.
_LEAST = 64 * 1024


class Reserve:
    """Holds the space of the file at `path`. The file is changed in worker threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = trio.Lock()
        self._users = 0

    @asynccontextmanager
    async def released(self) -> AsyncIterator[None]:
        """Releases the space while the body runs. Several bodies may run at the same time."""
        with trio.CancelScope(shield=True):
            async with self._lock:
                self._users += 1
                if self._users == 1:
                    await trio.to_thread.run_sync(self._release)
        try:
            yield
        finally:
            with trio.CancelScope(shield=True):
                async with self._lock:
                    self._users -= 1
                    if not self._users:
                        await trio.to_thread.run_sync(self._take)

    def _release(self) -> None:
        with suppress(OSError):  # the file is missing, so there is no space to release
            os.truncate(self._path, 0)

    def _take(self) -> None:
        """Takes as much of the space as is free. The next call tries to take all of it again."""
        size = RESERVE
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                while size >= _LEAST:
                    try:
                        os.posix_fallocate(descriptor, 0, size)
                    except OSError:
                        size //= 2
                    else:
                        break
            finally:
                os.close(descriptor)
