"""Keeps concurrent calls for jobs from interfering with each other, in the trio thread only."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import trio

from cucmd.config import Limits
from cucmd.jobs.job_errors import Draining, JobInUse, KeyReused, TooManyJobs
from cucmd.jobs.job_run import JobRun
from cucmd.store import StartKey, Store


class _JobBeingStored(NamedTuple):
    """Describes a job of the user `uid` that is being made durable."""

    uid: int | None
    finished: trio.Event


class JobPlaces:
    """Limits how many jobs run or wait, and how many jobs of one user wait.

    A start or a retry is counted before its first await. Otherwise many calls at the same time
    would each find the limit not reached, and exceed it together.

    live  the supervisor's jobs that run or wait, by job id
    """

    def __init__(self, limits: Limits, live: Mapping[str, JobRun]) -> None:
        self._limits = limits
        self._live = live
        self._being_stored: dict[str, _JobBeingStored] = {}
        self._refusing = False

    def change_limits(self, limits: Limits) -> None:
        self._limits = limits

    @contextmanager
    def reserve(self, job_id: str, uid: int | None) -> Iterator[None]:
        """Counts a job of that user while the body makes the job durable and begins to run it.

        Raises `Draining` and `TooManyJobs`.
        """
        if self._refusing:
            raise Draining
        # A job keeps its place until its last connection has closed, and not only until it has
        # ended: cancelled jobs still hold connections for a while.
        most = self._limits.jobs + self._limits.queued
        if len(self._live) + len(self._being_stored) >= most:
            raise TooManyJobs("jobs", most)
        # A retry counts for the user who asks for it, who need not be the owner of the job. A job
        # that is being stored counts as waiting, since nobody knows yet whether a slot is free.
        waiting = [run.queued_by for run in self._live.values() if run.job.status == "queued"]
        waiting += [job.uid for job in self._being_stored.values()]
        if uid is not None and waiting.count(uid) >= self._limits.queued_per_uid:
            raise TooManyJobs("queued_per_uid", self._limits.queued_per_uid)
        being_stored = self._being_stored[job_id] = _JobBeingStored(uid, trio.Event())
        try:
            yield
        finally:
            del self._being_stored[job_id]
            being_stored.finished.set()

    async def wait_until_stored(self, job_id: str) -> None:
        """Waits while the job is being made durable. Returns at once for any other job."""
        while (being_stored := self._being_stored.get(job_id)) is not None:
            await being_stored.finished.wait()

    async def refuse_more(self) -> None:
        """Refuses further jobs. Returns once no job is being made durable any more."""
        self._refusing = True
        for being_stored in list(self._being_stored.values()):
            await being_stored.finished.wait()


class StartKeys:
    """Makes sure that a call that is repeated with the same start key has one effect.

    Calls with the same key run one after the other, so that the second call finds the job of the
    first call in the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._locks: dict[tuple[int, str], trio.Lock] = {}

    @asynccontextmanager
    async def lock(self, key: StartKey | None) -> AsyncIterator[str | None]:
        """Yields the id of the job that an earlier call with this key was about, or None.

        Another call with the same key waits until the body has ended. Without a key nothing is
        locked. Raises `KeyReused` if the earlier call had other parameters, and `StoreFailed`.
        """
        if key is None:
            yield None
            return
        name = (key.owner, key.name)
        lock = self._locks.setdefault(name, trio.Lock())
        try:
            async with lock:
                found = await self._store.find_start(key)
                if found is not None and found[1] != key.digest:
                    raise KeyReused(found[0])
                yield None if found is None else found[0]
        finally:
            # trio gives a lock that is released to the next waiting task at once. So it is not
            # locked here only if no other call waits for it.
            if not lock.locked():
                self._locks.pop(name, None)


class JobHolds:
    """Notes which jobs are being read and which are being changed, so that a job is never both.

    Many calls may read a job at the same time. A call that deletes or retries a job excludes all
    other calls for this job.
    """

    def __init__(self) -> None:
        self._readers: Counter[str] = Counter()
        self._guests: dict[str, set[trio.CancelScope]] = {}
        self._changing: set[str] = set()

    def is_held(self, job_id: str) -> bool:
        """Says whether a call reads or changes the job. Guests do not count."""
        return job_id in self._readers or job_id in self._changing

    @contextmanager
    def reading(self, job_id: str) -> Iterator[None]:
        """Prevents a change of the job while the body runs.

        Raises `JobInUse` if the job is being changed.
        """
        if job_id in self._changing:
            raise JobInUse(job_id, "it is being deleted, or tried again")
        self._readers[job_id] += 1
        try:
            yield
        finally:
            self._readers[job_id] -= 1
            if not self._readers[job_id]:
                del self._readers[job_id]

    @contextmanager
    def reading_as_guest(self, job_id: str) -> Iterator[trio.CancelScope]:
        """Lets the body read the job until another call changes the job.

        A guest prevents no change: its scope is cancelled instead. Exports by the view group are
        guests, because they must not keep an operator from deleting the job.
        Raises `JobInUse` if the job is being changed.
        """
        if job_id in self._changing:
            raise JobInUse(job_id, "it is being deleted, or tried again")
        guests = self._guests.setdefault(job_id, set())
        scope = trio.CancelScope()
        guests.add(scope)
        try:
            with scope:
                yield scope
        finally:
            guests.remove(scope)
            if not guests:
                del self._guests[job_id]

    @contextmanager
    def changing(self, job_id: str) -> Iterator[None]:
        """Keeps other calls from beginning to read or change the job while the body runs.

        Cancels guests, and does not wait for them. Raises `JobInUse` if another call reads or
        changes the job.
        """
        if job_id in self._changing:
            raise JobInUse(job_id, "it is being deleted, or tried again")
        if job_id in self._readers:
            raise JobInUse(job_id, "it is being exported or verified")
        self._changing.add(job_id)
        for scope in self._guests.get(job_id, ()):
            scope.cancel()
        try:
            yield
        finally:
            self._changing.discard(job_id)
