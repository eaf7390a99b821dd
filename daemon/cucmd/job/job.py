"""PURE. Declares a job: its states, their transitions, and its outcome."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum, StrEnum
from itertools import compress, count
from operator import is_not
from typing import Literal, TypeAlias

import msgspec

from cucmd.job.collect import Collect
from cucmd.job.failure import Failure
from cucmd.job.node import SETTLED, Cancelled, Failed, ImpossibleTransition, Node, Succeeded
from cucmd.job.status import JobStatus
from cucmd.job.timeouts import Timeouts
from cucmd.job.work import Work, kind_of

# How strict a job is with the host key of a node. ssh/known_hosts.py explains the values.
HostKeyPolicy = Literal["strict", "accept-new", "off"]


class Outcome(StrEnum):
    """Says how a job ended."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class End(IntEnum):
    """Lists the steps at the end of a job. Each step includes the steps before it.

    OPEN           the last connections may still be open, and files may follow
    CLOSED         the connections have closed, and all files are in the store
    FILES_DELETED  the deletion of the files has begun
    DELETED        the job itself was deleted; watchers are told this last
    """

    OPEN = 0
    CLOSED = 1
    FILES_DELETED = 2
    DELETED = 3


class JobQueued(msgspec.Struct, frozen=True, tag="queued"):
    """The job waits for its turn. `started_at` is when it first began, if that was before a
    restart.
    """

    started_at: datetime | None = None


class JobRunning(msgspec.Struct, frozen=True, tag="running"):
    started_at: datetime


class JobEnded(msgspec.Struct, frozen=True, tag="ended", omit_defaults=True):
    started_at: datetime | None
    completed_at: datetime
    outcome: Outcome
    end: End = End.OPEN


JobState: TypeAlias = JobQueued | JobRunning | JobEnded


class Job(msgspec.Struct, frozen=True):
    """Describes a job as it is at one moment. A job never contains a password.

    work              what is done on each node
    concurrency       the most nodes that are worked on at the same time
    cancelled         the job as a whole was cancelled, and not only some of its nodes
    username          who the job logs in as, if the request has said so
    credential        the name of the credential that the request has named
    resumable         every password comes from a named credential, so the job can go on after a
                      restart
    timeouts_asked    the names of the timeouts in the request. These apply to every node; the
                      other timeouts are those of each node's cluster.
    request_id        the id of the call that started the job
    uid               the user who made this call
    asked_by          the name on whose behalf the user made this call
    targets           the names in the request, of nodes and clusters
    labels            key -> value, by which people find the job
    accept_nodes      a credential that may be sent to a node may also be sent to the nodes that
                      this node has named
    try_all           the login is tried on all nodes, even if some have refused it
    retries           how often the job was tried again
    revision          the number of changes of state, over all restarts. Changes of figures do not
                      count.
    first_started_at  when the job first began to run, if it was tried again
    ran_before        how many seconds it had run before it was tried again
    """

    job_id: str
    created_at: datetime
    work: Work
    timeouts: Timeouts
    concurrency: int
    nodes: tuple[Node, ...]
    state: JobState = JobQueued()
    cancelled: bool = False
    username: str | None = None
    credential: str | None = None
    resumable: bool = False
    timeouts_asked: tuple[str, ...] = ()
    request_id: str | None = None
    uid: int | None = None
    targets: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    try_all: bool = False
    retries: int = 0
    revision: int = 0
    accept_nodes: bool = False
    first_started_at: datetime | None = None
    ran_before: float = 0.0
    asked_by: str | None = None

    @property
    def kind(self) -> str:
        """Returns the name of the kind of work."""
        return kind_of(self.work)

    @property
    def quota_bytes(self) -> int:
        """Returns how many bytes count against the quota of the job.

        As a rule these are the bytes that came since the job was tried last.
        """
        return sum(
            self.work.quota_bytes(
                node.bytes_received,
                node.result if node.settled else None,
                earlier=node.retries != self.retries,
            )
            for node in self.nodes
        )

    @property
    def survives_restart(self) -> bool:
        """Says whether the job goes on after a restart of the daemon."""
        return self.resumable and self.work.repeatable

    @property
    def ended(self) -> bool:
        return isinstance(self.state, JobEnded)

    @property
    def end(self) -> End:
        """Returns the step at the end of the job. A job that has not ended is `OPEN` too."""
        return self.state.end if isinstance(self.state, JobEnded) else End.OPEN

    @property
    def closed(self) -> bool:
        return self.end >= End.CLOSED

    @property
    def files_deleted(self) -> bool:
        return self.end >= End.FILES_DELETED

    @property
    def coverage_pending(self) -> bool:
        """Says whether the job has ended, and its files are still to be read for its coverage.

        Only collections have traces to read.
        """
        collected = self.ended and not self.files_deleted and isinstance(self.work, Collect)
        return collected and any(node.coverage is None for node in self.nodes)

    @property
    def status(self) -> JobStatus:
        match self.state:
            case JobQueued():
                return "queued"
            case JobRunning():
                return "running"
            case JobEnded(outcome=outcome):
                return outcome.value

    @property
    def started_at(self) -> datetime | None:
        """Returns when the job began to run, after a start or the last retry, or None."""
        return self.state.started_at

    @property
    def completed_at(self) -> datetime | None:
        return self.state.completed_at if isinstance(self.state, JobEnded) else None

    def begin(self, now: datetime) -> Job:
        """Begins the job. A job that had begun before a restart keeps the time of its start."""
        if not isinstance(self.state, JobQueued):
            raise ImpossibleTransition(f"job {self.job_id} is {self.status}, not queued")
        started = self.started_at or max(now, self.created_at)
        return msgspec.structs.replace(self, state=JobRunning(started))

    def replace_node(self, position: int, node: Node, now: datetime) -> Job:
        """Returns the job with one node replaced. The job ends if all nodes have settled now."""
        nodes = (*self.nodes[:position], node, *self.nodes[position + 1 :])
        return msgspec.structs.replace(self, nodes=nodes)._ended_if_settled(now)

    def cancel(self, now: datetime, positions: frozenset[int] | None = None) -> Job:
        """Cancels all unsettled nodes, or only those at `positions`.

        Returns the same object if nothing changes.
        """
        if self.ended:
            return self
        nodes = tuple(
            node
            if node.settled or (positions is not None and position not in positions)
            else node.cancel(now)
            for position, node in enumerate(self.nodes)
        )
        cancelled = self.cancelled or positions is None
        job = msgspec.structs.replace(self, nodes=nodes, cancelled=cancelled)
        return self if job == self else job._ended_if_settled(now)

    def fail_unsettled(self, now: datetime, why: Failure) -> Job:
        """Fails all unsettled nodes, because of the deadline of the job or a stop of the daemon."""
        if self.ended:
            return self
        nodes = tuple(node if node.settled else node.fail(now, why) for node in self.nodes)
        return msgspec.structs.replace(self, nodes=nodes)._ended_if_settled(now)

    def names_left_running(self, node: Node) -> tuple[str, ...]:
        """Returns the names of captures that were given up on the node and may still run there."""
        return node.left_running(given_up=self.closed)

    def failure_of(self, node: Node) -> Failure | None:
        """Returns why the node has failed, as it is shown to people, or None if it has not failed.

        The captures that may still run on the node are added here and not when the node fails,
        because the daemon tries to end them after the failure.
        """
        if not isinstance(node.state, Failed):
            return None
        return self.work.explain_failure(node.state.failure, self.names_left_running(node))

    def resume(self) -> Job:
        """Queues the job again after a restart. Unsettled nodes are pending again."""
        if self.ended:
            raise ImpossibleTransition(f"job {self.job_id} has ended")
        nodes = tuple(node if node.settled else node.queue_again() for node in self.nodes)
        return msgspec.structs.replace(self, nodes=nodes, state=JobQueued(self.started_at))

    def retry(self, positions: frozenset[int]) -> Job:
        """Queues an ended job again, and makes the nodes at these positions pending again.

        The other nodes stay as they are. Raises `ImpossibleTransition` if the job has not ended, or
        if one of these nodes is neither failed nor cancelled.
        """
        if not isinstance(self.state, JobEnded):
            raise ImpossibleTransition(f"job {self.job_id} has not ended")
        started = self.state.started_at or self.state.completed_at
        ran = max(0.0, (self.state.completed_at - started).total_seconds())
        retries = self.retries + 1
        nodes = tuple(
            node.retry(retries) if position in positions else node
            for position, node in enumerate(self.nodes)
        )
        return msgspec.structs.replace(
            self,
            nodes=nodes,
            state=JobQueued(),
            cancelled=False,
            retries=retries,
            first_started_at=self.first_started_at or self.started_at,
            ran_before=self.ran_before + ran,
        )

    def with_end(self, end: End) -> Job:
        """Returns the job with its end at this step."""
        if not isinstance(self.state, JobEnded):
            raise ImpossibleTransition(f"job {self.job_id} has not ended")
        return msgspec.structs.replace(self, state=msgspec.structs.replace(self.state, end=end))

    def positions_changed_since(self, before: Job) -> list[int]:
        """Returns the positions of the nodes that are other objects than in `before`."""
        return list(compress(count(), map(is_not, before.nodes, self.nodes)))

    def _ended_if_settled(self, now: datetime) -> Job:
        if self.ended or not all(node.settled for node in self.nodes):
            return self
        states = (node.state for node in self.nodes)
        ends = (state.completed_at for state in states if isinstance(state, SETTLED))
        completed = max(now, self.started_at or self.created_at, *ends)
        state = JobEnded(self.started_at, completed, outcome(self.nodes, cancelled=self.cancelled))
        return msgspec.structs.replace(self, state=state)


def outcome(nodes: tuple[Node, ...], *, cancelled: bool) -> Outcome:
    """Returns the outcome of a job once all nodes have settled (tests/system/test_be020.py)."""
    succeeded = sum(isinstance(node.state, Succeeded) for node in nodes)
    if succeeded == len(nodes):
        return Outcome.SUCCEEDED
    if succeeded:
        return Outcome.PARTIAL
    if cancelled or all(isinstance(node.state, Cancelled) for node in nodes):
        return Outcome.CANCELLED
    return Outcome.FAILED
