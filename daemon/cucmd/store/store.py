"""The store's door: jobs and files in and out, durable on return.

The one rule: a write that was called is applied, in the order of the calls, or its caller is told
that nothing of it was.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from sqlite3 import Connection

import trio

from cucmd.job import Job
from cucmd.store import tables
from cucmd.store.database import Connect, connect, prepare
from cucmd.store.lock import hold_state_directory
from cucmd.store.rows import FileRow, JobRow, Received
from cucmd.store.thread import DatabaseThread

log = logging.getLogger(__name__)

# Bounds how long one transaction can grow; 400 nodes that change at once fit into one.
_BATCH = 512

# Sorts after every character that an id can have.
_AFTER_ALL = "\U0010ffff"


class Store:
    """Made by `open_store`. All methods raise StoreFailed, and work again once the cause is gone.

    Cancelling a caller does not take its write back: it is applied, only the answer is lost. A
    caller that must know (and every one that goes on to act on it) shields the call.
    """

    def __init__(self, path: Path, connect: Connect, notices: Sequence[str]) -> None:
        self.notices = tuple(notices)  # what a person should know of the state that was found
        self._said: set[str] = set()
        self._writer = DatabaseThread(
            f"write {path}", partial(connect, path), begin="BEGIN IMMEDIATE", batch=_BATCH
        )
        # Its own connection and thread: under WAL a read does not wait for a slow fsync. One
        # request a transaction, so that what one reader meets does not fail another.
        self._reader = DatabaseThread(
            f"read {path}", partial(connect, path), begin="BEGIN", batch=1
        )
        # Jobs whose last save failed: their rows are older than the next `before`, so the next
        # save writes all of them. Touched in the writer's thread only.
        self._behind: set[str] = set()

    async def add_job(self, job: Job) -> None:
        await self._writer.run(partial(tables.insert_job, job=job))

    async def save(self, before: Job, after: Job) -> None:
        """Writes what differs between the two; saving the same twice does no harm."""
        job_id = after.job_id

        def write(connection: Connection) -> None:
            tables.update_job(connection, before, after, whole=job_id in self._behind)
            self._behind.discard(job_id)

        await self._writer.run(write, undone=partial(self._behind.add, job_id))

    async def save_files(self, job_id: str, node: str, files: Sequence[Received]) -> None:
        """Adds files of a node, or replaces what was saved under the same path."""
        await self._writer.run(
            partial(tables.upsert_files, job_id=job_id, node=node, files=tuple(files))
        )

    async def close_job(self, job_id: str) -> None:
        """Notes that nothing of an ended job can follow: every file that came is on record."""
        await self._writer.run(partial(tables.close_job, job_id=job_id))

    async def load(self, job_id: str) -> Job | None:
        if not job_id.isascii():  # ours are; SQLite could not even be asked about a lone surrogate
            return None
        return await self._reader.run(partial(tables.select_job, job_id=job_id))

    async def files(self, job_id: str) -> tuple[FileRow, ...]:
        """By node, then path; empty for an unknown job."""
        return await self._reader.run(partial(tables.select_files, job_id=job_id))

    async def find(self, prefix: str) -> tuple[str, ...]:
        """At most 3 ids that begin so: none, the one, or enough to say that there are more."""
        if not prefix.isascii():
            return ()
        return await self._ids(tables.FIND, prefix, prefix + _AFTER_ALL)

    async def newest(self, limit: int, status: str | None = None) -> tuple[JobRow, ...]:
        """At most `limit` jobs, newest first."""
        select = partial(tables.select_rows, limit=limit, status=status)
        rows, problems = await self._reader.run(select)
        self._say(problems)
        return tuple(rows)

    async def unfinished(self) -> tuple[Job, ...]:
        """Jobs that are queued or running, oldest first; the log tells of unreadable ones."""
        jobs, problems = await self._reader.run(tables.select_unfinished)
        self._say(problems)
        return tuple(jobs)

    def _say(self, problems: Sequence[str]) -> None:
        """Once for each, however often somebody looks."""
        for problem in problems:
            if problem not in self._said:
                self._said.add(problem)
                log.error("%s", problem)

    async def ended_but_open(self) -> tuple[str, ...]:
        """Ids of jobs that have ended and were not closed, oldest first."""
        return await self._ids(tables.ENDED_BUT_OPEN)

    async def _ids(self, statement: str, *parameters: object) -> tuple[str, ...]:
        return await self._reader.run(
            partial(tables.select_ids, statement=statement, parameters=parameters)
        )

    async def aclose(self) -> None:
        """Applies what is queued. The writer closes last: it folds the journal into the file."""
        await self._reader.aclose()
        await self._writer.aclose()


@asynccontextmanager
async def open_store(path: Path, *, connect: Connect = connect) -> AsyncIterator[Store]:
    """The database at `path`, made if there is none; its directory is ours alone meanwhile.

    Raises StateInUse, StoreTooNew, StoreFailed. `connect` opens every connection that writes,
    and those that read jobs.
    """
    with hold_state_directory(path.parent):
        notices = await trio.to_thread.run_sync(prepare, path, connect, datetime.now(UTC))
        store = Store(path, connect, notices)
        try:
            yield store
        finally:
            await store.aclose()
