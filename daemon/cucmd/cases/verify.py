"""Compares the files of a job on disk with their checksums, in a process (`reading/job_files.py`).

The process has a low priority, and a cancel kills it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Container, Mapping
from contextlib import aclosing
from pathlib import Path

import msgspec

from cucmd.cases.archive import exported_name
from cucmd.cases.damaged import DamagedFiles
from cucmd.cases.export_sender import file_process
from cucmd.cases.files import file_pages, is_counted
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.received_file import ReceivedFile
from cucmd.store import Store
from cucmd.worker.frames import CheckedFile, CheckFiles, FileChecked
from cucmd.worker.workers import Workers

# The role by which the worker machinery knows such a process.
CHECK = "check"
# The most files in one frame, which must hold them also with the longest names.
_IN_A_FRAME = 200
_CHECKED = msgspec.msgpack.Decoder(FileChecked)


class Verifier:
    """Compares files with their checksums. Damaged files are noted in `damaged`."""

    def __init__(self, workers: Workers, store: Store, damaged: DamagedFiles) -> None:
        self._workers = workers
        self._store = store
        self._damaged = damaged

    async def verify(
        self,
        job: Job,
        directory: Path,
        nodes: Mapping[str, Node],
        only: Container[str] | None = None,
    ) -> AsyncGenerator[tuple[ReceivedFile, Node, str | None], None]:
        """Verifies each complete file for which `is_counted` is true.

        Yields the file, its node, and what is wrong with the file, or None if the file is as it was
        received.

        only: the names of files in an export; None for all files.

        Raises `StoreFailed`, `OSError`.
        """
        alike = frozenset[bytes]() if only is None else await self._store.paths_alike(job.job_id)
        async with (
            file_process(self._workers, CHECK, directory) as worker,
            aclosing(file_pages(self._store, job.job_id, nodes)) as all_pages,
        ):
            async for page in all_pages:
                asked = [
                    (file, node)
                    for file, node in page
                    if file.complete
                    and is_counted(file, node, job.work)
                    and (only is None or exported_name(file, node, alike) in only)
                ]
                for first in range(0, len(asked), _IN_A_FRAME):
                    chunk = asked[first : first + _IN_A_FRAME]
                    files = [
                        CheckedFile(os.fsencode(directory / file.path), file.size, file.sha256)
                        for file, _ in chunk
                    ]
                    await worker.send(CheckFiles(tuple(files)))
                    for file, node in chunk:
                        wrong = (await worker.receive(_CHECKED)).wrong
                        self._damaged.note(job.job_id, file.path, wrong)
                        yield file, node, wrong
