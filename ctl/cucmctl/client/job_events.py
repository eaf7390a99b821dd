"""PURE. Turns the replies of a watch into events; none is lost or repeated over a restart.

`Job.revision` counts the changes of a job, also across restarts of the daemon. For each job this
file keeps the revision of the last event.

    the watch sends                  events
    the jobs that run or wait        one state for each
    a change                         the change, unless an earlier state included it
    a line of a list                 the line, or the whole job if `whole` says so
    all jobs again, because the      a state of each job whose revision differs. Jobs that ended
    daemon was away, or changes      or changed meanwhile are looked up in the list of the newest
    were missed                      jobs: a state follows, or `gone` if the job was deleted

No event of a job is followed by an older one. If an event needs a call to the daemon, the generator
yields that call like an event, and is sent the result: see `method_call.run_steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from cucmctl.client import methods
from cucmctl.client.errors import JobNotFound
from cucmctl.client.method_call import CallSteps, MethodCall
from cucmctl.client.methods import MOST_LISTED, UNFINISHED
from cucmd.protocol.jobs import Job, JobChange, JobSummary, ListReply, WatchReply
from cucmd.protocol.requests import ListRequest

# Missed changes are looked for in this many jobs, the newest, and in older jobs that were running.
NEWEST = MOST_LISTED


class JobEvent(Struct, frozen=True, omit_defaults=True, rename={"name": "event"}):
    """An event of one job, or of the connection. As JSON it is what `cucmctl events` prints.

    state       the job as it is now: the whole job, or its line in a list
    change      what has changed
    gone        the job was deleted while the daemon was away
    missed      `count` changes were left out because the reader was slow; states follow
    begun       the states of all jobs at the beginning have been sent
    away        the daemon does not answer, or cannot say what was missed; `why` has the reason
    back        the daemon answers again, and events for what was missed have been sent

    Only `cucmtrio.events`, which waits for the daemon, sends the last three.
    """

    name: Literal["state", "change", "missed", "gone", "begun", "away", "back"]
    job_id: str | None = None
    job: Job | JobSummary | JobChange | None = None
    count: int | None = None
    why: str | None = None


EventSteps: TypeAlias = CallSteps[JobEvent]


class Events:
    """Makes the events of one job, or of all jobs.

    whole  returns whether the state of the job with this id must be the whole job, instead of its
           line in a list
    """

    def __init__(self, whole: Callable[[str], bool] = lambda _: False) -> None:
        self._whole = whole
        self.revisions: dict[str, int] = {}  # job -> revision of its last event, oldest first
        self._unfinished: set[str] = set()  # jobs in `revisions` that have not ended
        self._asked_for: set[str] = set()  # jobs whose last state did not come from the watch
        self._begun = False

    def begin(self) -> EventSteps:
        """Notes which jobs exist. Call this before the first watch of all jobs. Makes no events."""
        # Reversed, because `revisions` has the oldest job first, as `_keep_few` needs it.
        for job in reversed((yield from self._newest())):
            self.revisions[job.job_id] = job.revision

    def from_reply(self, reply: WatchReply) -> EventSteps:
        """Makes the events for a reply of the watch.

        If the caller stops in the middle, the rest follows when the watch sends the jobs again.
        """
        if reply.missed:
            yield JobEvent("missed", count=reply.missed)
        for job in (reply.job, *(reply.jobs or ())):
            # Byte counts change without a new revision, so after missed changes every job is sent.
            if job is not None and (reply.missed or not self._begun or self._is_news(job)):
                if isinstance(job, JobSummary) and self._whole(job.job_id):
                    yield from self._ask_for(job.job_id)
                else:
                    yield self._state(job)
        if reply.jobs is not None:
            running = {job.job_id for job in reply.jobs}
            # Do this for the first list too, because jobs may have ended since `begin`.
            yield from self._ended_meanwhile(running)
            self._unfinished = running
        if reply.change is not None and self._is_next(reply.change):
            yield self._event("change", reply.change)
            if reply.change.deleted:
                self._forget(reply.change.job_id)
        self._begun = True

    def _is_news(self, job: Job | JobSummary) -> bool:
        return job.revision != self.revisions.get(job.job_id)

    def _is_next(self, change: JobChange) -> bool:
        last_revision = self.revisions.get(change.job_id, -1)
        if change.job_id in self._asked_for:
            # The watch has caught up with the state. A change of the same revision has byte counts.
            if change.revision >= last_revision:
                self._asked_for.discard(change.job_id)
            return change.revision > last_revision
        return change.revision >= last_revision  # changes of byte counts have the same revision

    def _ended_meanwhile(self, running: set[str]) -> EventSteps:
        newest = [job for job in (yield from self._newest()) if job.job_id not in running]
        listed = {job.job_id for job in newest}
        # The list begins with the newest job. `new` is the position behind the last job in it whose
        # events were sent before.
        is_known = [job.job_id in self.revisions for job in newest]
        new = len(newest) - is_known[::-1].index(True) if any(is_known) else len(newest)
        # Jobs that are listed after all known ones are older. They moved into the list when others
        # were deleted.
        for job in reversed(newest[:new]):
            if job.status in UNFINISHED:
                continue  # the job has just begun, and its changes follow
            if self._is_news(job):
                yield from self._ask_for(job.job_id)
        for job_id in [name for name in self.revisions if name not in running | listed]:
            # Either the list has all jobs that exist, or the job ran and is too old for the list.
            if len(newest) < NEWEST - len(running) or job_id in self._unfinished:
                yield from self._ask_for(job_id)

    def _ask_for(self, job_id: str) -> EventSteps:
        try:
            job: Job = yield methods.status(job_id)
        except JobNotFound:
            self._forget(job_id)
            yield JobEvent("gone", job_id)
            return
        self._asked_for.add(job_id)
        yield self._state(job, from_the_watch=False)

    def _newest(self) -> Generator[MethodCall[ListReply], Any, Sequence[JobSummary]]:
        reply: ListReply = yield methods.list_page(ListRequest(limit=NEWEST))
        return reply.jobs

    def _state(self, job: Job | JobSummary, *, from_the_watch: bool = True) -> JobEvent:
        if from_the_watch:
            self._asked_for.discard(job.job_id)
        return self._event("state", job)

    def _event(
        self, name: Literal["state", "change"], job: Job | JobSummary | JobChange
    ) -> JobEvent:
        self.revisions[job.job_id] = job.revision
        if job.status in UNFINISHED:
            self._unfinished.add(job.job_id)
        else:
            self._unfinished.discard(job.job_id)
        self._keep_few()
        return JobEvent(name, job.job_id, job)

    def _forget(self, job_id: str) -> None:
        self.revisions.pop(job_id, None)
        self._unfinished.discard(job_id)
        self._asked_for.discard(job_id)

    def _keep_few(self) -> None:
        """Forgets the oldest ended jobs, because a watch may run for months."""
        # Jobs that can still be in the list of the newest must stay known, or they would count as
        # new after a restart of the daemon. At least twice as many as the list has are kept, so
        # that this runs only once in `NEWEST` jobs.
        if len(self.revisions) <= 3 * NEWEST:
            return
        for job_id in [name for name in self.revisions if name not in self._unfinished][:NEWEST]:
            self._forget(job_id)
