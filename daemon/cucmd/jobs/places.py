"""The places for jobs: how many may be there, and how many of one user may wait.

A place is taken before the first await of a start or a retry, so that many calls at once get no
more than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import trio

from cucmd.config import Limits
from cucmd.jobs.errors import AtLimit, Draining
from cucmd.jobs.run import JobRun


class _Beginning(NamedTuple):
    """A job that is being made durable, for the user `uid`."""

    uid: int | None
    over: trio.Event


class Places:
    """`live`: the jobs that run or wait, by their ids. The supervisor's own, as it is."""

    def __init__(self, limits: Limits, live: Mapping[str, JobRun]) -> None:
        self._limits = limits
        self._live = live
        self._beginning: dict[str, _Beginning] = {}
        self._refusing = False

    def change(self, limits: Limits) -> None:
        self._limits = limits

    @contextmanager
    def one(self, job_id: str, uid: int | None) -> Iterator[None]:
        """While the body makes a job of that user durable and begins it, it has its place.

        Raises `Draining`, `AtLimit`.
        """
        self._check(uid)
        beginning = self._beginning[job_id] = _Beginning(uid, trio.Event())
        try:
            yield
        finally:
            del self._beginning[job_id]
            beginning.over.set()

    def _check(self, uid: int | None) -> None:
        if self._refusing:
            raise Draining
        most = self._limits.jobs + self._limits.queued
        if len(self._live) + len(self._beginning) >= most:
            raise AtLimit("jobs", most)
        waiting = [run.asked_by for run in self._live.values() if run.job.status == "queued"]
        waiting += [beginning.uid for beginning in self._beginning.values()]
        if uid is not None and waiting.count(uid) >= self._limits.queued_per_uid:
            raise AtLimit("queued_per_uid", self._limits.queued_per_uid)

    async def begun(self, job_id: str) -> None:
        """Waits while the job is being made durable."""
        while (beginning := self._beginning.get(job_id)) is not None:
            await beginning.over.wait()

    async def refuse_more(self) -> None:
        """The daemon stops. Waits until no job is being made durable."""
        self._refusing = True
        for beginning in list(self._beginning.values()):
            await beginning.over.wait()
