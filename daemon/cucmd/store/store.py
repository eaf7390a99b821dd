"""`Store`: writes and reads jobs and files. A write is durable when its call returns.

Writes are applied in the order of the calls. Each is applied completely, or its caller gets an
exception and nothing of it is there.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from sqlite3 import Connection

import trio

from cucmd.job.job import Job
from cucmd.received_file import ReceivedFile
from cucmd.store import deletion_sql, job_sql, list_sql, node_sql
from cucmd.store.database import Connect, connect, hold_state_directory, prepare
from cucmd.store.deletion_sql import BegunDeletion
from cucmd.store.errors import StoreFailed
from cucmd.store.node_sql import StoredDiscovery
from cucmd.store.reserve import Reserve
from cucmd.store.rows import EVERY_JOB, ClosedJob, JobFilter, JobRow, StartKey
from cucmd.store.thread import DatabaseThread
from cucmd.store.unreadable import log_once

# Writes in one transaction at most. 400 nodes that change at once fit into one.
_BATCH = 512

# Sorts after every character that an id can have.
_LAST_CHARACTER = "\U0010ffff"


class Store:
    """Writes and reads jobs and files. `open_store` makes it. Every method raises `StoreFailed`,
    and works again once the cause is gone. A row that cannot be decoded is left out of every
    reply, and logged.

    A cancelled write is applied all the same, only the answer is lost. A caller that has to know,
    because it acts on the answer, shields the call. See thread.py.
    """

    def __init__(
        self,
        path: Path,
        connect: Connect,
        notices: Sequence[str],
        clock: Callable[[], float],
        reserve: Reserve,
    ) -> None:
        self.notices = tuple(notices)  # what was found at the start, for the log
        self.reserve = reserve
        # Called with each job that was changed while it does not run, in the order of the changes.
        self.on_changed: Callable[[Job], None] = lambda job: None
        self._writer = DatabaseThread(
            f"write {path}", partial(connect, path), begin="BEGIN IMMEDIATE", batch=_BATCH
        )
        # A connection and a thread of its own: in WAL mode a read does not wait for a slow fsync.
        self._reader = DatabaseThread(
            f"read {path}", partial(connect, path), begin="BEGIN", batch=1
        )
        self.clock = clock
        self._opened_at = clock()
        # By that clock, of `elapsed`: known once the database is read. In the writer's thread only.
        self._zero: float | None = None

    async def add_job(self, job: Job, key: StartKey | None = None) -> None:
        await self._writer.run(partial(job_sql.insert_job, job=job, key=key))

    async def change(self, job_id: str, change: Callable[[Job], Job]) -> Job | None:
        """Changes a job that does not run: as it is in the store, so that what others change at the
        same time stays. Gives the job then; None: nothing has changed, or there is no such job.

        change  called in the writer's thread; what it raises is passed on
        """

        def write(connection: Connection) -> Job | Exception | None:
            try:
                return job_sql.change_job(connection, job_id, change)
            except sqlite3.Error:
                raise
            except Exception as error:  # of `change`: nothing has been written
                return error

        changed = await self._writer.run(write, on_answer=self._tell)
        if isinstance(changed, Exception):
            raise changed
        return changed

    def _tell(self, changed: object) -> None:
        if isinstance(changed, Job):
            self.on_changed(changed)

    async def reopen_job(self, before: Job, after: Job, key: StartKey | None = None) -> Job | None:
        """Saves a closed job that is tried again. Gives it with the revision that it has then.

        None: it is not as `before` any more, and nothing is saved.
        """
        reopen = partial(job_sql.reopen_job, before=before, after=after, key=key)
        return await self._writer.run(reopen)

    async def save(self, before: Job, after: Job) -> None:
        """Writes what differs from `before`, which is the job as it was saved last. The same call
        twice has the same result.
        """
        await self._writer.run(partial(job_sql.update_job, before=before, after=after))

    async def save_files(self, job_id: str, files: Sequence[ReceivedFile]) -> None:
        """Adds files of a job. One with the node and path of a saved file replaces it."""
        await self._writer.run(partial(job_sql.upsert_files, job_id=job_id, files=tuple(files)))

    async def close_job(self, job_id: str, ended_at: float | None = None) -> Job | None:
        """Marks an ended job: every file that was received is saved, and none can follow.

        ended_at  by `clock`; None: it ended before a restart, and now is the end of it

        Gives it then; None: nothing has changed.
        """

        def close(connection: Connection) -> Job | None:
            after = self._elapsed(connection, ended_at)
            return job_sql.close_job(connection, job_id, after)

        return await self._writer.run(close, on_answer=self._tell)

    async def elapsed(self) -> float:
        """Returns how many seconds a daemon has had this database open, whatever was done to the
        wall clock: less than have passed, and never more. They are counted here and when a job is
        closed; those since then are lost in a stop.
        """
        return await self._writer.run(self._elapsed)

    def _elapsed(self, connection: Connection, at: float | None = None) -> float:
        """Writes it, in the writer's thread. Gives what it was at that time; None: what it is."""
        if self._zero is None:
            self._zero = self._opened_at - deletion_sql.select_seconds(connection)
        now = self.clock()
        deletion_sql.save_seconds(connection, now - self._zero)
        return (now if at is None else at) - self._zero

    async def closed_jobs(self) -> tuple[ClosedJob, ...]:
        """Returns all of them, those that ended last first."""
        return await self._reader.run(deletion_sql.select_closed)

    async def begin_deletion(self, job_id: str, *, record: bool) -> BegunDeletion:
        """Marks a closed job before the first of its files is deleted; with `record` the job will
        be deleted too. A deletion that was begun with the record stays one.
        """
        begin = partial(deletion_sql.begin_deletion, job_id=job_id, record=record)
        return await self._writer.run(begin)

    async def end_deletion(self, job_id: str) -> int:
        """Notes that the files of a marked job are gone. So is the job then, if it was marked so.

        Gives the revision of that; 0: the job is still there.
        """
        end = partial(deletion_sql.finish_deletion, job_id=job_id)
        while (revision := await self._writer.run(end)) is None:
            pass  # in pieces, so that other writes have their turn in between
        return revision

    async def begun_deletions(self) -> tuple[str, ...]:
        """Returns ids of jobs of which files are left that are to be deleted, oldest first."""
        return await self._ids(deletion_sql.BEGUN)

    async def load(self, job_id: str) -> Job | None:
        if not job_id.isascii():  # every id is, and SQLite takes no lone surrogate
            return None
        return await self._reader.run(partial(job_sql.select_job, job_id=job_id))

    async def files(
        self,
        job_id: str,
        after: tuple[str, str] = ("", ""),
        limit: int = 1000,
        *,
        one_node: bool = False,
    ) -> tuple[ReceivedFile, ...]:
        """Returns the next files after (node, path), ordered by these; none for an unknown job.

        one_node  only those of that node
        """
        select = partial(
            job_sql.select_files, job_id=job_id, after=after, limit=limit, one_node=one_node
        )
        return await self._reader.run(select)

    async def paths_alike(self, job_id: str) -> frozenset[bytes]:
        """Returns the paths, in lower case, of files whose paths differ in case alone."""
        return await self._reader.run(partial(job_sql.select_paths_alike, job_id=job_id))

    async def find(self, prefix: str) -> tuple[str, ...]:
        """Returns up to 3 ids that begin with `prefix`: that is enough to call it ambiguous."""
        if not prefix.isascii():
            return ()
        return await self._ids(job_sql.FIND, prefix, prefix + _LAST_CHARACTER)

    async def newest(self, limit: int, which: JobFilter = EVERY_JOB) -> tuple[JobRow, ...]:
        """Returns at most `limit` jobs, newest first; fewer where they are very large."""
        return await self._reader.run(partial(list_sql.select_rows, limit=limit, which=which))

    async def count(self, which: JobFilter) -> int:
        """Returns how many jobs there are."""
        return await self._reader.run(partial(list_sql.count_rows, which=which))

    async def find_start(self, key: StartKey) -> tuple[str, str] | None:
        """Returns (job id, digest) of the call that this user has made with that key, or None."""
        return await self._reader.run(partial(job_sql.select_start, key=key))

    async def discoveries(self) -> tuple[StoredDiscovery, ...]:
        """Returns what each node that was asked for its cluster has said last, the newest first."""
        return await self._reader.run(node_sql.select_discoveries)

    async def unfinished(self) -> tuple[Job, ...]:
        """Returns the jobs that are queued or running, oldest first."""
        return await self._reader.run(job_sql.select_unfinished)

    async def unclosed_jobs(self) -> tuple[str, ...]:
        """Returns ids of jobs that have ended and are not closed (`close_job`), oldest first."""
        return await self._ids(job_sql.ENDED_BUT_OPEN)

    async def _ids(self, statement: str, *parameters: object) -> tuple[str, ...]:
        return await self._reader.run(
            partial(job_sql.select_ids, statement=statement, parameters=parameters)
        )

    async def aclose(self) -> None:
        """Applies the queued writes. The writer closes last: see thread.py."""
        await self._reader.aclose()
        await self._writer.aclose()


def boottime() -> float:
    """Reads, in seconds, a clock that nobody can set, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@asynccontextmanager
async def open_store(
    path: Path, *, connect: Connect = connect, clock: Callable[[], float] = boottime
) -> AsyncIterator[Store]:
    """Opens the store at `path`. Its directory is locked while the body runs.

    The database is made if there is none. `connect` makes every connection but those that check
    the file. `clock` gives seconds; it is never set. Raises `StateInUse`, `WrongVersion`,
    `StoreFailed`.
    """
    with hold_state_directory(path.parent):
        log_once.cache_clear()  # each start says what it cannot read
        reserve = Reserve(path.with_suffix(".reserve"))
        async with reserve.given_up():
            notices = await trio.to_thread.run_sync(prepare, path, connect, datetime.now(UTC))
            store = Store(path, connect, notices, clock, reserve)
            with suppress(StoreFailed):
                await store.elapsed()  # a first write makes the files that SQLite has beside it
        try:
            yield store
        finally:
            await store.aclose()
