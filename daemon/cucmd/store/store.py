"""Opens the store. Its reads and writes are async functions of trio."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from sqlite3 import Connection

import msgspec
import trio

from cucmd.histogram import Histogram
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

# The most writes in one transaction. The changes of 400 nodes at the same time fit into one.
_BATCH = 512

# This character sorts after every character that an id can have.
_LAST_CHARACTER = "\U0010ffff"


class Store:
    """Writes and reads jobs and files. Use `open_store` to make a store.

    Writes are applied in the order of the calls. A write is on the disk when its call returns. If
    the call raises an exception, nothing was changed. Only `end_deletion` can then have deleted a
    part; the next call continues.

    Every method raises `StoreFailed`, and works again when the cause is gone. A row that cannot be
    decoded is logged, and left out of every result.

    A cancelled write is applied all the same; only its result is lost. A caller that needs the
    result shields the call from cancellation. See thread.py.
    """

    def __init__(
        self,
        path: Path,
        connect: Connect,
        notices: Sequence[str],
        clock: Callable[[], float],
        reserve: Reserve,
    ) -> None:
        self.notices = tuple(notices)  # lines for the log about what was found at the start
        self.reserve = reserve
        # Called with each job that was changed without running, in the order of the changes.
        self.on_changed: Callable[[Job], None] = lambda job: None
        # Called when a node has told which nodes its cluster has, and this is stored.
        self.on_discovered: Callable[[], None] = lambda: None
        self._writer = DatabaseThread(
            f"write {path}", partial(connect, path), begin="BEGIN IMMEDIATE", batch=_BATCH
        )
        # Reads have their own connection and thread: in WAL mode they do not wait for a slow fsync.
        self._reader = DatabaseThread(
            f"read {path}", partial(connect, path), begin="BEGIN", batch=1
        )
        self.clock = clock
        self._opened_at = clock()
        # The time on `clock` minus the count that `elapsed` returns; the difference is constant.
        # None until the count has been read from the database. Only the writer's thread uses this
        # field.
        self._zero: float | None = None

    @property
    def latencies(self) -> dict[str, Histogram]:
        """Returns how long callers have waited for writes and for reads."""
        return {"write": self._writer.latency, "read": self._reader.latency}

    async def add_job(self, job: Job, key: StartKey | None = None) -> None:
        """Stores a new job, with the key of the call that started it."""
        await self._writer.run(partial(job_sql.insert_job, job=job, key=key))

    async def change(self, job_id: str, change: Callable[[Job], Job]) -> Job | None:
        """Changes a job that does not run.

        `change` gets the job as it is stored then, so that the changes that others make at the same
        time are kept. It is called in the writer's thread, and what it raises is passed on.

        Returns the changed job, or None if nothing has changed or there is no such job.
        """
        write = partial(job_sql.change_job, job_id=job_id, change=change)
        try:
            return await self._writer.run(write, on_answer=self._report_change)
        except StoreFailed as failed:
            if failed.__cause__ is None or isinstance(failed.__cause__, sqlite3.Error):
                raise
            raise failed.__cause__ from None  # `change` raised it

    def _report_change(self, changed: Job | None) -> None:
        if changed is not None:
            self.on_changed(changed)

    async def reopen_job(self, before: Job, after: Job, key: StartKey | None = None) -> Job | None:
        """Saves a closed job that is tried again. Returns the job with its new revision.

        Returns None, and saves nothing, if the stored job is not equal to `before` any more.
        """
        reopen = partial(job_sql.reopen_job, before=before, after=after, key=key)
        return await self._writer.run(reopen)

    async def save(self, before: Job, after: Job) -> None:
        """Writes what differs from `before`, which is the job as it was saved last.

        Making the same call twice has the same result.
        """
        update = partial(job_sql.update_job, before=before, after=after)
        await self._writer.run(update, on_answer=self._report_discovery)

    def _report_discovery(self, stored: bool) -> None:
        if stored:
            self.on_discovered()

    async def save_files(self, job_id: str, files: Sequence[ReceivedFile]) -> None:
        """Adds files of a job. A file with the node and path of a saved file replaces that file."""
        await self._writer.run(partial(job_sql.upsert_files, job_id=job_id, files=tuple(files)))

    async def close_job(self, job_id: str, ended_at: float | None = None) -> Job | None:
        """Marks an ended job as closed: all received files are saved, and none can follow.

        Returns the closed job, or None if it was closed before, has not ended or cannot be read.

        ended_at  the end of the job on `clock`, or None for a job that ended before a restart,
                  which counts as if it ended now
        """

        def close(connection: Connection) -> Job | None:
            after = self._elapsed(connection, ended_at)
            return job_sql.close_job(connection, job_id, after)

        return await self._writer.run(close, on_answer=self._report_change)

    async def elapsed(self) -> float:
        """Returns for how many seconds daemons have had this database open.

        This is a lower bound on the elapsed time, unaffected by changes of the wall clock. The
        count is saved by this method and when a job is closed. The seconds since then are lost when
        the daemon stops.
        """
        return await self._writer.run(self._elapsed)

    def _elapsed(self, connection: Connection, at: float | None = None) -> float:
        """Saves the current count. Returns the count at the time `at` on `clock`, or now."""
        # What is saved is the sum, so a save that fails loses no time of the count.
        if self._zero is None:
            self._zero = self._opened_at - deletion_sql.select_seconds(connection)
        now = self.clock()
        deletion_sql.save_seconds(connection, now - self._zero)
        return (now if at is None else at) - self._zero

    async def closed_jobs(self) -> tuple[ClosedJob, ...]:
        """Returns all closed jobs, the job that ended last first."""
        return await self._reader.run(deletion_sql.select_closed)

    async def begin_deletion(self, job_id: str, *, record: bool) -> BegunDeletion:
        """Marks a closed job before the first of its files is deleted.

        record  whether the record of the job will be deleted too. A later call cannot revoke this.
        """
        begin = partial(deletion_sql.begin_deletion, job_id=job_id, record=record)
        return await self._writer.run(begin)

    async def end_deletion(self, job_id: str) -> int:
        """Notes that the files of a marked job are deleted, and deletes its record if
        `begin_deletion` asked for that. Does nothing for an unmarked job.

        Returns the revision of the job's end if its record is gone, or 0 if its record stays.
        """
        end = partial(deletion_sql.finish_deletion, job_id=job_id)
        while (revision := await self._writer.run(end)) is None:
            pass  # each call deletes some rows, so that other writes get their turn in between
        return revision

    async def begun_deletions(self) -> tuple[str, ...]:
        """Returns the ids of jobs whose deletion has begun and not ended, the oldest first."""
        return await self._ids(deletion_sql.BEGUN_DELETIONS)

    async def load(self, job_id: str) -> Job | None:
        """Returns the job, or None if there is no such job or it cannot be read."""
        if not job_id.isascii():  # all ids are ASCII, and SQLite does not accept lone surrogates
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
        """Returns at most `limit` files after (node, path), ordered by these.

        Returns none for an unknown job. With `one_node`, returns only files of that node.
        """
        select = partial(
            job_sql.select_files, job_id=job_id, after=after, limit=limit, one_node=one_node
        )
        return await self._reader.run(select)

    async def paths_alike(self, job_id: str) -> frozenset[bytes]:
        """Returns, in lower case, the paths that differ only in the case of ASCII letters."""
        return await self._reader.run(partial(job_sql.select_paths_alike, job_id=job_id))

    async def find(self, prefix: str) -> tuple[str, ...]:
        """Returns up to 3 ids that begin with `prefix`. More are not needed to see that the prefix
        is ambiguous.
        """
        if not prefix.isascii():
            return ()
        return await self._ids(job_sql.IDS_WITH_PREFIX, prefix, prefix + _LAST_CHARACTER)

    async def newest(self, limit: int, which: JobFilter = EVERY_JOB) -> tuple[JobRow, ...]:
        """Returns at most `limit` jobs, the newest first. Returns fewer if they are very large."""
        return await self._reader.run(partial(list_sql.select_rows, limit=limit, which=which))

    async def count(self, which: JobFilter) -> int:
        """Returns the number of jobs that the filter selects."""
        return await self._reader.run(partial(list_sql.count_rows, which=which))

    async def find_start(self, key: StartKey) -> tuple[str, str] | None:
        """Returns (job id, digest) of the call that the user made with that key, or None."""
        return await self._reader.run(partial(job_sql.select_start, key=key))

    async def discoveries(self) -> tuple[StoredDiscovery, ...]:
        """Returns the last discovery of each node that was asked, the newest first."""
        return await self._reader.run(node_sql.select_discoveries)

    async def target_names(self) -> tuple[str, ...]:
        """Returns the names by which jobs are found, among them those of all nodes in requests."""
        return await self._ids(node_sql.TARGET_NAMES)

    async def undescribed(self, nodes: Sequence[str]) -> tuple[str, ...]:
        """Returns the ids of jobs with one of these nodes and without its role, the newest first.

        Such a job was started before a discovery of the node's cluster.
        """
        return await self._ids(node_sql.UNDESCRIBED, msgspec.json.encode(nodes).decode())

    async def unfinished(self) -> tuple[Job, ...]:
        """Returns the jobs that are queued or running, the oldest first."""
        return await self._reader.run(job_sql.select_unfinished)

    async def unclosed_jobs(self) -> tuple[str, ...]:
        """Returns the ids of jobs that have ended and are not closed, the oldest first."""
        return await self._ids(job_sql.UNCLOSED)

    async def _ids(self, statement: str, *parameters: object) -> tuple[str, ...]:
        return await self._reader.run(
            partial(job_sql.select_ids, statement=statement, parameters=parameters)
        )

    async def aclose(self) -> None:
        """Applies the queued writes and closes the connections."""
        # The writer is closed last: see thread.py.
        await self._reader.aclose()
        await self._writer.aclose()


def boottime() -> float:
    """Returns the seconds of a clock that nobody can set and that runs while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@asynccontextmanager
async def open_store(
    path: Path, *, connect: Connect = connect, clock: Callable[[], float] = boottime
) -> AsyncIterator[Store]:
    """Opens the store at `path`, whose directory is locked while the body runs.

    The database is made if it does not exist. Raises `StateInUse`, `WrongVersion`, `StoreFailed`.

    connect  makes all connections except those that check the file
    clock    returns seconds of a clock that is never set
    """
    with hold_state_directory(path.parent):
        log_once.cache_clear()  # so that each start logs what it cannot read
        reserve = Reserve(path.with_suffix(".reserve"))
        async with reserve.released():
            notices = await trio.to_thread.run_sync(prepare, path, connect, datetime.now(UTC))
            store = Store(path, connect, notices, clock, reserve)
            with suppress(StoreFailed):
                await store.elapsed()  # the first write makes the files beside the database
        try:
            yield store
        finally:
            await store.aclose()
