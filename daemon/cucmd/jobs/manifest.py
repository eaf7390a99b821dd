"""Writes `manifest.json` into the directory of a job: the list of its files, to be read without the
daemon.

The store is the record. The manifest is replaced by what the store has each time the job closes,
before it is marked as closed: after a kill in between, the next start writes it again. It is an
array with an object for each file, in lines of their own:

    {"node":"cucm-pub","path":"cucm-pub/files/...","size":4,"sha256":"...","complete":true}
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import trio

from cucmd.cases.documents import shown
from cucmd.durable import replace_file
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

NAME = "manifest.json"
PAGE = 2_000  # files that are read at a time: a megabyte
_MODE = 0o640
_encode = msgspec.json.Encoder().encode


async def write_manifest(store: Store, job_id: str, directory: Path) -> None:
    """Replaces the manifest of the job. If that fails it is logged, and there is none then: the
    next start tries again. A job without a directory has none.

    A job can have hundreds of thousands of files, which are not all in memory at once.
    """

    after = "", ""

    async def next_page() -> tuple[ReceivedFile, ...]:
        nonlocal after
        if page := await store.files(job_id, after, PAGE):
            after = page[-1].node, page[-1].path
        return page

    def lines() -> Iterator[bytes]:
        separator = b"[\n"
        while page := trio.from_thread.run(next_page):
            for file in page:
                yield separator + _encode(
                    {
                        "node": file.node,
                        "path": shown(file.path),
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
        # That of before a retry would not have all files.
        with suppress(OSError):
            await trio.Path(path).unlink(missing_ok=True)
        log.error("job %s: %s is not written: %s", job_id, NAME, error)  # noqa: TRY400  of the disk


async def write_missing_manifests(store: Store, jobs: Path) -> None:
    """Writes those of closed jobs that could not be written before. `jobs`: their directories."""

    def without() -> list[str]:
        return [one.name for one in jobs.iterdir() if not (one / NAME).exists()]

    try:
        for job_id in await trio.to_thread.run_sync(without):
            job = await store.load(job_id)
            if job is not None and job.closed and not job.files_deleted:
                await write_manifest(store, job_id, jobs / job_id)
    except (StoreFailed, OSError) as error:
        log.error("manifests are not looked at before the next start: %s", error)  # noqa: TRY400  of the disk
