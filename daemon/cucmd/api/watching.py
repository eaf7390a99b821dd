"""Gives the streams of `Watch`: of one job or of all, whole or as changes.

The first reply is the state after the subscription began, so that no change is lost between the
two; and a watcher that missed some gets the state again.

A job of 1,000 nodes changes thousands of times. A watcher that asks for `changes` gets the nodes
that differ from what it was sent last, and not the whole job again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TypeAlias

from cucmd.api.refusals import refusals
from cucmd.api.wire import changed_to_wire, summary_to_wire
from cucmd.job.job import Job
from cucmd.jobs.events import Change, JobFeed
from cucmd.jobs.supervisor import Supervisor
from cucmd.protocol import jobs as wire
from cucmd.protocol.requests import DEFAULT_LIMIT, WatchRequest
from cucmd.store import JobFilter
from cucmd.varlink import StreamReply

StreamReplies: TypeAlias = AsyncGenerator[StreamReply, None]

# As many as a list has at most; unless it is configured so, no more jobs run and wait.
_MOST = 1000
# Nodes of ended jobs of which a watcher's state is known, some kilobytes each. What changes after
# the end (closed, labels, coverage) mostly comes within minutes.
MOST_OF_ENDED = 10_000
_UNFINISHED = ("running", "queued")


class WatchStreams:
    """Gives the streams of `Watch`. `wire`: a job as it is sent as a whole."""

    def __init__(
        self, supervisor: Supervisor, feed: JobFeed, wire: Callable[[Job], wire.Job]
    ) -> None:
        self._supervisor = supervisor
        self._feed = feed
        self._wire = wire

    def watch(self, request: WatchRequest) -> StreamReplies:
        changes = bool(request.changes)
        if request.job_id is not None:
            return self._job(request.job_id, changes=changes)
        return self._changes_of_all() if changes else self._all()

    async def _job(self, prefix: str, *, changes: bool) -> StreamReplies:
        job_id = (await self._find(prefix)).job_id
        with self._feed.subscribe(job_id) as feed:
            job = await self._find(job_id)
            yield self._whole(job)
            while not job.ended:
                change = await feed.next()
                before, job = job, change.job or await self._find(job_id)
                whole = change.job is None or not changes
                yield self._whole(job, change) if whole else self._changed(before, job, change)

    def _whole(self, job: Job, change: Change | None = None) -> StreamReply:
        sequence, missed = (0, 0) if change is None else (change.sequence, change.missed)
        reply = wire.WatchReply(sequence, missed, job=self._wire(job))
        return StreamReply(reply, continues=not job.ended)

    def _changed(self, before: Job | None, job: Job, change: Change) -> StreamReply:
        unsaved = self._supervisor.unsaved(job.job_id)
        changed = changed_to_wire(before, job, unsaved)
        reply = wire.WatchReply(change.sequence, change.missed, change=changed)
        return StreamReply(reply, continues=not job.ended)

    async def _all(self) -> StreamReplies:
        with self._feed.subscribe(None) as feed:
            yield StreamReply(wire.WatchReply(0, 0, jobs=await self._newest()))
            while True:
                change = await feed.next()
                job = self._wire(change.job) if change.job else None
                state = None if job else await self._newest()
                reply = wire.WatchReply(change.sequence, change.missed, job=job, jobs=state)
                yield StreamReply(reply)

    async def _changes_of_all(self) -> StreamReplies:
        sent = _SentJobs()
        with self._feed.subscribe(None) as feed:
            yield StreamReply(wire.WatchReply(0, 0, jobs=await self._unfinished()))
            while True:
                change = await feed.next()
                if change.job is None:
                    sent = _SentJobs()
                    jobs = await self._unfinished()
                    reply = wire.WatchReply(change.sequence, change.missed, jobs=jobs)
                    yield StreamReply(reply)
                    continue
                changed = self._changed(sent.replace(change.job), change.job, change)
                yield StreamReply(changed.parameters)

    async def _find(self, prefix: str) -> Job:
        with refusals():
            return await self._supervisor.find(prefix)

    async def _newest(self) -> tuple[wire.JobSummary, ...]:
        with refusals():
            found = await self._supervisor.newest(DEFAULT_LIMIT)
        return tuple(summary_to_wire(job) for job in found)

    async def _unfinished(self) -> tuple[wire.JobSummary, ...]:
        with refusals():
            found = [
                job
                for status in _UNFINISHED
                for job in await self._supervisor.newest(_MOST, JobFilter(status=status))
            ]
        return tuple({job.job_id: summary_to_wire(job) for job in found}.values())


class _SentJobs:
    """Keeps what a watcher was sent last: of jobs that have not ended, and of the last that did."""

    def __init__(self) -> None:
        self._live: dict[str, Job] = {}
        self._ended: dict[str, Job] = {}
        self._nodes_of_ended = 0

    def replace(self, job: Job) -> Job | None:
        """Keeps the job and returns what was sent of it before; None: nothing, or long ago."""
        before = self._live.pop(job.job_id, None) or self._forget(job.job_id)
        if not job.ended:
            self._live[job.job_id] = job
            return before
        self._ended[job.job_id] = job
        self._nodes_of_ended += len(job.nodes)
        while self._nodes_of_ended > MOST_OF_ENDED:
            self._forget(next(iter(self._ended)))
        return before

    def _forget(self, job_id: str) -> Job | None:
        job = self._ended.pop(job_id, None)
        if job is not None:
            self._nodes_of_ended -= len(job.nodes)
        return job
