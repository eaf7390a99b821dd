"""Makes the streams of `Watch`, for the daemon and for the hub of several sites.

A stream subscribes to changes first and then sends the state, so that no change is lost in between.
A watcher that missed changes is sent the state again. A job of 1,000 nodes changes thousands of
times, so a watcher that asks for `changes` gets only the nodes that have changed since the last
reply.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeAlias

from msgspec.structs import replace

from cucmd.job.status import JobStatus
from cucmd.jobs.job_feed import J, JobFeed
from cucmd.protocol import jobs as wire
from cucmd.protocol.requests import WatchRequest
from cucmd.varlink import StreamReply

StreamReplies: TypeAlias = AsyncGenerator[StreamReply, None]

UNFINISHED: tuple[JobStatus, ...] = ("running", "queued")


class Watching(Generic[J]):
    """Makes the stream of each watcher.

    feed     publishes the jobs
    find     returns the job whose id begins with a prefix
    listed   lists the jobs that run or wait if it is called with True, otherwise the newest jobs
    to_wire  returns a job as the socket sends it
    changed  returns the change from a job as it was before, or from None, to the job as it is
    """

    def __init__(
        self,
        feed: JobFeed[J],
        *,
        find: Callable[[str], Awaitable[J]],
        listed: Callable[[bool], Awaitable[tuple[wire.JobSummary, ...]]],
        to_wire: Callable[[J], wire.Job],
        changed: Callable[[J | None, J], wire.JobChange],
    ) -> None:
        self._feed = feed
        self._find = find
        self._listed = listed
        self._to_wire = to_wire
        self._changed = changed

    def watch(self, request: WatchRequest) -> StreamReplies:
        """Returns a stream. This method is not a generator itself, because to close an outer
        generator would not end the subscription of the inner one at once.
        """
        changes = bool(request.changes)
        if request.job_id is None:
            return self._watch_all(changes=changes)
        return self._watch_job(request.job_id, changes=changes)

    async def _watch_job(self, prefix: str, *, changes: bool) -> StreamReplies:
        job_id = (await self._find(prefix)).job_id
        with self._feed.subscribe(job_id) as feed:
            job = await self._find(job_id)
            reply = wire.WatchReply(0, 0, job=self._to_wire(job))
            yield StreamReply(reply, continues=job.status in UNFINISHED)
            while job.status in UNFINISHED:
                change = await feed.next()
                before, job = job, change.job or await self._find(job_id)
                reply = wire.WatchReply(change.sequence, change.missed)
                if changes and change.job is not None:
                    reply = replace(reply, change=self._changed(before, job))
                else:  # also for a watcher that missed changes
                    reply = replace(reply, job=self._to_wire(job))
                yield StreamReply(reply, continues=job.status in UNFINISHED)

    async def _watch_all(self, *, changes: bool) -> StreamReplies:
        sent: dict[str, J] = {}  # the state that was sent last of each job that is not closed
        with self._feed.subscribe(None) as feed:
            yield StreamReply(wire.WatchReply(0, 0, jobs=await self._listed(changes)))
            while True:
                change = await feed.next()
                job, reply = change.job, wire.WatchReply(change.sequence, change.missed)
                if job is None:  # the watcher missed changes
                    sent = {}
                    reply = replace(reply, jobs=await self._listed(changes))
                elif not changes:
                    reply = replace(reply, job=self._to_wire(job))
                else:
                    reply = replace(reply, change=self._changed(sent.pop(job.job_id, None), job))
                    if not job.closed:
                        sent[job.job_id] = job
                yield StreamReply(reply)
