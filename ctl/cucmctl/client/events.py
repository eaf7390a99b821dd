"""What happens to jobs, as events, over restarts of the daemon: no change is lost, or told twice.

`Job.revision` counts the changes of a job, also over restarts. Of each job the revision is kept
that was told last.

    the watch gives                  what is told
    the jobs that run or wait        a state of each
    a change                         the change, unless a state was told that has it in it
    the jobs once more, because the  a state of those that have another revision now. Jobs that have
    daemon was away, or changes      ended meanwhile, or changed after their end, are found in the
    were missed                      list of the newest: their state too, or that they are gone

It prints nothing, and after a state of a job nothing older of it follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from cucmctl.client.client import MOST_LISTED, UNFINISHED
from cucmctl.client.errors import JobNotFound
from cucmd.protocol.jobs import Job, JobChange, JobSummary, ListReply, ListRequest, WatchReply

Event = dict[str, object]

# Of older jobs it is not asked what was missed, except of those that ran.
NEWEST = MOST_LISTED


class EventsClient(Protocol):
    """What is needed of a `Client`."""

    def status(self, job_id: str) -> Job: ...
    def list_page(self, request: ListRequest) -> ListReply: ...


class Events:
    """Of one job, or of all jobs."""

    def __init__(self, client: EventsClient) -> None:
        self._client = client
        self.told: dict[str, int] = {}  # revisions; the jobs in the order in which they came
        self._unfinished: set[str] = set()  # of these, those that have not ended
        self._asked_for: set[str] = set()  # those whose state is not from the watch
        self._begun = False

    def begin(self) -> None:
        """Notes which jobs there are, before a watch of all jobs. Raises `ClientError`."""
        for job in reversed(self._newest()):
            self.told[job.job_id] = job.revision or 0

    def of(self, reply: WatchReply) -> Iterator[Event]:
        """The events of a reply of the watch.

        Raises `ClientError` where the daemon is asked meanwhile. What is not told then is told once
        the watch gives the jobs again.
        """
        if reply.missed:
            yield {"event": "missed", "count": reply.missed}
        for job in (reply.job, *(reply.jobs or ())):
            # After missed changes figures may differ that are no revision.
            if job is not None and (reply.missed or not self._begun or self._is_news(job)):
                yield self._state(job)
        if reply.jobs is not None:
            running = {job.job_id for job in reply.jobs}
            yield from self._ended_meanwhile(running)  # the first time too: since `begin`
            self._unfinished = running
        if reply.change is not None and self._is_next(reply.change):
            yield self._event("change", reply.change)
            if reply.change.deleted:
                self._forget(reply.change.job_id)
        self._begun = True

    def _is_news(self, job: Job | JobSummary) -> bool:
        return job.revision is None or job.revision != self.told.get(job.job_id)

    def _is_next(self, change: JobChange) -> bool:
        if change.deleted:  # the last one; a damaged record does not tell its revision
            return True
        told = self.told.get(change.job_id, -1)
        if change.job_id in self._asked_for:
            return change.revision > told
        return change.revision >= told  # figures have the same revision

    def _ended_meanwhile(self, running: set[str]) -> Iterator[Event]:
        newest = [job for job in self._newest() if job.job_id not in running]
        listed = {job.job_id for job in newest}
        is_told = [job.job_id in self.told for job in newest]
        new = len(newest) - is_told[::-1].index(True) if any(is_told) else len(newest)
        # What comes behind all that were told is older: others were deleted, and it moved up.
        for job in reversed(newest[:new]):
            if job.revision is None or job.status in UNFINISHED:
                continue  # its row is damaged; or it begins now, and its changes follow
            if self._is_news(job):
                yield self._ask_for(job.job_id)
        for job_id in [name for name in self.told if name not in running | listed]:
            # The list is of all that there are, or the job ran and is older than those.
            if len(newest) < NEWEST - len(running) or job_id in self._unfinished:
                yield self._ask_for(job_id)

    def _ask_for(self, job_id: str) -> Event:
        try:
            job = self._client.status(job_id)
        except JobNotFound:
            self._forget(job_id)
            return {"event": "gone", "job_id": job_id}
        self._asked_for.add(job_id)
        return self._state(job, from_the_watch=False)

    def _newest(self) -> Sequence[JobSummary]:
        return self._client.list_page(ListRequest(limit=NEWEST)).jobs

    def _state(self, job: Job | JobSummary, *, from_the_watch: bool = True) -> Event:
        if from_the_watch:
            self._asked_for.discard(job.job_id)
        return self._event("state", job)

    def _event(self, name: str, job: Job | JobSummary | JobChange) -> Event:
        if job.revision is not None:
            self.told[job.job_id] = job.revision
        if job.status in UNFINISHED:
            self._unfinished.add(job.job_id)
        else:
            self._unfinished.discard(job.job_id)
        self._keep_few()
        return {"event": name, "job_id": job.job_id, "job": job}

    def _forget(self, job_id: str) -> None:
        self.told.pop(job_id, None)
        self._unfinished.discard(job_id)
        self._asked_for.discard(job_id)

    def _keep_few(self) -> None:
        """It may run for months. The oldest that have ended are not asked for any more."""
        if len(self.told) <= 3 * NEWEST:
            return
        for job_id in [name for name in self.told if name not in self._unfinished][:NEWEST]:
            self._forget(job_id)
