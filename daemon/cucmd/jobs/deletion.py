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
from cucmd.job.job import End, Job
from cucmd.jobs.errors import Busy, Draining, UnknownJob
from cucmd.jobs.supervisor import Supervisor
from cucmd.store import ClosedJob, JobRow, Store, StoreFailed, summarise

log = logging.getLogger(__name__)


EVERY = 3600.0  # seconds between two looks at what `[retention]` lets stay


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

        Raises `UnknownJob`, `AmbiguousJob`, `Busy`, `Draining`, `StoreFailed`, `OSError`.
        """
        return await self._delete(await self._supervisor.find_id(prefix), record=record)

    async def meant(self, which: retention.Prune) -> list[Deleted]:
        """Returns what `prune` would delete now, newest first. Raises `StoreFailed`."""
        meant = await self._meant(which)
        return [
            Deleted(summarise(job), one.bytes)
            for one in meant
            if (job := await self._store.load(one.job_id)) is not None
        ]

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
            try:
                elapsed = await self._store.elapsed()
            except StoreFailed:  # mostly a full disk, which this may be about to empty
                async with self._store.reserve.given_up():
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
                    async with self._store.reserve.given_up():
                        await self._remove(job_id, await self._store.load(job_id))
                    log.info("job %s: its deletion is finished", job_id)

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
                async with self._store.reserve.given_up():
                    begun = await self._store.begin_deletion(job_id, record=record)
                    if begun.job is not None:
                        self._store.on_changed(begun.job)
                    await self._remove(job_id, begun.job or job)
            return Deleted(job, begun.bytes)

    async def _remove(self, job_id: str, job: Job | None) -> None:
        """Removes the files of a marked job, and its record if marked so. `job`: for watchers;
        None: its row cannot be read.
        """
        remove = partial(remove_directory, self._supervisor.directory(job_id), self._stopped)
        with trio.CancelScope(shield=True):
            try:
                await trio.to_thread.run_sync(remove, limiter=self._one)
            except Stopped:
                raise Draining from None
            revision = await self._store.end_deletion(job_id)
        if revision and job is not None:
            self._store.on_changed(replace(job.at_end(End.DELETED), revision=revision))


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


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except (StoreFailed, OSError) as error:
        log.error("%s: %s", what, error)  # noqa: TRY400  of the disk, no defect
    except Draining:
        pass
