"""PURE. Tells what happens to jobs, as events, over restarts of the daemon: no change is lost, or
told twice.

`Job.revision` counts the changes of a job, also over restarts. Of each job the revision is kept
that was told last.

    the watch gives                  what is told
    the jobs that run or wait        a state of each
    a change                         the change, unless a state was told that has it in it
    a line of a list                 the line, or all of the job where `whole` says so
    the jobs once more, because the  a state of those that have another revision now. Jobs that have
    daemon was away, or changes      ended meanwhile, or changed after their end, are found in the
    were missed                      list of the newest: their state too, or that they are gone

After a state of a job nothing older of it follows. Where the daemon has to be asked meanwhile, the
calls are among the events: see `method_call.answered`.
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

# Of older jobs it is not asked what was missed, except of those that ran.
NEWEST = MOST_LISTED


class JobEvent(Struct, frozen=True, omit_defaults=True, rename={"name": "event"}):
    """As JSON it is what `cucmctl events` prints.

    state       the job as it is, all of it or its line of a list
    change      what has changed
    gone        the job of this id was deleted while nobody saw
    missed      `count` changes were left out, because the reader was slow; states follow
    begun       the states that there were at first have been told
    away        the daemon does not answer, or cannot say what was missed: `why`
    back        it does again, and what was missed has been told

    The last three are those of `cucmtrio.events`, which waits for the daemon.
    """

    name: Literal["state", "change", "missed", "gone", "begun", "away", "back"]
    job_id: str | None = None
    job: Job | JobSummary | JobChange | None = None
    count: int | None = None
    why: str | None = None


EventSteps: TypeAlias = CallSteps[JobEvent]


class Events:
    """Makes the events of one job, or of all jobs. `whole`: of which of these all of a job is told
    as its state, and not its line of a list.
    """

    def __init__(self, whole: Callable[[str], bool] = lambda _: False) -> None:
        self._whole = whole
        self.told: dict[str, int] = {}  # revisions; the jobs in the order in which they came
        self._unfinished: set[str] = set()  # of these, those that have not ended
        self._asked_for: set[str] = set()  # those whose state is not from the watch
        self._begun = False

    def begin(self) -> EventSteps:
        """Notes which jobs there are, before the first watch of all jobs. Gives no event."""
        for job in reversed((yield from self._newest())):
            self.told[job.job_id] = job.revision

    def of(self, reply: WatchReply) -> EventSteps:
        """Makes the events of a reply of the watch.

        If they are not read to their end, what is not told then is told once the watch gives the
        jobs again.
        """
        if reply.missed:
            yield JobEvent("missed", count=reply.missed)
        for job in (reply.job, *(reply.jobs or ())):
            # After missed changes figures may differ that are no revision.
            if job is not None and (reply.missed or not self._begun or self._is_news(job)):
                if isinstance(job, JobSummary) and self._whole(job.job_id):
                    yield from self._ask_for(job.job_id)
                else:
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
        return job.revision != self.told.get(job.job_id)

    def _is_next(self, change: JobChange) -> bool:
        told = self.told.get(change.job_id, -1)
        if change.job_id in self._asked_for:
            # The watch has come as far as the state; what it tells of that revision now is figures.
            if change.revision >= told:
                self._asked_for.discard(change.job_id)
            return change.revision > told
        return change.revision >= told  # figures have the same revision

    def _ended_meanwhile(self, running: set[str]) -> EventSteps:
        newest = [job for job in (yield from self._newest()) if job.job_id not in running]
        listed = {job.job_id for job in newest}
        is_told = [job.job_id in self.told for job in newest]
        new = len(newest) - is_told[::-1].index(True) if any(is_told) else len(newest)
        # What comes behind all that were told is older: others were deleted, and it moved up.
        for job in reversed(newest[:new]):
            if job.status in UNFINISHED:
                continue  # it begins now, and its changes follow
            if self._is_news(job):
                yield from self._ask_for(job.job_id)
        for job_id in [name for name in self.told if name not in running | listed]:
            # The list is of all that there are, or the job ran and is older than those.
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
        self.told[job.job_id] = job.revision
        if job.status in UNFINISHED:
            self._unfinished.add(job.job_id)
        else:
            self._unfinished.discard(job.job_id)
        self._keep_few()
        return JobEvent(name, job.job_id, job)

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
