"""Accepts jobs, runs them in a nursery, finds and cancels them, and resumes them after a restart.

The one rule: a job whose start was answered is durable, and it either runs here or has ended in the
store. Nothing else runs jobs.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeAlias

import msgspec
import trio

from cucmd.config import Limits
from cucmd.failure import Code, failure
from cucmd.job import Job
from cucmd.jobs.errors import (
    AmbiguousJob,
    AtLimit,
    Draining,
    FilesDeleted,
    UnknownJob,
    UnknownNode,
)
from cucmd.jobs.holds import Busy, Holds
from cucmd.jobs.recovery import RecoveredFiles, recover_files, with_received
from cucmd.jobs.run import JobRun, JobServices, JobStopped
from cucmd.jobs.start_keys import StartKeys
from cucmd.node.ports import NodeTask
from cucmd.store import EVERY_JOB, JobFilter, JobRow, StartKey, StoreFailed

log = logging.getLogger(__name__)

# Makes the tasks of a job that a restart found unfinished, None for a node that has ended. None for
# the whole job if its password is not available.
Replan: TypeAlias = Callable[[Job], Sequence[NodeTask | None] | None]
PlanRetry: TypeAlias = Callable[[Job], tuple[Job, Sequence[NodeTask | None]]]


# Characters of an id; ours have 12. No longer text is looked for in the store.
LONGEST_ID = 64


class Supervisor:
    """Made by `open_supervisor`."""

    def __init__(
        self, services: JobServices, jobs_directory: Path, limits: Limits, nursery: trio.Nursery
    ) -> None:
        self._services = services
        self._directory = jobs_directory
        self._limits = limits
        self._live: dict[str, JobRun] = {}
        self._starting: set[str] = set()  # of the live ones: not durable yet, so not shown
        self.ended = 0  # jobs whose last connection has closed, since the start
        self.on_closed: Callable[[str], None] = lambda job_id: None  # called with each such job
        self._start_keys = StartKeys(services.store)
        self.holds = Holds()
        self._draining = False
        self._nursery = nursery

    def change_limits(self, limits: Limits) -> None:
        self._limits = limits
        self._services.admission.change(limits)

    def directory(self, job_id: str) -> Path:
        return self._directory / job_id

    @property
    def live(self) -> int:
        return len(self._live)

    # Work

    async def start(
        self, job: Job, tasks: Sequence[NodeTask | None], key: StartKey | None = None
    ) -> Job:
        """Accepts a job: durable on return. If the key has made one before, gives that.

        A caller that is cancelled meanwhile does not undo it: the job may be durable already.
        Raises `Draining`, `AtLimit`, `KeyReused`, `StoreFailed`.
        """
        async with self._start_keys.job_of(key) as before:
            if before is not None:
                return await self._load(before)
            return await self._accept(job, tasks, key)

    async def _accept(
        self, job: Job, tasks: Sequence[NodeTask | None], key: StartKey | None
    ) -> Job:
        self._admit(job.uid)
        run = self._run_for(job, tasks)
        self._starting.add(job.job_id)
        try:
            with trio.CancelScope(shield=True):
                await self._services.store.add_job(job, key)
        except BaseException:
            self._live.pop(job.job_id).over.set()
            raise
        finally:
            self._starting.discard(job.job_id)
        self._services.feed.publish(job)
        self._launch(run)
        return run.job

    def _admit(self, uid: int | None) -> None:
        if self._draining:
            raise Draining
        most = self._limits.jobs + self._limits.queued
        if len(self._live) >= most:
            raise AtLimit("jobs", most)
        runs = self._live.values()
        waiting = sum(run.job.uid == uid and run.job.status == "queued" for run in runs)
        if uid is not None and waiting >= self._limits.queued_per_uid:
            raise AtLimit("queued_per_uid", self._limits.queued_per_uid)

    def _run_for(
        self, job: Job, tasks: Sequence[NodeTask | None], recovered: RecoveredFiles | None = None
    ) -> JobRun:
        run = JobRun(job, tasks, self.directory(job.job_id), self._services, recovered)
        self._live[job.job_id] = run
        return run

    def _launch(self, run: JobRun) -> None:
        self._nursery.start_soon(self._keep, run)
        if self._draining:
            run.stop()

    async def _keep(self, run: JobRun) -> None:
        job_id = run.job.job_id
        try:
            await run.run()
            if run.job.ended and run.recorded:
                revision = await self._services.store.close_job(job_id)
                revision = max(revision, run.job.revision)
                closed = msgspec.structs.replace(run.job, closed=True, revision=revision)
                self._services.feed.publish(closed)
                self.on_closed(job_id)
        except StoreFailed as error:  # the next start checks its files once more
            log.warning("job %s: %s", job_id, error)
        except Exception:
            log.exception("job %s: a defect", job_id)
        finally:
            del self._live[job_id]
            run.kept.set()
            self.ended += 1

    async def cancel(self, prefix: str, nodes: Sequence[str] | None) -> tuple[Job, bool]:
        """The job after the cancel, durable, and whether this call changed anything.

        Raises `UnknownJob`, `AmbiguousJob`, `UnknownNode`, `StoreFailed`; and `Draining` if it
        comes too late, since the next start will resume the job.
        """
        job = await self.find(prefix)
        positions = _positions(job, nodes)
        run = self._live.get(job.job_id)
        if run is None:
            job = await self.find(job.job_id)
            if self._draining and not job.ended:
                raise Draining
            return job, False
        try:
            changed = await run.cancel(positions)
        except JobStopped:
            raise Draining from None
        return run.shown(), changed

    async def retry(self, prefix: str, plan: PlanRetry, key: StartKey | None = None) -> Job:
        """Queues nodes of a closed job again, in the same job: durable on return.

        `plan` gives the job with these nodes pending, and its tasks. What it raises is passed on.
        A call with a key of an earlier one gives the job as it is.
        Raises `Busy`, `FilesDeleted`, `Draining`, `AtLimit`, `KeyReused`, `UnknownJob`,
        `StoreFailed`.
        """
        async with self._start_keys.job_of(key) as before:
            if before is not None:
                return await self._load(before)
            job = await self.closed((await self.find(prefix)).job_id)
            with self.holds.changing(job.job_id):
                return await self._retry(job, plan, key)

    async def _retry(self, job: Job, plan: PlanRetry, key: StartKey | None) -> Job:
        if job.files_deleted:  # of the nodes that have succeeded nothing is left
            raise FilesDeleted(job.job_id)
        after, tasks = plan(job)
        self._admit(after.uid)
        after = after.revised(job)
        with trio.CancelScope(shield=True):
            after = await self._services.store.reopen_job(job, after, key)
        run = self._run_for(after, tasks)
        self._services.feed.publish(after)
        self._launch(run)
        return run.job

    async def relabel(self, prefix: str, change: Callable[[Job], Job]) -> Job:
        """The job after a change of its labels, durable. What `change` raises is passed on.

        Raises `Busy`, `UnknownJob`, `AmbiguousJob`, `StoreFailed`.
        """
        job = await self.find(prefix)
        while (run := self._live.get(job.job_id)) is not None:
            if await run.relabel(change):
                return run.shown()
            await run.kept.wait()
        # Not while it is deleted or tried again: what is written here would be of before.
        with self.holds.reading(job.job_id):
            job = await self._load(job.job_id)
            after = change(job)
            with trio.CancelScope(shield=True):
                after = await self._services.store.revise_job(job, after)
            self.publish_closed(after)
        return after

    def publish_closed(self, job: Job) -> None:
        """Tells watchers of a change of a closed job, unless it was tried again meanwhile: then
        they are told of that, and this would be of before.
        """
        if job.job_id not in self._live:
            self._services.feed.publish(job)

    # Queries

    async def find(self, prefix: str) -> Job:
        """The job of that id, or of the only id that begins so (4 characters or more).

        Live jobs are searched first. If the store cannot be read, only they are found: a damaged
        database must not prevent that a running job is found and cancelled.
        Raises `UnknownJob`, `AmbiguousJob`, `StoreFailed`.
        """
        return await self._load(await self.find_id(prefix))

    async def find_id(self, prefix: str) -> str:
        """As `find`; of a job that cannot be read too."""
        if prefix in self._live:
            return prefix
        if not 4 <= len(prefix) <= LONGEST_ID:
            raise UnknownJob(prefix)
        live = [job_id for job_id in self._shown if job_id.startswith(prefix)]
        stored: Sequence[str] = ()
        if len(live) < 2:
            try:
                stored = await self._services.store.find(prefix)
            except StoreFailed:
                if not live:
                    raise
        candidates = sorted({*live, *stored})
        if len(candidates) > 1:
            raise AmbiguousJob(prefix, candidates)
        if not candidates:
            raise UnknownJob(prefix)
        return candidates[0]

    async def closed(self, job_id: str) -> Job:
        """The job, once its last connection is gone and its files are on record.

        Of a job that has ended that is soon, and is waited for: within the grace, at most.
        Raises `Busy`, `UnknownJob`, `StoreFailed`.
        """
        run = self._live.get(job_id)
        if run is not None and run.job.ended:
            with trio.move_on_after(run.job.timeouts.grace):
                await run.kept.wait()
        job = await self._load(job_id)
        if not job.ended:
            raise Busy(job_id, f"it is {job.status}")
        if not job.closed:
            raise Busy(job_id, "its last connections are being closed")
        return job

    def works_on(self, job_id: str, node: str) -> bool:
        """Whether a connection to the node may still be open, or be opened, for that job."""
        run = self._live.get(job_id)
        return run is not None and run.works_on(node)

    @property
    def _shown(self) -> list[str]:
        """Ids of the live jobs that are durable, oldest first."""
        return [job_id for job_id in self._live if job_id not in self._starting]

    async def _load(self, job_id: str) -> Job:
        run = self._live.get(job_id)
        job = run.shown() if run is not None else await self._services.store.load(job_id)
        if job is None:
            raise UnknownJob(job_id)
        return job

    def unsaved(self, job_id: str) -> str | None:
        """Why `find` gives a state older than the newest; None: it gives the newest."""
        run = self._live.get(job_id)
        return None if run is None else run.unsaved

    async def newest(self, limit: int, which: JobFilter = EVERY_JOB) -> Sequence[JobRow | Job]:
        """Newest first; live jobs as they are at this moment. Raises `StoreFailed`.

        With a status of queued or running the store is not needed: such jobs are all live.
        """
        try:
            rows = await self._services.store.newest(limit, which)
        except StoreFailed:
            if which.status not in ("queued", "running") or which.before is not None:
                raise
            live = (self._live[job_id].shown() for job_id in reversed(self._shown))
            return [job for job in live if which.fits(job)][:limit]
        return [self._live[row.job_id].shown() if row.job_id in self._live else row for row in rows]

    async def count(self, which: JobFilter) -> int:
        """How many jobs there are. Raises `StoreFailed`."""
        return await self._services.store.count(which)

    # Restart and stop

    async def recover(self, replan: Replan) -> None:
        """Resumes the jobs that a stop left unfinished, or ends them as `interrupted`."""
        for found in await self._services.store.unfinished():
            with _logged_for(found.job_id):
                await self._recover_one(found, replan)
        for job_id in await self._services.store.ended_but_open():
            with _logged_for(job_id):
                await self._recover_ended(job_id)

    async def _recover_one(self, found: Job, replan: Replan) -> None:
        directory = self.directory(found.job_id)
        recovered = await recover_files(self._services.store, found, directory)
        job = with_received(found, recovered.files)
        tasks = _planned(replan, job)
        run = self._run_for(job, tasks or (), recovered)
        try:
            if tasks is None:
                run.end_all(INTERRUPTED)
            else:
                run.resume()
        except BaseException:  # of a state that is damaged
            self._live.pop(job.job_id).over.set()
            raise
        log.info("job %s: %s after a restart", job.job_id, run.job.status)
        self._launch(run)

    async def _recover_ended(self, job_id: str) -> None:
        """Puts the files of a job on record that had ended when the daemon stopped, but not closed.

        A cancelled job ends at once. Its connections close and its files are put on record after
        that, within the grace period.
        """
        store = self._services.store
        job = await store.load(job_id)
        if job is not None:
            recovered = await recover_files(store, job, self.directory(job_id))
            if recovered.recorded:
                await store.close_job(job_id)

    async def drain(self) -> None:
        """Accepts no new work, and stops what runs, within its grace period. A restart resumes it.

        It cannot resume a job with a typed-in password: its unfinished nodes end as `interrupted`.
        """
        self._draining = True
        for run in list(self._live.values()):
            if not run.job.resumable:
                run.end_all(INTERRUPTED)
            run.stop()
        for run in list(self._live.values()):
            await run.over.wait()


INTERRUPTED = failure(Code.INTERRUPTED, "the daemon was stopped before this node was done")


@contextmanager
def _logged_for(job_id: str) -> Iterator[None]:
    """Logs an error of one job, or of its row in the store, so that the other jobs go on."""
    try:
        yield
    except StoreFailed as error:
        log.error("job %s is left as it is: %s", job_id, error)  # noqa: TRY400  damage, not a defect
    except Exception:
        log.exception("job %s is left as it is: a defect", job_id)


def _planned(replan: Replan, job: Job) -> Sequence[NodeTask | None] | None:
    try:
        return replan(job)
    except Exception:
        log.exception("job %s: a defect; it cannot go on", job.job_id)
        return None


def _positions(job: Job, nodes: Sequence[str] | None) -> frozenset[int] | None:
    if nodes is None:
        return None
    names = {node.node: position for position, node in enumerate(job.nodes)}
    for name in nodes:
        if name not in names:
            raise UnknownNode(job.job_id, name)
    return frozenset(names[name] for name in nodes)


@asynccontextmanager
async def open_supervisor(
    services: JobServices, jobs_directory: Path, limits: Limits
) -> AsyncIterator[Supervisor]:
    """A supervisor, and the nursery in which its jobs run. Drains on exit."""
    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(services, jobs_directory, limits, nursery)
        try:
            yield supervisor
        finally:
            with trio.CancelScope(shield=True):
                await supervisor.drain()
