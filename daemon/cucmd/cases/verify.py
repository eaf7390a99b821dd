"""Compares the files of a job on disk with their checksums.

It gives way to everything else. One thread of the lowest priority reads, a piece at a time, one job
after the other; and it ends within a piece of a cancel. Where the priority of a thread may not be
lowered, as under the system call filter of our unit, it rests half of the time.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

import msgspec
import trio

from cucmd.cases.descriptors import GONE, other_size
from cucmd.cases.files import counts, pages
from cucmd.cases.thread import WorkThread
from cucmd.job.node import Node
from cucmd.received_file import ReceivedFile
from cucmd.store import Store

_PIECE = 1024 * 1024
_LOWEST = 19
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Checked(msgspec.Struct, frozen=True):
    """One file; `wrong`: what is wrong with it, None: nothing."""

    file: ReceivedFile
    node: Node
    wrong: str | None


class Verifier:
    """Of the daemon: jobs are verified one after the other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = trio.Lock()

    async def verify(
        self, job_id: str, directory: Path, nodes: Mapping[str, Node]
    ) -> AsyncGenerator[Checked, None]:
        """Each complete file that counts. Raises `StoreFailed`."""
        async with self._turn:
            # Of its own: the priority of one from trio's pool could not be raised again.
            reader = _Reader()
            thread = WorkThread("cucmd-verify", reader.lower_priority)
            try:
                async with aclosing(pages(self._store, job_id, nodes)) as all_pages:
                    async for page in all_pages:
                        for file, node in page:
                            if file.complete and counts(file, node):
                                wrong = await thread.run(
                                    reader.wrong, thread.ended, directory / file.path, file
                                )
                                yield Checked(file, node, wrong)
            finally:
                thread.close()


class _Reader:
    """Lives in the thread."""

    def __init__(self) -> None:
        self._rests = False

    def lower_priority(self) -> None:
        try:
            # Linux takes the number of a thread for that of a process here.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST)
        except OSError:
            self._rests = True

    def wrong(self, ended: threading.Event, path: Path, file: ReceivedFile) -> str | None:
        try:
            size, checksum = self._read(ended, path)
        except FileNotFoundError:
            return GONE
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"
        if size != file.size:
            return other_size(size, file.size)
        return None if checksum == file.sha256 else "has another checksum"

    def _read(self, ended: threading.Event, path: Path) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        descriptor = os.open(path, _FLAGS)
        try:
            began = time.monotonic()
            while not ended.is_set() and (piece := os.read(descriptor, _PIECE)):
                digest.update(piece)
                size += len(piece)
                if self._rests:
                    ended.wait(time.monotonic() - began)
                    began = time.monotonic()
            # What was read only to be checked need not keep other files out of memory.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
        return size, digest.hexdigest()
