"""Deletes jobs: the jobs that a caller names, and the jobs that a rule selects.

A job is marked in the store, then its files are removed, and then its record. If a stop or an error
interrupts this, `finish_interrupted` removes the rest of a marked job.

Nobody else reads or changes a job while it is being deleted (`concurrent_calls.py`). A deletion
goes on if its caller goes away. `stop` interrupts it after the file that is being removed.
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
from cucmd.job.job import End, Job
from cucmd.jobs.job_errors import Draining, JobInUse, UnknownJob
from cucmd.jobs.supervisor import Supervisor
from cucmd.store import ClosedJob, JobRow, Store, StoreFailed, summarise

log = logging.getLogger(__name__)


EVERY = 3600.0  # seconds after which `[retention]` is applied again


class Deleted(NamedTuple):
    """Holds a job as it was before its deletion, and the bytes of its files.

    A list of deleted jobs has `JobRow`s, because the nodes of many jobs could take all memory.
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
        # One directory at a time, because all parts of the daemon share the threads.
        self._one_thread = trio.CapacityLimiter(1)

    def stop(self) -> None:
        """Stops removing files, because the daemon stops."""
        self._stopped.set()

    async def delete(self, prefix: str, *, record: bool) -> Deleted:
        """Deletes the files of a job, and with `record` also the job itself.

        Raises `UnknownJob`, `AmbiguousJob`, `JobInUse`, `Draining`, `StoreFailed`, `OSError`.
        """
        return await self._delete(await self._supervisor.find_id(prefix), record=record)

    async def list_prunable(self, which: retention.Prune) -> list[Deleted]:
        """Returns the jobs that `prune` would delete now, newest first. Raises `StoreFailed`."""
        return [
            Deleted(summarise(job), listed.bytes)
            for listed in await self._select(which)
            if (job := await self._store.load(listed.job_id)) is not None
        ]

    async def _select(self, which: retention.Prune) -> list[ClosedJob]:
        jobs, now = await self._store.closed_jobs(), datetime.now(UTC)
        return retention.jobs_to_prune(which, jobs, now, self._supervisor.holds.is_held)

    async def prune(
        self, which: retention.Prune, why: str = "by the daemon itself"
    ) -> list[Deleted]:
        """Deletes the jobs that the rule selects. `why` is the reason for the log.

        Skips jobs that other calls read or change. Raises `Draining`, `StoreFailed`, `OSError`.
        """
        return await self._delete_all(await self._select(which), why)

    async def apply_retention(self, settings: Retention) -> None:
        """Deletes the jobs that exceed the limits of `[retention]`. Errors are logged."""
        limits = {"days": settings.days, "most": settings.jobs, "most_bytes": settings.bytes}
        if not any(limits.values()):
            return
        with _errors_logged("[retention] is not applied"):
            try:
                elapsed = await self._store.elapsed()
            except StoreFailed:  # in most cases the disk is full, and this is about to empty it
                async with self._store.reserve.released():
                    elapsed = await self._store.elapsed()
            jobs, now = await self._store.closed_jobs(), datetime.now(UTC)
            held = self._supervisor.holds.is_held
            beyond = retention.jobs_beyond_limits(jobs, now, elapsed, held, **limits)
            await self._delete_all(beyond, "as [retention] says")

    async def finish_interrupted(self) -> None:
        """Finishes the deletions that a stop or an error has interrupted. Errors are logged."""
        with _errors_logged("interrupted deletions cannot be looked up"):
            for job_id in await self._store.begun_deletions():
                changing = self._supervisor.holds.changing(job_id)
                with suppress(JobInUse), changing, _errors_logged(f"job {job_id}: not deleted yet"):
                    async with self._store.reserve.released():
                        await self._remove(job_id, await self._store.load(job_id))
                    log.info("job %s: its deletion is finished", job_id)

    async def _delete_all(self, jobs: Iterable[ClosedJob], why: str) -> list[Deleted]:
        """Deletes as many of these jobs as possible, and then raises the first error.

        Logs only the first error, because a broken disk may give thousands. Logs each deleted job
        at once, because the caller gets an error instead of the list.
        """
        deleted: list[Deleted] = []
        failed: StoreFailed | OSError | None = None
        for listed in jobs:
            try:
                with suppress(JobInUse, UnknownJob):
                    gone = await self._delete(listed.job_id, record=True, listed=listed)
                    deleted.append(gone.without_nodes())
                    log.info("job %s: deleted %s", listed.job_id, why)
            except (StoreFailed, OSError) as error:
                if failed is None:
                    log.error("job %s: not deleted: %s", listed.job_id, error)  # noqa: TRY400  of the disk
                failed = failed or error
        if failed is not None:
            raise failed
        return deleted

    async def _delete(
        self, job_id: str, *, record: bool, listed: ClosedJob | None = None
    ) -> Deleted:
        """Deletes a closed job. `listed` is the job as a rule has selected it, or None if the
        caller has named the job.
        """
        with self._supervisor.holds.changing(job_id):
            job = await self._supervisor.wait_closed(job_id)
            if listed is not None and not _is_still_selected(job, listed):
                raise JobInUse(job_id, "the rule may not select it any more")
            # Checked before the mark: a job that is marked in the store is deleted by the next
            # start, and the caller would have got an error for it.
            if self._stopped.is_set():
                raise Draining
            # This ends the reading of the job's traces. It comes after the wait for the closing of
            # the job, because the closing begins that reading.
            self._supervisor.on_changing(job_id)
            with trio.CancelScope(shield=True):
                async with self._store.reserve.released():
                    begun = await self._store.begin_deletion(job_id, record=record)
                    if begun.job is not None:
                        # Watchers learn of the deletion when it is durable, and not only after the
                        # removal of the files, which can take minutes.
                        self._store.on_changed(begun.job)
                    await self._remove(job_id, begun.job or job)
            return Deleted(job, begun.bytes)

    async def _remove(self, job_id: str, job: Job | None) -> None:
        """Removes the files of a marked job, and its record if it is marked so.

        `job` is published to watchers. It is None if the job cannot be read from the store.
        """
        remove = partial(remove_directory, self._supervisor.directory(job_id), self._stopped)
        with trio.CancelScope(shield=True):
            try:
                await trio.to_thread.run_sync(remove, limiter=self._one_thread)
            except Stopped:
                raise Draining from None
            revision = await self._store.end_deletion(job_id)
        if revision and job is not None:
            self._store.on_changed(replace(job.with_end(End.DELETED), revision=revision))


class RetentionTask:
    """Finishes interrupted deletions and applies `[retention]`: at the start, once an hour, and
    after each job. `settings` is called each time, because a reload changes the settings.
    """

    def __init__(self, deletions: Deletions, settings: Callable[[], Retention]) -> None:
        self._deletions = deletions
        self._settings = settings
        self._news = trio.Event()

    def job_closed(self) -> None:
        """Lets `run` apply `[retention]` soon. Never waits."""
        self._news.set()

    async def run(self) -> None:
        while True:
            # A job that closes from here on sets the new event, so that another round follows, even
            # if this round has read the list of closed jobs already.
            self._news = trio.Event()
            await self._deletions.finish_interrupted()
            await self._deletions.apply_retention(self._settings())
            with trio.move_on_after(EVERY):
                await self._news.wait()


def _is_still_selected(job: Job, listed: ClosedJob) -> bool:
    """Says whether the rule would still select the job: its list may be some hours old."""
    return (
        retention.KEEP not in job.labels
        and listed.labels.items() <= job.labels.items()
        and job.completed_at == listed.completed_at
        and not (listed.bytes and job.files_deleted)
    )


@contextmanager
def _errors_logged(what: str) -> Iterator[None]:
    try:
        yield
    except (StoreFailed, OSError) as error:
        log.error("%s: %s", what, error)  # noqa: TRY400  of the disk, no defect
    except Draining:
        pass
