"""Deletes jobs: those that are named, those that a rule means, and those that a stop has left.

The files are deleted first, the record last. A job is marked in the store before its first file is
removed, and what a stop or an error leaves of it is removed by `finish`.

Nobody reads or changes a job meanwhile (jobs/at_once.py). A caller that goes away does not end what
was begun; `stop` does, within a file.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import trio
from msgspec.structs import replace

from cucmd.cases import retention
from cucmd.cases.files import Stopped, remove_directory
from cucmd.config import Retention
from cucmd.job.job import End, Job, JobEnded, Outcome
from cucmd.job.timeouts import Timeouts
from cucmd.job.work import UNKNOWN_WORK
from cucmd.jobs.errors import Busy, Draining, UnknownJob
from cucmd.jobs.supervisor import Supervisor
from cucmd.store import BegunDeletion, ClosedJob, JobRow, Store, StoreFailed, summarise

log = logging.getLogger(__name__)


EVERY = 3600.0  # seconds between two looks at what `[retention]` lets stay
# When a job was created whose row does not tell.
_UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)


class Deleted(NamedTuple):
    """Holds a job as it was, and the bytes that its files took. Of many jobs each is without its
    nodes: together they could take all memory.
    """

    job: Job | JobRow
    bytes: int

    def without_nodes(self) -> Deleted:
        return self if isinstance(self.job, JobRow) else Deleted(summarise(self.job), self.bytes)


class Deletions:
    """Deletes jobs and their files, one directory at a time."""

    def __init__(self, supervisor: Supervisor, store: Store) -> None:
        self._supervisor = supervisor
        self._store = store
        self._stopped = threading.Event()
        # One directory at a time: the threads are for everybody.
        self._one = trio.CapacityLimiter(1)

    def stop(self) -> None:
        """The daemon stops: nothing more is removed."""
        self._stopped.set()

    async def delete(self, prefix: str, *, record: bool) -> Deleted:
        """Deletes what a job has collected, and with `record` the job.

        One whose rows are damaged, too: it runs no more, and nothing else can be done with it.
        Raises `UnknownJob`, `AmbiguousJob`, `Busy`, `Draining`, `StoreFailed`, `OSError`.
        """
        job_id = await self._supervisor.find_id(prefix)
        try:
            return await self._delete(job_id, record=record)
        except StoreFailed as error:
            if not error.damaged_row:
                raise
        return await self._delete_damaged(job_id, record=record)

    async def _delete_damaged(self, job_id: str, *, record: bool) -> Deleted:
        """Deletes the job, and returns what is left of it, as far as it can be read."""
        with self._supervisor.holds.changing(job_id):
            row = await self._row_of_damaged(job_id)
            if self._stopped.is_set():
                raise Draining
            with trio.CancelScope(shield=True):
                begun = await self._store.begin_deletion(job_id, record=record, damaged=True)
                await self._remove(job_id, self._tell_begun(_for_watchers(row), begun))
            return Deleted(row, begun.bytes)

    async def _row_of_damaged(self, job_id: str) -> JobRow:
        try:
            row = await self._store.row(job_id)
        except StoreFailed as error:
            if not error.damaged_row:
                raise
            row = None
        return row or JobRow(job_id, "failed", _UNKNOWN_TIME, None, 0, 0, 0, 0, 0, None, None)

    async def meant(self, which: retention.Prune) -> list[Deleted]:
        """Returns what `prune` would delete now, newest first. Raises `StoreFailed`."""
        found: list[Deleted] = []
        for one in await self._meant(which):
            with suppress(StoreFailed):  # its row is damaged, so that it cannot be deleted either
                job = await self._store.load(one.job_id)
                found += [] if job is None else [Deleted(summarise(job), one.bytes)]
        return found

    async def _meant(self, which: retention.Prune) -> list[ClosedJob]:
        jobs, now = await self._store.closed_jobs(), datetime.now(UTC)
        return retention.pruned(which, jobs, now, self._supervisor.holds.held)

    async def prune(
        self, which: retention.Prune, why: str = "by the daemon itself"
    ) -> list[Deleted]:
        """Deletes the jobs that the rule means. `why`: who has asked for it, for the log.

        One that is held meanwhile stays. Raises `Draining`, `StoreFailed`, `OSError`.
        """
        return await self._delete_all(await self._meant(which), why)

    async def retain(self, settings: Retention) -> None:
        """Deletes what is beyond the limits of the configuration. What fails is logged."""
        limits = {"days": settings.days, "most": settings.jobs, "most_bytes": settings.bytes}
        if not any(limits.values()):
            return
        with _logged("[retention] is not applied"):
            elapsed = await self._store.elapsed()
            jobs, now = await self._store.closed_jobs(), datetime.now(UTC)
            held = self._supervisor.holds.held
            beyond = retention.beyond(jobs, now, elapsed, held, **limits)
            await self._delete_all(beyond, "as [retention] says")

    async def finish(self) -> None:
        """Deletes what is left of jobs whose deletion was begun. What fails is logged."""
        with _logged("what is left of deleted jobs is not known"):
            for job_id in await self._store.begun_deletions():
                changing = self._supervisor.holds.changing(job_id)
                with suppress(Busy), changing, _logged(f"job {job_id}: it is not deleted yet"):
                    await self._remove(job_id, await self._as_far_as_readable(job_id))
                    log.info("job %s: its deletion is finished", job_id)

    async def _as_far_as_readable(self, job_id: str) -> Job:
        with suppress(StoreFailed):
            if (job := await self._store.load(job_id)) is not None and job.ended:
                return job
        return _for_watchers(await self._row_of_damaged(job_id))

    async def _delete_all(self, jobs: Iterable[ClosedJob], why: str) -> list[Deleted]:
        """Deletes all that it can, and raises the first error at last.

        Only that one is in the log: of a disk that is broken there may be thousands. But each job
        that is deleted is, as soon as it is: what the caller gets at last may be an error.
        """
        deleted: list[Deleted] = []
        failed: StoreFailed | OSError | None = None
        for one in jobs:
            try:
                with suppress(Busy, UnknownJob):
                    gone = await self._delete(one.job_id, record=True, listed=one)
                    deleted.append(gone.without_nodes())
                    log.info("job %s: deleted %s", one.job_id, why)
            except (StoreFailed, OSError) as error:
                if failed is None:
                    log.error("job %s: not deleted: %s", one.job_id, error)  # noqa: TRY400  of the disk
                failed = failed or error
        if failed is not None:
            raise failed
        return deleted

    async def _delete(
        self, job_id: str, *, record: bool, listed: ClosedJob | None = None
    ) -> Deleted:
        """Deletes a closed job. `listed`: as a rule has found it; None: it was named."""
        with self._supervisor.holds.changing(job_id):
            job = await self._supervisor.closed(job_id)
            if listed is not None and not _is_as_listed(job, listed):
                raise Busy(job_id, "the rule may not mean it any more")
            if self._stopped.is_set():
                raise Draining
            self._supervisor.on_changing(job_id)
            with trio.CancelScope(shield=True):
                begun = await self._store.begin_deletion(job_id, record=record)
                await self._remove(job_id, self._tell_begun(job, begun))
            return Deleted(job, begun.bytes)

    def _tell_begun(self, job: Job, begun: BegunDeletion) -> Job:
        """Gives the job as watchers know it then. `job`: as it was, or what can be read of it."""
        if begun.revision is None:
            return job
        job = begun.job or replace(job.at_end(End.FILES_DELETED), revision=begun.revision)
        self._store.tell(job)
        return job

    async def _remove(self, job_id: str, job: Job) -> None:
        """Removes the files of a marked job, and its record if marked so. `job`: for watchers."""
        remove = partial(remove_directory, self._supervisor.directory(job_id), self._stopped)
        with trio.CancelScope(shield=True):
            try:
                await trio.to_thread.run_sync(remove, limiter=self._one)
            except Stopped:
                raise Draining from None
            gone = await self._store.end_deletion(job_id)
        if gone:
            revision = max(gone, job.revision + 1)  # a damaged row has not kept that of the begin
            self._store.tell(replace(job.at_end(End.DELETED), revision=revision))


class RetentionTask:
    """Applies `[retention]`: at the start, once an hour, and after each job. What a stop has left
    of a deletion is finished first. `settings` is called each time, since a reload changes them.
    """

    def __init__(self, deletions: Deletions, settings: Callable[[], Retention]) -> None:
        self._deletions = deletions
        self._settings = settings
        self._news = trio.Event()

    def job_closed(self) -> None:
        """Never waits."""
        self._news.set()

    async def run(self) -> None:
        while True:
            self._news = trio.Event()
            await self._deletions.finish()
            await self._deletions.retain(self._settings())
            with trio.move_on_after(EVERY):
                await self._news.wait()


def _is_as_listed(job: Job, listed: ClosedJob) -> bool:
    """Says whether that for which a rule has meant the job is still so: others were deleted since
    the list was made.
    """
    return (
        retention.KEEP not in job.labels
        and listed.labels.items() <= job.labels.items()
        and job.completed_at == listed.completed_at
        and not (listed.bytes and job.files_deleted)
    )


def _for_watchers(row: JobRow) -> Job:
    """Returns what can be read of a job whose rows are damaged, without nodes. It runs no more."""
    completed = row.completed_at or row.created_at
    known = {one.value: one for one in Outcome}
    ended = JobEnded(None, completed, known.get(row.status, Outcome.FAILED), End.CLOSED)
    if row.job is None:
        return Job(row.job_id, row.created_at, UNKNOWN_WORK, Timeouts(), 1, (), ended)
    state = row.job.at_end(End.CLOSED).state if row.job.ended else ended
    return replace(row.job, job_id=row.job_id, nodes=(), state=state)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except (StoreFailed, OSError) as error:
        log.error("%s: %s", what, error)  # noqa: TRY400  of the disk, no defect
    except Draining:
        pass
