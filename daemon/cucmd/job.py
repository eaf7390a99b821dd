"""PURE. Jobs and their nodes: what a job does, its states, their transitions, and its outcome.

The one rule: a state is a type with exactly the fields that exist in it, a transition is a method
that returns a new job, and an impossible transition raises `ImpossibleTransition`.

    node   pending -> running -> succeeded | failed | cancelled
    job    queued  -> running -> ended, with an outcome: succeeded, partial, failed, cancelled

A node is *settled* once it has succeeded, failed or was cancelled. A settled node never changes
its state again; so a task of a node that was cancelled at the same moment has no effect. A job
ends when its last node settles, in the same transition. After a restart a job is queued again
and its unsettled nodes are pending again; both keep the time at which they first began.

Times are of the wall clock and in UTC. If the clock is set back, nothing ends before it began.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias, cast

import msgspec

from cucmd.failure import Failure

NodeStatus = Literal["pending", "running", "succeeded", "failed", "cancelled"]
JobStatus = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]
# How strict a job is with the host key of a node. ssh/known_hosts.py explains each.
HostKeyPolicy = Literal["strict", "accept-new", "off"]


class Phase(StrEnum):
    """How far the work on a node is. Each phase has its own deadline."""

    CONNECT = "connect"
    LOGIN = "login"
    PREPARE = "prepare"
    COMMAND = "command"
    TRANSFER = "transfer"
    CLOSE = "close"


class Outcome(StrEnum):
    """How a job ended."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ImpossibleTransition(Exception):
    """A settled node or an ended job was asked to change. A defect of cucmd, not of a request."""


# A year: longer than any job, and no deadline overflows.
MOST_SECONDS = 31_536_000
# A stop of the daemon waits for the grace of every node; systemd kills after 60 s
# (systemd/cucmd.service).
MOST_GRACE = 45.0

# The folder, in that of a node, for what commands have printed.
OUTPUT = "output"
_LONGEST_SLUG = 60


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Deadlines in seconds. All are positive, and `command` is not less than `connect`."""

    connect: float = 30.0
    login: float = 120.0
    answer: float = 60.0
    command: float = 600.0
    stall: float = 120.0
    node: float = 3600.0
    job: float = 14400.0
    grace: float = 5.0

    def problem(self) -> tuple[str, str] | None:
        """(field, reason) for the first wrong field, or None."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not 0 < value <= MOST_SECONDS:  # `not` also refuses NaN
                return name, f"{value:g} is not a positive number of seconds (at most a year)"
        if self.grace > MOST_GRACE:
            return "grace", f"{self.grace:g} s is more than {MOST_GRACE:g} s"
        if self.command < self.connect:
            return "command", f"{self.command:g} s is less than connect ({self.connect:g} s)"
        return None


class Collect(msgspec.Struct, frozen=True, tag="collect"):
    """Collects files: `paths` below `location`, in a window, resolved from profile and request.

    The window is `since` to `until`. Without any of them, every file is meant. `last` ("2h"): it
    was asked for as so long before the request; a job of an earlier version has nothing else.
    """

    paths: tuple[str, ...]
    profile: str | None = None
    location: str = "activelog"
    match: str | None = None
    recurs: bool = False
    compress: bool = False
    last: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Discover(msgspec.Struct, frozen=True, tag="discover"):
    """Asks a node which nodes its cluster has. It has one node: the publisher, as a rule."""


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Runs commands that only read, one after the other, and keeps what the node prints.

    `commands`: as `vos.parse_command` gives their lines. `seconds`: how long each may take at most;
    None: as long as its form says.
    """

    commands: tuple[str, ...]
    seconds: float | None = None

    def output_of(self, number: int) -> str:
        """Where the output of the command of that number, from 1, is in the folder of a node."""
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", self.commands[number - 1]).strip("-.")
        return f"{OUTPUT}/{number:03}-{slug[:_LONGEST_SLUG]}.txt"


# What a job does on each of its nodes: a union of structs, told apart by their tags. Another kind
# of work is another struct here with a tag of its own: `Work: TypeAlias = Collect | Run`. mypy then
# names the place in service/daemon.py that has to say which function of work/ does it. A tag and
# its fields are in databases: a tag is never renamed, and a field that comes later has a default.
Work: TypeAlias = Collect | Discover | Run


class Member(msgspec.Struct, frozen=True):
    """A node of a cluster as another one names it. `node`: by which a job can be started on it.

    `fqdn` None: it has no domain. `role` and `product` are words of the node that was asked.
    """

    node: str
    address: str
    name: str
    fqdn: str | None
    role: str
    product: str


class Found(msgspec.Struct, frozen=True):
    """What a discovery has found. `version`: of the node that was asked; None: it is not known.

    `unread`: lines about the cluster in no known form, masked, some of them if they are many.
    """

    members: tuple[Member, ...]
    version: str | None = None
    unread: tuple[str, ...] = ()


class Pending(msgspec.Struct, frozen=True, tag="pending"):
    """Waits for its turn. `started_at` is when it began, if that was before a restart."""

    started_at: datetime | None = None


class Running(msgspec.Struct, frozen=True, tag="running"):
    started_at: datetime
    phase: Phase


class Succeeded(msgspec.Struct, frozen=True, tag="succeeded"):
    started_at: datetime
    completed_at: datetime


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    started_at: datetime | None
    completed_at: datetime
    failure: Failure


class Cancelled(msgspec.Struct, frozen=True, tag="cancelled"):
    started_at: datetime | None
    completed_at: datetime


NodeState: TypeAlias = Pending | Running | Succeeded | Failed | Cancelled
SETTLED = (Succeeded, Failed, Cancelled)


class Node(msgspec.Struct, frozen=True):
    """One node of one job. `node` is its name in the request: a host, or host:port.

    `marked`: its folder is (`node_name.folder_of`). Older versions marked none.
    `revision`, `retries`: those of its job when the state of this node changed last, and when it
    was queued last. `attempts_before`: how many attempts it had had by then.
    `zone`, `clock_ahead`: its time zone by name, and seconds by which its clock is ahead of ours.
    `coverage`: what its files cover of the window (cases/coverage.py). None: not looked at.
    `all_announced`: no more files than those of `files_announced` will be.
    `heard_at`: when the last byte of it came, or the attempt began.
    `found`: what a discovery has found there. `named_by`: the node whose discovery has named this
    one; None: the request or the configuration has.
    """

    node: str
    state: NodeState = Pending()
    attempt: int = 0
    notes: tuple[str, ...] = ()
    files_announced: int | None = None
    bytes_announced: int | None = None
    files_received: int = 0
    bytes_received: int = 0
    marked: bool = False
    revision: int = 0
    retries: int = 0
    zone: str | None = None
    clock_ahead: float = 0.0
    coverage: str | None = None
    all_announced: bool = False
    heard_at: datetime | None = None
    attempts_before: int = 0
    found: Found | None = None
    named_by: str | None = None

    @property
    def settled(self) -> bool:
        return isinstance(self.state, SETTLED)

    @property
    def status(self) -> NodeStatus:
        return cast("NodeStatus", self.state.__struct_config__.tag)

    def _with(self, state: NodeState, **fields: object) -> Node:
        if self.settled:
            raise ImpossibleTransition(f"{self.node} is {self.status} already")
        return msgspec.structs.replace(self, state=state, **fields)

    def begin(self, now: datetime, attempt: int) -> Node:
        started = self.state.started_at or now
        state = Running(started, Phase.CONNECT)
        return self._with(state, attempt=attempt, coverage=None, all_announced=False, heard_at=now)

    def retry(self, retries: int) -> Node:
        """Pending again, as it was before its first attempt; attempts are counted on."""
        if not self.settled or isinstance(self.state, Succeeded):
            raise ImpossibleTransition(f"{self.node} is {self.status}, not failed or cancelled")
        again = Node(self.node, attempt=self.attempt, marked=self.marked, named_by=self.named_by)
        return msgspec.structs.replace(
            again, retries=retries, revision=self.revision, attempts_before=self.attempt
        )

    def wait_again(self) -> Node:
        """Pending again after a restart, with the time at which it first began."""
        return self._with(Pending(self.state.started_at))

    def enter(self, phase: Phase) -> Node:
        if not isinstance(self.state, Running):
            raise ImpossibleTransition(f"{self.node} is {self.status}, not running")
        return self._with(Running(self.state.started_at, phase))

    def progress(
        self,
        *,
        files_announced: int | None,
        bytes_announced: int | None,
        files_received: int,
        bytes_received: int,
    ) -> Node:
        """The node with the figures so far. A settled node takes them too: its last ones."""
        return msgspec.structs.replace(
            self,
            files_announced=files_announced,
            bytes_announced=bytes_announced,
            files_received=files_received,
            bytes_received=bytes_received,
        )

    def succeed(self, now: datetime, notes: tuple[str, ...] = ()) -> Node:
        if not isinstance(self.state, Running):
            raise ImpossibleTransition(f"{self.node} is {self.status}, not running")
        started = self.state.started_at
        return self._with(Succeeded(started, _end(now, started)), notes=notes)

    def fail(self, now: datetime, failure: Failure) -> Node:
        started = self.state.started_at
        return self._with(Failed(started, _end(now, started), failure))

    def cancel(self, now: datetime) -> Node:
        started = self.state.started_at
        return self._with(Cancelled(started, _end(now, started)))


def _end(now: datetime, began: datetime | None) -> datetime:
    return now if began is None else max(now, began)


class JobQueued(msgspec.Struct, frozen=True, tag="queued"):
    """Waits for its turn. `started_at` is when it began, if that was before a restart."""

    started_at: datetime | None = None


class JobRunning(msgspec.Struct, frozen=True, tag="running"):
    started_at: datetime


class JobEnded(msgspec.Struct, frozen=True, tag="ended"):
    started_at: datetime | None
    completed_at: datetime
    outcome: Outcome


JobState: TypeAlias = JobQueued | JobRunning | JobEnded


class Job(msgspec.Struct, frozen=True):
    """A job as it is at one moment. It never has a password in it.

    `work` is what it does on each node, `concurrency` on how many nodes at once.
    `cancelled`: the job as a whole was cancelled, and not only some of its nodes.
    `username`, and `credential` (a name), are who the job logs in as.
    `resumable`: every password comes from a named credential, so the job can go on after a restart.
    `timeouts_asked` names the timeouts that were in the request. They hold on every node; the
    others are those of the node's cluster. None: it is of a version that did not store them.
    `request_id`: of the call that made it, for whoever traces calls.
    `uid`: of the user who made that call; None in a job of a version that did not store it.
    `targets`: the names of its request, which may be of clusters. `labels`: key to value, for
    people to find it by.
    `accept_nodes`: a credential that may be sent to a node may be sent to those it has named too.
    `try_all`: a login that some nodes refuse is tried on the others all the same.
    `retries`: how often it was tried again. A node has the number with which it was queued last.
    `revision`: how many changes of state it has had, over all restarts. Figures do not count.
    `closed`: it has ended, its last connection is gone, and all files are on record.
    `files_deleted`: it has been begun to delete what it collected.
    `closed_after`: how much time had passed for sure when it was closed (cases/elapsed.py), in
    seconds. None: it was not noted.
    `deleted`: it was deleted, and this is the last that watchers are told of it.
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
    timeouts_asked: tuple[str, ...] | None = None
    request_id: str | None = None
    uid: int | None = None
    targets: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    try_all: bool = False
    retries: int = 0
    revision: int = 0
    closed: bool = False
    files_deleted: bool = False
    closed_after: float | None = None
    deleted: bool = False
    accept_nodes: bool = False

    @property
    def kind(self) -> str:
        """Which kind of work it does: the tag of `work`."""
        return str(self.work.__struct_config__.tag)

    @property
    def goes_on(self) -> bool:
        """Whether it goes on after a restart. Nobody wants commands to be run twice."""
        return self.resumable and not isinstance(self.work, Run)

    @property
    def ended(self) -> bool:
        return isinstance(self.state, JobEnded)

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
        """When it first began to run. A restart does not change that."""
        return self.state.started_at

    def begin(self, now: datetime) -> Job:
        if not isinstance(self.state, JobQueued):
            raise ImpossibleTransition(f"job {self.job_id} is {self.status}, not queued")
        started = self.started_at or max(now, self.created_at)
        return msgspec.structs.replace(self, state=JobRunning(started))

    def replace_node(self, position: int, node: Node, now: datetime) -> Job:
        """The job with one node replaced. It ends if that was the last one to settle."""
        nodes = (*self.nodes[:position], node, *self.nodes[position + 1 :])
        return msgspec.structs.replace(self, nodes=nodes)._ended_if_settled(now)

    def cancel(self, now: datetime, positions: frozenset[int] | None = None) -> Job:
        """Cancels every unsettled node, or only those at `positions`.

        Where nothing changes, the same object is returned.
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

    def fail_unsettled(self, now: datetime, failure: Failure) -> Job:
        """Fails every unsettled node for the same reason: the job's deadline, or a stop."""
        if self.ended:
            return self
        nodes = tuple(node if node.settled else node.fail(now, failure) for node in self.nodes)
        return msgspec.structs.replace(self, nodes=nodes)._ended_if_settled(now)

    def resume(self) -> Job:
        """Queues the job again after a restart. Settled nodes stay, the others are pending."""
        if self.ended:
            raise ImpossibleTransition(f"job {self.job_id} has ended")
        nodes = tuple(node if node.settled else node.wait_again() for node in self.nodes)
        return msgspec.structs.replace(self, nodes=nodes, state=JobQueued(self.started_at))

    def retry(self, positions: frozenset[int]) -> Job:
        """Queues an ended job again, with the nodes at these positions. The others stay."""
        if not self.ended:
            raise ImpossibleTransition(f"job {self.job_id} has not ended")
        retries = self.retries + 1
        nodes = tuple(
            node.retry(retries) if position in positions else node
            for position, node in enumerate(self.nodes)
        )
        again = msgspec.structs.replace(self, closed=False, closed_after=None)
        return msgspec.structs.replace(
            again, nodes=nodes, state=JobQueued(), cancelled=False, retries=retries
        )

    def revised(self, before: Job) -> Job:
        """The job with the next revision after `before`, as have the nodes that differ."""
        revision = before.revision + 1
        nodes = tuple(
            new if new is old else msgspec.structs.replace(new, revision=revision)
            for old, new in zip(before.nodes, self.nodes, strict=True)
        )
        return msgspec.structs.replace(self, nodes=nodes, revision=revision)

    def _ended_if_settled(self, now: datetime) -> Job:
        if self.ended or not all(node.settled for node in self.nodes):
            return self
        states = (node.state for node in self.nodes)
        ends = (state.completed_at for state in states if isinstance(state, SETTLED))
        completed = max(now, self.started_at or self.created_at, *ends)
        state = JobEnded(self.started_at, completed, outcome(self.nodes, cancelled=self.cancelled))
        return msgspec.structs.replace(self, state=state)


def outcome(nodes: tuple[Node, ...], *, cancelled: bool) -> Outcome:
    """The outcome of a job once every node has settled (tests/system/test_be020.py, row 4)."""
    succeeded = sum(isinstance(node.state, Succeeded) for node in nodes)
    if succeeded == len(nodes):
        return Outcome.SUCCEEDED
    if succeeded:
        return Outcome.PARTIAL
    if cancelled or all(isinstance(node.state, Cancelled) for node in nodes):
        return Outcome.CANCELLED
    return Outcome.FAILED
