"""Keeps space on the disk for deleting jobs: a file that is given up meanwhile.

On a disk that is full SQLite cannot write that a job is deleted, and so nothing could be deleted to
make room. The file has its space for sure (`posix_fallocate`), and truncating it needs none. It is
given up while the database is opened, too: on a full disk the daemon starts, and jobs can be
deleted.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

from cucmd.durable import RESERVE

# No less than this is worth to be tried: a page of the database for each table, and its journal.
_LEAST = 64 * 1024


class Reserve:
    """Takes and gives up the space of the file at `path`, in a worker thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = trio.Lock()
        self._users = 0

    @asynccontextmanager
    async def given_up(self) -> AsyncIterator[None]:
        """While the body runs, others may write to that space. Bodies may run at once."""
        with trio.CancelScope(shield=True):
            async with self._turn:
                self._users += 1
                if self._users == 1:
                    await trio.to_thread.run_sync(self._give_up)
        try:
            yield
        finally:
            with trio.CancelScope(shield=True):
                async with self._turn:
                    self._users -= 1
                    if not self._users:
                        await trio.to_thread.run_sync(self._take)

    def _give_up(self) -> None:
        with suppress(OSError):  # then it has no space that could be given up
            os.truncate(self._path, 0)

    def _take(self) -> None:
        """Takes as much of the space as there is. The next call tries to take all of it again."""
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
