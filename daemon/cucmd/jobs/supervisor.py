"""Accepts jobs, runs them in a nursery, finds and cancels them, and resumes them after a restart.

A job whose start was answered is durable, and it either runs here or has ended in the store.
Nothing else runs jobs.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import trio

from cucmd.cases.files import is_gone
from cucmd.config import Limits
from cucmd.job.job import Job
from cucmd.job.work import KINDS, kind_of
from cucmd.jobs.at_once import Holds, Places, StartKeys
from cucmd.jobs.errors import (
    AmbiguousJob,
    Busy,
    CannotStop,
    Draining,
    FilesDeleted,
    JobStopped,
    UnknownJob,
    position_of,
)
from cucmd.jobs.manifest import write_manifest
from cucmd.jobs.recorder import close_job
from cucmd.jobs.recovery import (
    INTERRUPTED,
    RecoveredFiles,
    Replan,
    Unfinished,
    recover_jobs,
)
from cucmd.jobs.run import JobRun
from cucmd.jobs.services import JobServices
from cucmd.node.ports import NodeTask
from cucmd.store import EVERY_JOB, JobFilter, JobRow, StartKey, StoreFailed

log = logging.getLogger(__name__)

# A job, and the tasks of its nodes in the order of the nodes.
PlannedJob: TypeAlias = tuple[Job, Sequence[NodeTask | None]]
Plan: TypeAlias = Callable[[], Awaitable[PlannedJob]]
PlanRetry: TypeAlias = Callable[[Job], Awaitable[PlannedJob]]

# Characters of an id; ours have 12. No longer text is looked for in the store.
LONGEST_ID = 64


class Supervisor:
    """Accepts and runs jobs. `open_supervisor` makes it."""

    def __init__(
        self, services: JobServices, jobs_directory: Path, limits: Limits, nursery: trio.Nursery
    ) -> None:
        self._services = services
        services.store.on_changed = self._tell
        self._directory = jobs_directory
        self._live: dict[str, JobRun] = {}
        self._places = Places(limits, self._live)
        self.ended = 0  # jobs whose last connection has closed, since the start
        self.on_closed: Callable[[str], None] = lambda job_id: None  # called with each such job
        # Called with each of them that is going to be changed: what reads it without a hold ends.
        # Not before it is closed, since that may begin to read it.
        self.on_changing: Callable[[str], None] = lambda job_id: None
        self._start_keys = StartKeys(services.store)
        self.holds = Holds()
        self._draining = False
        self._nursery = nursery

    def change_limits(self, limits: Limits) -> None:
        self._places.change(limits)
        self._services.slots.change(limits)

    def directory(self, job_id: str) -> Path:
        return self._directory / job_id

    @property
    def live(self) -> int:
        return len(self._live)  # of these some have ended, and are being closed

    @property
    def unfinished(self) -> list[Job]:
        """Returns the jobs that wait or run: a stop interrupts them."""
        return [run.job for run in self._live.values() if not run.job.ended]

    # Work

    async def start(self, plan: Plan, key: StartKey | None = None) -> Job:
        """Accepts the job that `plan` gives: durable on return. If the key has made one before,
        gives that, and nothing is planned: the configuration may have lost what it needs.

        A caller that is cancelled meanwhile does not undo it: the job may be durable already.
        What `plan` raises is passed on. Raises `Draining`, `AtLimit`, `KeyReused`, `StoreFailed`.
        """
        async with self._start_keys.job_of(key) as before:
            if before is not None:
                return await self._load(before)
            job, tasks = await plan()
            with self._places.one(job.job_id, job.uid):
                with trio.CancelScope(shield=True):
                    await self._services.store.add_job(job, key)
                return self._begin(job, tasks, queued_by=job.uid)

    def _begin(self, job: Job, tasks: Sequence[NodeTask | None], *, queued_by: int | None) -> Job:
        """Runs a job that is durable."""
        run = self._run_for(job, tasks, queued_by=queued_by)
        self._services.feed.publish(job)
        self._launch(run)
        return run.job

    def _run_for(
        self,
        job: Job,
        tasks: Sequence[NodeTask | None],
        recovered: RecoveredFiles | None = None,
        *,
        queued_by: int | None,
    ) -> JobRun:
        directory = self.directory(job.job_id)
        run = JobRun(job, tasks, directory, self._services, recovered, queued_by=queued_by)
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
            store, draining = self._services.store, lambda: self._draining
            if run.job.ended and run.recorded:
                await write_manifest(store, job_id, self.directory(job_id))
                if await close_job(store, job_id, run.ended_at, draining):
                    self.on_closed(job_id)
        except Exception:
            log.exception("job %s: a defect", job_id)
        finally:
            if self._live.get(job_id) is run:  # and not the next one, of a retry
                del self._live[job_id]
            run.kept.set()
            self.ended += 1

    def _tell(self, job: Job) -> None:
        """Tells watchers of a change of a job that has ended, as it is in the store. Whoever reads
        the job then must find no less: once it is closed, its run is none any more.
        """
        self._live.pop(job.job_id, None)
        self._services.feed.publish(job)

    async def cancel(self, prefix: str, nodes: Sequence[str] | None) -> tuple[Job, bool]:
        """Cancels a job or nodes of it; returns it, durable, and whether this changed anything.

        Raises `UnknownJob`, `AmbiguousJob`, `UnknownNode`, `StoreFailed`; and `Draining` if it
        comes too late, since the next start will resume the job.
        """
        job = await self.find(prefix)
        positions = None if nodes is None else frozenset(position_of(job, one) for one in nodes)
        run = await self._run_of(job.job_id)
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

    async def stop_together(self, prefix: str) -> tuple[Job, int]:
        """Ends now what nodes do together. Gives the job, and on how many nodes it ran.

        Raises `CannotStop`, `UnknownJob`, `AmbiguousJob`, `StoreFailed`.
        """
        job = await self.find(prefix)
        run = await self._run_of(job.job_id)
        if not job.work.together:
            can = " and ".join(kind_of(kind) for kind in KINDS if kind.together)
            raise CannotStop(job.job_id, f"its kind is {job.kind}; only {can} can be ended so")
        if run is None or run.job.ended or run.together is None:
            raise CannotStop(job.job_id, "it has ended")
        if not run.together.begun:
            raise CannotStop(job.job_id, "it has not begun on the nodes; a cancel ends it")
        return run.shown(), run.together.stop()

    async def retry(
        self, prefix: str, plan: PlanRetry, key: StartKey | None = None, *, uid: int | None = None
    ) -> Job:
        """Queues nodes of a closed job again, in the same job: durable on return.

        `plan` gives the job with these nodes pending, and its tasks. What it raises is passed on.
        A call with a key of an earlier one gives the job as it is. `uid`: of who asks; the job
        waits in one of that user's places. Raises `Busy`, `FilesDeleted`, `Draining`, `AtLimit`,
        `KeyReused`, `UnknownJob`, `AmbiguousJob`, `StoreFailed`.
        """
        async with self._start_keys.job_of(key) as before:
            if before is not None:
                return await self._load(before)
            job_id = (await self.find(prefix)).job_id
            # Read within the hold: of two calls at once the second must see what the first did.
            with self.holds.changing(job_id):
                job = await self.closed(job_id)
                try:
                    while (after := await self._retry(job, plan, key, uid)) is None:
                        job = await self.closed(job_id)
                except BaseException:
                    # It stays as it was; what looked at its files was ended by the change.
                    self.on_closed(job_id)
                    raise
                return after

    async def _retry(
        self, job: Job, plan: PlanRetry, key: StartKey | None, uid: int | None
    ) -> Job | None:
        """Reopens the job; None: what its files cover has become known since the job was read."""
        # Of the nodes that have succeeded nothing is left.
        if job.files_deleted or is_gone(job, self.directory(job.job_id)):
            raise FilesDeleted(job.job_id)
        planned, tasks = await plan(job)
        with self._places.one(job.job_id, uid):
            self.on_changing(job.job_id)
            with trio.CancelScope(shield=True):
                after = await self._services.store.reopen_job(job, planned, key)
            return None if after is None else self._begin(after, tasks, queued_by=uid)

    async def relabel(self, prefix: str, change: Callable[[Job], Job]) -> Job:
        """Changes the job's labels, and returns it, durable. What `change` raises is passed on.

        Raises `Busy`, `UnknownJob`, `AmbiguousJob`, `StoreFailed`.
        """
        job = await self.find(prefix)
        while (run := await self._run_of(job.job_id)) is not None:
            if await run.relabel(change):
                return run.shown()
            with trio.move_on_after(run.job.timeouts.grace):  # as `closed` does
                await run.kept.wait()
                continue
            raise Busy(job.job_id, _why_open(run))
        # Not while it is deleted: one that is to be kept from that must hear that it is too late.
        with self.holds.reading(job.job_id):
            with trio.CancelScope(shield=True):
                after = await self._services.store.change(job.job_id, change)
            return after or await self._load(job.job_id)

    # Queries

    async def find(self, prefix: str) -> Job:
        """Finds the job of that id, or of the only id that begins so (4 characters or more).

        Live jobs are searched first. If the store cannot be read, only they are found: a damaged
        database must not prevent that a running job is found and cancelled.
        Raises `UnknownJob`, `AmbiguousJob`, `StoreFailed`.
        """
        # Programs give the whole id: one question to the store, and not two.
        if len(prefix) <= LONGEST_ID:
            with suppress(UnknownJob, StoreFailed):
                return await self._load(prefix)
        return await self._load(await self.find_id(prefix))

    async def find_id(self, prefix: str) -> str:
        """Does what `find` does, for a job that cannot be read too."""
        if prefix in self._live:
            return prefix
        if not 4 <= len(prefix) <= LONGEST_ID:
            raise UnknownJob(prefix)
        live = [job_id for job_id in self._live if job_id.startswith(prefix)]
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
        """Returns the job, once its last connection is gone and its files are on record.

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
            raise Busy(job_id, _why_open(run))
        return job

    def run_of(self, job_id: str) -> JobRun | None:
        """Returns the run of a job that runs or waits."""
        return self._live.get(job_id)

    async def _run_of(self, job_id: str) -> JobRun | None:
        """Returns the run of a job that runs; waits for one being started or tried again."""
        await self._places.begun(job_id)
        return self._live.get(job_id)

    async def _load(self, job_id: str) -> Job:
        run = self._live.get(job_id)
        job = run.shown() if run is not None else await self._services.store.load(job_id)
        if job is None:
            raise UnknownJob(job_id)
        return job

    def unsaved(self, job_id: str) -> str | None:
        """Says why `find` gives a state older than the newest; None: it gives the newest."""
        run = self._live.get(job_id)
        return None if run is None else run.recorder.save_error

    async def newest(self, limit: int, which: JobFilter = EVERY_JOB) -> Sequence[JobRow | Job]:
        """Lists jobs, newest first; live ones as they are at this moment. Raises `StoreFailed`.

        With a status of queued or running the store is not needed: such jobs are all live.
        """
        try:
            rows = await self._services.store.newest(limit, which)
        except StoreFailed:
            if which.status not in ("queued", "running") or which.before is not None:
                raise
            live = (self._live[job_id].shown() for job_id in reversed(self._live))
            return [job for job in live if which.fits(job)][:limit]
        return [self._live[row.job_id].shown() if row.job_id in self._live else row for row in rows]

    async def count(self, which: JobFilter) -> int:
        """Returns how many jobs there are. Raises `StoreFailed`."""
        return await self._services.store.count(which)

    # Restart and stop

    async def recover(self, replan: Replan) -> None:
        """Resumes the jobs that a stop left unfinished, or ends them as `interrupted`."""
        await recover_jobs(self._services.store, self._directory, replan, self._resume)

    def _resume(self, found: Unfinished) -> None:
        job = found.job
        run = self._run_for(job, found.tasks or (), found.recovered, queued_by=job.uid)
        try:
            if found.tasks is None:
                run.end_all(INTERRUPTED)
            else:
                run.resume()
        except BaseException:
            self._live.pop(job.job_id).over.set()
            raise
        log.info("job %s: %s after a restart", job.job_id, run.job.status)
        self._launch(run)

    async def drain(self) -> None:
        """Accepts no new work, and stops what runs, within its grace period. A restart resumes it.

        It cannot resume a job with a typed-in password, nor one that runs commands: its unfinished
        nodes end as `interrupted`.
        """
        self._draining = True
        await self._places.refuse_more()
        for run in list(self._live.values()):
            if not run.job.goes_on:
                run.end_all(INTERRUPTED)
            run.stop()
        for run in list(self._live.values()):
            await run.over.wait()


def _why_open(run: JobRun | None) -> str:
    """Says why a job that has ended is not closed."""
    if run is not None and not run.over.is_set():
        return "its last connections are being closed"
    return "not all of it is on record; the daemon's log says why"


@asynccontextmanager
async def open_supervisor(
    services: JobServices, jobs_directory: Path, limits: Limits
) -> AsyncIterator[Supervisor]:
    """Opens a supervisor, and the nursery in which its jobs run. Drains on exit."""
    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(services, jobs_directory, limits, nursery)
        try:
            yield supervisor
        finally:
            with trio.CancelScope(shield=True):
                await supervisor.drain()
