"""Writes `manifest.json` into the directory of a job, so that the list of its files can be read
without the daemon.

The store is the record of the job. Each time the job closes, the manifest is replaced by what the
store has, before the job is marked as closed. After a kill in between, the next start writes the
manifest again. The manifest is an array with an object for each file, and each object is a line:

    {"node":"cucm-pub","path":"cucm-pub/files/...","size":4,"sha256":"...","complete":true}
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import trio

from cucmd.cases.documents import printable_path
from cucmd.durable import replace_file
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

NAME = "manifest.json"
PAGE = 2_000  # files that are read from the store at a time, about a megabyte
_MODE = 0o640
_encode = msgspec.json.Encoder().encode


async def write_manifest(store: Store, job_id: str, directory: Path) -> None:
    """Replaces the manifest of the job. Writes nothing if the job has no directory.

    If this fails, the error is logged and the old manifest is removed. The next start tries again.
    A job can have hundreds of thousands of files, so they are read and written page by page.
    """

    after = "", ""

    async def next_page() -> tuple[ReceivedFile, ...]:
        nonlocal after
        if page := await store.files(job_id, after, PAGE):
            after = page[-1].node, page[-1].path
        return page

    def lines() -> Iterator[bytes]:
        # This generator runs in the thread that writes the file, and the store is used in trio.
        separator = b"[\n"
        while page := trio.from_thread.run(next_page):
            for file in page:
                yield separator + _encode(
                    {
                        "node": file.node,
                        "path": printable_path(file.path),
                        "size": file.size,
                        "sha256": file.sha256,
                        "complete": file.complete,
                    }
                )
                separator = b",\n"
        yield b"[]\n" if separator == b"[\n" else b"\n]\n"

    path = directory / NAME
    if not await trio.Path(directory).exists():
        return
    try:
        await trio.to_thread.run_sync(replace_file, path, lines(), _MODE)
    except (StoreFailed, OSError) as error:
        # Remove an older manifest, because it does not list the files that came after it.
        with suppress(OSError):
            await trio.Path(path).unlink(missing_ok=True)
        log.error("job %s: %s could not be written: %s", job_id, NAME, error)  # noqa: TRY400  of the disk


async def write_missing_manifests(store: Store, jobs: Path) -> None:
    """Writes the manifests of closed jobs that have none, because an earlier try has failed.

    jobs  the folder with the directories of all jobs
    """

    def find_jobs_without() -> list[str]:
        return [job.name for job in jobs.iterdir() if not (job / NAME).exists()]

    try:
        for job_id in await trio.to_thread.run_sync(find_jobs_without):
            job = await store.load(job_id)
            if job is not None and job.closed and not job.files_deleted:
                await write_manifest(store, job_id, jobs / job_id)
    except (StoreFailed, OSError) as error:
        log.error("missing manifests are not written before the next start: %s", error)  # noqa: TRY400  of the disk
