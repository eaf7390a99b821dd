"""Compares the files of a job on disk with their checksums.

It gives way to everything else: one job is read after the other, a piece at a time, with a rest as
long as the piece took. It ends within a piece of a cancel.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

import msgspec
import trio

from cucmd.cases.exported import GONE, other_size
from cucmd.cases.files import counts, pages
from cucmd.job.node import Node
from cucmd.received_file import ReceivedFile
from cucmd.store import Store

_PIECE = 1024 * 1024
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class CheckedFile(msgspec.Struct, frozen=True):
    """Describes one file; `wrong`: what is wrong with it, None: nothing."""

    file: ReceivedFile
    node: Node
    wrong: str | None


class Verifier:
    """Verifies the files of jobs, one job after the other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = trio.Lock()

    async def verify(
        self, job_id: str, directory: Path, nodes: Mapping[str, Node]
    ) -> AsyncGenerator[CheckedFile, None]:
        """Verifies each complete file that counts. Raises `StoreFailed`."""
        async with self._turn, aclosing(pages(self._store, job_id, nodes)) as all_pages:
            async for page in all_pages:
                for file, node in page:
                    if file.complete and counts(file, node):
                        path = directory / file.path
                        wrong = await trio.to_thread.run_sync(_what_is_wrong, path, file)
                        yield CheckedFile(file, node, wrong)


# In a worker thread


def _what_is_wrong(path: Path, file: ReceivedFile) -> str | None:
    try:
        size, checksum = _read(path)
    except FileNotFoundError:
        return GONE
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if size != file.size:
        return other_size(size, file.size)
    return None if checksum == file.sha256 else "has another checksum"


def _read(path: Path) -> tuple[int, str]:
    """Returns size and checksum. Raises `OSError`; after a cancel, what the rest raises."""
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, _FLAGS)
    try:
        began = time.monotonic()
        while piece := os.read(descriptor, _PIECE):
            digest.update(piece)
            size += len(piece)
            trio.from_thread.run(trio.sleep, time.monotonic() - began)
            began = time.monotonic()
        # What was read only to be checked need not keep other files out of memory.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    return size, digest.hexdigest()
