"""Keeps calls that come at once from getting in each other's way: places, keys, holds.

All of it lives in the trio thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import trio

from cucmd.config import Limits
from cucmd.jobs.errors import AtLimit, Busy, Draining, KeyReused
from cucmd.jobs.run import JobRun
from cucmd.store import StartKey, Store


class _BeingStored(NamedTuple):
    """Stands for a job that is being made durable, for the user `uid`."""

    uid: int | None
    over: trio.Event


class Places:
    """Gives jobs their places: says how many may be there, and how many of one user may wait.

    A place is taken before the first await of a start or a retry, so that many calls at once get no
    more than one. `live`: the jobs that run or wait, by their ids, as the supervisor has them.
    """

    def __init__(self, limits: Limits, live: Mapping[str, JobRun]) -> None:
        self._limits = limits
        self._live = live
        self._beginning: dict[str, _BeingStored] = {}
        self._refusing = False

    def change(self, limits: Limits) -> None:
        self._limits = limits

    @contextmanager
    def one(self, job_id: str, uid: int | None) -> Iterator[None]:
        """While the body makes a job of that user durable and begins it, it has its place.

        Raises `Draining`, `AtLimit`.
        """
        if self._refusing:
            raise Draining
        most = self._limits.jobs + self._limits.queued
        if len(self._live) + len(self._beginning) >= most:
            raise AtLimit("jobs", most)
        waiting = [run.queued_by for run in self._live.values() if run.job.status == "queued"]
        waiting += [beginning.uid for beginning in self._beginning.values()]
        if uid is not None and waiting.count(uid) >= self._limits.queued_per_uid:
            raise AtLimit("queued_per_uid", self._limits.queued_per_uid)
        beginning = self._beginning[job_id] = _BeingStored(uid, trio.Event())
        try:
            yield
        finally:
            del self._beginning[job_id]
            beginning.over.set()

    async def begun(self, job_id: str) -> None:
        """Waits while the job is being made durable."""
        while (beginning := self._beginning.get(job_id)) is not None:
            await beginning.over.wait()

    async def refuse_more(self) -> None:
        """Refuses more jobs, since the daemon stops. Waits until no job is being made durable."""
        self._refusing = True
        for beginning in list(self._beginning.values()):
            await beginning.over.wait()


class StartKeys:
    """Gives each start key of a user one effect, however often and by whom it is sent at once.

    Calls with the same key follow each other, so that the second finds on disk what the first has
    done.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._locks: dict[tuple[int, str], trio.Lock] = {}

    @asynccontextmanager
    async def job_of(self, key: StartKey | None) -> AsyncIterator[str | None]:
        """Yields the id of the job that an earlier call with that key was about; None: none was.

        Another call with the key waits until the body has ended.
        Raises `KeyReused`, `StoreFailed`.
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
            if not lock.locked():
                self._locks.pop(name, None)


class Holds:
    """Notes which jobs are being read, and which are being changed, so that nobody does both.

    A hold is of one call, and ends with it. Many may read a job at once; one that deletes it, or
    tries it again, is alone.
    """

    def __init__(self) -> None:
        self._readers: Counter[str] = Counter()
        self._guests: dict[str, set[trio.CancelScope]] = {}
        self._changing: set[str] = set()

    def held(self, job_id: str) -> bool:
        """Says whether anybody reads or changes the job."""
        return job_id in self._readers or job_id in self._changing

    @contextmanager
    def reading(self, job_id: str) -> Iterator[None]:
        """While the body runs the job is not changed. Raises `Busy`."""
        if job_id in self._changing:
            raise Busy(job_id, "it is being deleted, or tried again")
        self._readers[job_id] += 1
        try:
            yield
        finally:
            self._readers[job_id] -= 1
            if not self._readers[job_id]:
                del self._readers[job_id]

    @contextmanager
    def reading_as_guest(self, job_id: str) -> Iterator[trio.CancelScope]:
        """Lets the body read the job until somebody changes the job: the body is cancelled then, by
        the scope that is yielded.

        It is not `held`. Raises `Busy`.
        """
        if job_id in self._changing:
            raise Busy(job_id, "it is being deleted, or tried again")
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
        """While the body runs nobody else has a hold of the job. Ends those who read it as guests.

        Raises `Busy`.
        """
        if job_id in self._changing:
            raise Busy(job_id, "it is being deleted, or tried again")
        if job_id in self._readers:
            raise Busy(job_id, "it is being exported or verified")
        self._changing.add(job_id)
        for scope in self._guests.get(job_id, ()):
            scope.cancel()
        try:
            yield
        finally:
            self._changing.discard(job_id)
