"""Accepts jobs, runs them in a nursery, finds and cancels them, and resumes them after a restart.

A job whose start was answered is durable. It runs here, or it has ended in the store. Nothing else
runs jobs.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import trio

from cucmd.cases.files import is_directory_gone
from cucmd.config import Limits
from cucmd.job.job import Job
from cucmd.job.work import KINDS, kind_of
from cucmd.jobs.concurrent_calls import JobHolds, JobPlaces, StartKeys
from cucmd.jobs.file_recorder import retry_until_saved
from cucmd.jobs.job_errors import (
    AmbiguousJob,
    CannotEndEarly,
    Draining,
    FilesDeleted,
    JobInUse,
    RunStopped,
    UnknownJob,
    position_of,
)
from cucmd.jobs.job_run import JobRun
from cucmd.jobs.manifest import write_manifest
from cucmd.jobs.recovery import INTERRUPTED, NO_LOGIN, RecoveredFiles, Replan, recover_jobs
from cucmd.jobs.services import JobServices
from cucmd.node.ports import NodeTask
from cucmd.store import EVERY_JOB, JobFilter, JobRow, StartKey, StoreFailed

log = logging.getLogger(__name__)

# A job, and a task for each of its nodes. The task is None for a node that has ended before.
PlannedJob: TypeAlias = tuple[Job, Sequence[NodeTask | None]]
Plan: TypeAlias = Callable[[], Awaitable[PlannedJob]]
PlanRetry: TypeAlias = Callable[[Job], Awaitable[PlannedJob]]

# Characters of a job id. Ours have 12. Longer texts are not looked for in the store.
LONGEST_ID = 64


class Supervisor:
    """Accepts and runs jobs. `open_supervisor` makes it.

    ended        how many jobs have closed their last connection since the start of the daemon
    on_closed    is called with the id of a job once the store has it as closed, and again after a
                 retry that failed, so that the tasks that `on_changing` has ended start again
    on_changing  is called with the id of a closed job before the job is changed, so that tasks that
                 read its files without a hold end
    """

    def __init__(
        self, services: JobServices, jobs_directory: Path, limits: Limits, nursery: trio.Nursery
    ) -> None:
        self._services = services
        services.store.on_changed = self._publish_stored
        self._directory = jobs_directory
        self._live: dict[str, JobRun] = {}
        self._places = JobPlaces(limits, self._live)
        self.ended = 0
        self.on_closed: Callable[[str], None] = lambda job_id: None
        self.on_changing: Callable[[str], None] = lambda job_id: None
        self._start_keys = StartKeys(services.store)
        self.holds = JobHolds()
        self._draining = False
        self._nursery = nursery

    def change_limits(self, limits: Limits) -> None:
        self._places.change_limits(limits)
        self._services.slots.change_limits(limits)

    def directory(self, job_id: str) -> Path:
        return self._directory / job_id

    @property
    def live_count(self) -> int:
        """Returns how many jobs wait, run or are being closed."""
        return len(self._live)

    @property
    def unfinished(self) -> list[Job]:
        """Returns the jobs that wait or run. A stop of the daemon would interrupt them."""
        return [run.job for run in self._live.values() if not run.job.ended]

    # Work

    async def start(self, plan: Plan, key: StartKey | None = None) -> Job:
        """Accepts the job that `plan` gives, and returns it once it is durable.

        If an earlier call with this key has started a job, returns that job and does not call
        `plan`. `plan` could fail now, because the configuration may have changed meanwhile. If the
        caller is cancelled, the job stays, because it may be durable already.
        Raises `Draining`, `TooManyJobs`, `KeyReused`, `StoreFailed`, and what `plan` raises.
        """
        async with self._start_keys.lock(key) as before:
            if before is not None:
                return await self._load(before)
            job, tasks = await plan()
            with self._places.reserve(job.job_id, job.uid):
                with trio.CancelScope(shield=True):
                    await self._services.store.add_job(job, key)
                return self._begin(job, tasks, queued_by=job.uid)

    def _begin(self, job: Job, tasks: Sequence[NodeTask | None], *, queued_by: int | None) -> Job:
        """Begins to run a job that is durable, and returns the job."""
        run = self._make_run(job, tasks, queued_by=queued_by)
        self._services.feed.publish(job)
        self._launch(run)
        return run.job

    def _make_run(
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
        self._nursery.start_soon(self._run_and_close, run)
        # A run that begins while the daemon stops must not contact nodes. `drain` may have stopped
        # all runs before this one was there.
        if self._draining:
            run.stop()

    async def _run_and_close(self, run: JobRun) -> None:
        """Runs a job to its end, writes its manifest, and marks it as closed in the store."""
        job_id = run.job.job_id
        try:
            await run.run()
            store = self._services.store
            if run.job.ended and run.has_saved_all_files:
                await write_manifest(store, job_id, self.directory(job_id))
                # If this fails because the daemon stops, the next start closes the job.
                if await retry_until_saved(
                    lambda: store.close_job(job_id, run.ended_at),
                    f"job {job_id}: its end",
                    lambda: self._draining,
                ):
                    self.on_closed(job_id)
        except Exception:
            log.exception("job %s: a defect", job_id)
        finally:
            if self._live.get(job_id) is run:  # and not the run of a retry
                del self._live[job_id]
            # After the removal, because tasks that wait for this event then read the job from the
            # store, where it is closed.
            run.released.set()
            self.ended += 1

    def _publish_stored(self, job: Job) -> None:
        """Publishes a change that the store has made to a job that has ended.

        Forgets the run of the job first, because it does not know of the change: a reader must not
        get the older state of the run.
        """
        self._live.pop(job.job_id, None)
        self._services.feed.publish(job)

    async def cancel(self, prefix: str, nodes: Sequence[str] | None) -> tuple[Job, bool]:
        """Cancels a job, or nodes of it. Returns the job once the cancel is durable, and whether it
        changed anything.

        Raises `UnknownJob`, `AmbiguousJob`, `UnknownNode`, `StoreFailed`. Raises `Draining` if the
        call comes too late: the next start will resume the job.
        """
        job = await self.find(prefix)
        positions = None if nodes is None else frozenset(position_of(job, node) for node in nodes)
        run = await self._wait_for_run(job.job_id)
        if run is None:
            job = await self.find(job.job_id)
            if self._draining and not job.ended:
                raise Draining
            return job, False
        try:
            changed = await run.cancel(positions)
        except RunStopped:
            raise Draining from None
        return run.visible_job(), changed

    async def end_early(self, prefix: str) -> tuple[Job, int]:
        """Ends a capture, or a job that follows a file, before its time.

        Returns the job, and on how many nodes it was running.
        Raises `CannotEndEarly`, `UnknownJob`, `AmbiguousJob`, `StoreFailed`.
        """
        job = await self.find(prefix)
        run = await self._wait_for_run(job.job_id)
        if not job.work.simultaneous:
            kinds = " and ".join(kind_of(kind) for kind in KINDS if kind.simultaneous)
            reason = f"its kind is {job.kind}; only {kinds} can be ended early"
            raise CannotEndEarly(job.job_id, reason)
        if run is None or run.job.ended or run.joint_run is None:
            raise CannotEndEarly(job.job_id, "it has ended")
        if not run.joint_run.has_begun:
            raise CannotEndEarly(job.job_id, "it has not begun on the nodes; cancel it instead")
        return run.visible_job(), run.joint_run.stop()

    async def retry(
        self, prefix: str, plan: PlanRetry, key: StartKey | None = None, *, uid: int | None = None
    ) -> Job:
        """Queues nodes of a closed job again, and returns the job once this is durable.

        `plan` gives the job with these nodes pending, and the tasks. The waiting job counts for the
        user `uid`. If an earlier call with this key has retried the job, returns the job as it is.
        Raises `JobInUse`, `FilesDeleted`, `Draining`, `TooManyJobs`, `KeyReused`, `UnknownJob`,
        `AmbiguousJob`, `StoreFailed`, and what `plan` raises.
        """
        async with self._start_keys.lock(key) as before:
            if before is not None:
                return await self._load(before)
            job_id = (await self.find(prefix)).job_id
            # Read the job within the hold: of two concurrent calls the second must see what the
            # first has done.
            with self.holds.changing(job_id):
                job = await self.wait_closed(job_id)
                try:
                    while (after := await self._retry(job, plan, key, uid)) is None:
                        job = await self.wait_closed(job_id)
                except BaseException:
                    # The job stays as it was. Start the tasks again that `on_changing` has ended.
                    self.on_closed(job_id)
                    raise
                return after

    async def _retry(
        self, job: Job, plan: PlanRetry, key: StartKey | None, uid: int | None
    ) -> Job | None:
        """Reopens the job, and begins to run it.

        Returns None if the job in the store has changed since it was read, because its coverage may
        have become known meanwhile. In this case the caller reads the job again.
        """
        # A retry keeps the files of the nodes that have succeeded, so they must exist.
        if job.files_deleted or is_directory_gone(job, self.directory(job.job_id)):
            raise FilesDeleted(job.job_id)
        planned, tasks = await plan(job)
        with self._places.reserve(job.job_id, uid):
            # This ends the reading of the job's traces. It comes after the wait for the closing of
            # the job, because the closing begins that reading.
            self.on_changing(job.job_id)
            with trio.CancelScope(shield=True):
                after = await self._services.store.reopen_job(job, planned, key)
            return None if after is None else self._begin(after, tasks, queued_by=uid)

    async def relabel(self, prefix: str, change: Callable[[Job], Job]) -> Job:
        """Changes the labels of a job or the names of its nodes. Returns the job once this is
        durable.

        Raises `JobInUse`, `UnknownJob`, `AmbiguousJob`, `StoreFailed`, and what `change` raises.
        """
        job = await self.find(prefix)
        while (run := await self._wait_for_run(job.job_id)) is not None:
            if await run.relabel(change):
                return run.visible_job()
            with trio.move_on_after(run.job.timeouts.grace):  # as `wait_closed` does
                await run.released.wait()
                continue
            raise JobInUse(job.job_id, _why_open(run))
        # Refuse this while the job is being deleted: a user who adds the label `keep` must learn
        # that it is too late.
        with self.holds.reading(job.job_id):
            with trio.CancelScope(shield=True):
                after = await self._services.store.change(job.job_id, change)
            return after or await self._load(job.job_id)

    # Queries

    async def find(self, prefix: str) -> Job:
        """Returns the job with this id, or the only job whose id begins with these 4 or more
        characters.

        Live jobs are searched first. If the store cannot be read, only live jobs are found: with a
        damaged database it must still be possible to find and cancel a running job.
        Raises `UnknownJob`, `AmbiguousJob`, `StoreFailed`.
        """
        return await self._load(await self.find_id(prefix))

    async def find_id(self, prefix: str) -> str:
        """Returns the id of the job that `find` would return, even if the job cannot be read."""
        if prefix in self._live:
            return prefix
        if not 4 <= len(prefix) <= LONGEST_ID:
            raise UnknownJob(prefix)
        # The store is asked even if one live job fits, because an ended job may fit too, and then
        # the prefix is ambiguous. With two live jobs it is ambiguous already.
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

    async def wait_closed(self, job_id: str) -> Job:
        """Returns the job once its last connection has closed and its files are in the store.

        A job that has ended closes soon, so this waits for it, at most for the job's grace period.
        Raises `JobInUse`, `UnknownJob`, `StoreFailed`.
        """
        run = self._live.get(job_id)
        if run is not None and run.job.ended:
            with trio.move_on_after(run.job.timeouts.grace):
                await run.released.wait()
        job = await self._load(job_id)
        if not job.ended:
            raise JobInUse(job_id, f"it is {job.status}")
        if not job.closed:
            raise JobInUse(job_id, _why_open(run))
        return job

    def run_of(self, job_id: str) -> JobRun | None:
        """Returns the run of a job that runs or waits, or None."""
        return self._live.get(job_id)

    async def _wait_for_run(self, job_id: str) -> JobRun | None:
        """Waits for a start or a retry of the job that is under way, then acts as `run_of`."""
        await self._places.wait_until_stored(job_id)
        return self._live.get(job_id)

    async def _load(self, job_id: str) -> Job:
        run = self._live.get(job_id)
        job = run.visible_job() if run is not None else await self._services.store.load(job_id)
        if job is None:
            raise UnknownJob(job_id)
        return job

    def save_error(self, job_id: str) -> str | None:
        """Returns why the newest state of the job could not be saved, so that `find` returns an
        older state. Returns None if `find` returns the newest state.
        """
        run = self._live.get(job_id)
        return None if run is None else run.recorder.save_error

    async def newest(self, limit: int, which: JobFilter = EVERY_JOB) -> Sequence[JobRow | Job]:
        """Lists jobs, newest first. Live jobs are listed with their present figures.

        Raises `StoreFailed`, unless only queued or only running jobs are asked for: such jobs are
        all live, so the store is not needed.
        """
        try:
            rows = await self._services.store.newest(limit, which)
        except StoreFailed:
            if which.status not in ("queued", "running") or which.before is not None:
                raise
            live = (self._live[job_id].visible_job() for job_id in reversed(self._live))
            return [job for job in live if which.fits(job)][:limit]
        return [
            self._live[row.job_id].visible_job() if row.job_id in self._live else row
            for row in rows
        ]

    async def count(self, which: JobFilter) -> int:
        """Returns how many jobs fit the filter. Raises `StoreFailed`."""
        return await self._services.store.count(which)

    # Restart and stop

    async def recover(self, replan: Replan) -> None:
        """Resumes the jobs that a stop left unfinished, or ends them as `interrupted`.

        Raises `StoreFailed` if the list of jobs cannot be read.
        """
        await recover_jobs(self._services.store, self._directory, replan, self._resume)

    def _resume(
        self, job: Job, tasks: Sequence[NodeTask | None] | None, recovered: RecoveredFiles
    ) -> None:
        """Runs a job again after a restart. A job without tasks cannot go on, and is ended."""
        run = self._make_run(job, tasks or (), recovered, queued_by=job.uid)
        try:
            if tasks is None:
                run.fail_all(INTERRUPTED)
            else:
                run.resume(NO_LOGIN)
        except BaseException:
            # The run never begins, so nothing else would set the event for which `drain` waits.
            self._live.pop(job.job_id).finished.set()
            raise
        log.info("job %s: %s after a restart", job.job_id, run.job.status)
        self._launch(run)

    async def drain(self) -> None:
        """Accepts no new work and stops all jobs, each within its grace period.

        The next start resumes the jobs. It cannot resume a job whose password was typed in, nor a
        job that runs commands: the unfinished nodes of such a job fail as `interrupted`.
        """
        self._draining = True
        await self._places.refuse_more()
        for run in list(self._live.values()):
            if not run.job.survives_restart:
                run.fail_all(INTERRUPTED)
            run.stop()
        # All runs are stopped before the first is waited for, so that their grace periods pass at
        # the same time.
        for run in list(self._live.values()):
            await run.finished.wait()


def _why_open(run: JobRun | None) -> str:
    """Returns why a job that has ended is not closed yet."""
    if run is not None and not run.finished.is_set():
        return "its last connections are being closed"
    return "not all of its files are recorded; the log of the daemon says why"


@asynccontextmanager
async def open_supervisor(
    services: JobServices, jobs_directory: Path, limits: Limits
) -> AsyncIterator[Supervisor]:
    """Yields a supervisor whose jobs run in a nursery of its own. Drains the supervisor on exit."""
    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(services, jobs_directory, limits, nursery)
        try:
            yield supervisor
        finally:
            with trio.CancelScope(shield=True):
                await supervisor.drain()
