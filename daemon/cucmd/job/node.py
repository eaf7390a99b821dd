"""PURE. Declares a node of a job: its states and their transitions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeAlias, cast

import msgspec

from cucmd.job.attempt import MOST_EARLIER, MOST_MESSAGE, MOST_PHASES, EarlierAttempt, PhaseBegun
from cucmd.job.coverage import Covered, Gap, LogCoverage
from cucmd.job.failure import Failure
from cucmd.job.kind import Result
from cucmd.job.status import NodeStatus

# Notes for a person about the work on a node.
Notes: TypeAlias = tuple[str, ...]


class Phase(StrEnum):
    """Lists the phases of the work on a node. Each phase has its own deadline."""

    CONNECT = "connect"
    LOGIN = "login"
    PREPARE = "prepare"
    COMMAND = "command"
    TRANSFER = "transfer"
    CLOSE = "close"


class ImpossibleTransition(Exception):
    """A settled node or an ended job would change its state. This is a defect of cucmd."""


class Pending(msgspec.Struct, frozen=True, tag="pending"):
    """The node waits for its turn.

    started_at   when the node first began, if that was before a restart
    waits_for    nodes on which the same login is being tried, so that this node has to wait
    waits_since  since when it has waited for these nodes
    """

    started_at: datetime | None = None
    waits_for: tuple[str, ...] = ()
    waits_since: datetime | None = None


class Running(msgspec.Struct, frozen=True, tag="running"):
    started_at: datetime
    phase: Phase


class Succeeded(msgspec.Struct, frozen=True, tag="succeeded"):
    started_at: datetime
    completed_at: datetime


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The node has failed in `phase`. The phase is None if the node was not running."""

    started_at: datetime | None
    completed_at: datetime
    failure: Failure
    phase: Phase | None = None


class Cancelled(msgspec.Struct, frozen=True, tag="cancelled"):
    """The node was cancelled in `phase`. The phase is None if the node was not running."""

    started_at: datetime | None
    completed_at: datetime
    phase: Phase | None = None


NodeState: TypeAlias = Pending | Running | Succeeded | Failed | Cancelled
SETTLED = (Succeeded, Failed, Cancelled)

# The type of the result (`Kind.result_type`). With it the store decodes a node, as `Node[Found]`.
if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R = TypeVar("R", bound=Result, default=Result)
else:
    from typing import TypeVar

    R = TypeVar("R", bound=Result)


class Node(msgspec.Struct, Generic[R], frozen=True):
    """Describes one node of one job.

    node             its name in the request: a host, or host:port
    marked           the name of its folder is marked, so that no other node has the same folder
                     (`node_name.folder_of`)
    retries          the `retries` of its job when this node was queued last
    attempts_before  the number of attempts before this node was queued last
    attempt          the number of the last attempt
    zone             the name of its time zone
    clock_ahead      seconds by which its clock is ahead of ours; negative: behind
    all_announced    `files_announced` counts all files; no others will follow
    heard_at         when the last byte of the node came, or the attempt began
    named_by         the node whose discovery has named this one; None if the request or the
                     configuration has named it
    name             the host name by which its cluster knows it, unless `node` has it. In a job,
                     no two nodes have the same (`node_name.short_names`)
    named_at         when a discovery found this name, if that was after the start of the job
    role, product    what a discovery has said of it, in the words of the node that was asked
    version          the version of its cluster, as that node has said
    coverage         which part of the time window its files cover, in words
                     (cases/coverage_reader.py); None if this was not examined
    gaps             the parts of the window that are missing
    logs             the parts of the window that each of its logs covers
    phases           when the last attempt entered each phase: the first of them, and the last one
    result           what the work has returned for the node so far; it may change after the node
                     has settled
    may_run          names of captures that were begun before the node was queued last, and may
                     still run there
    earlier          how the last few attempts before this node was queued last ended, the oldest
                     first
    """

    node: str
    state: NodeState = Pending()
    attempt: int = 0
    notes: Notes = ()
    files_announced: int | None = None
    bytes_announced: int | None = None
    files_received: int = 0
    bytes_received: int = 0
    marked: bool = False
    retries: int = 0
    zone: str | None = None
    clock_ahead: float = 0.0
    coverage: str | None = None
    all_announced: bool = False
    heard_at: datetime | None = None
    attempts_before: int = 0
    named_by: str | None = None
    name: str | None = None
    role: str | None = None
    product: str | None = None
    version: str | None = None
    result: R | None = None
    may_run: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    earlier: tuple[EarlierAttempt, ...] = ()
    logs: tuple[LogCoverage, ...] = ()
    phases: tuple[PhaseBegun, ...] = ()
    named_at: datetime | None = None

    @property
    def settled(self) -> bool:
        return isinstance(self.state, SETTLED)

    @property
    def short_name(self) -> str:
        return self.name or self.node

    @property
    def host_name(self) -> str | None:
        """Returns the node's host name, which other nodes of the job may have too, or None."""
        return None if self.name is None else self.name.partition("+")[0]

    @property
    def full_name(self) -> str:
        """Returns such as `cucm-sub2 (10.0.0.3)`."""
        return self.node if self.name is None else f"{self.name} ({self.node})"

    @property
    def status(self) -> NodeStatus:
        return cast("NodeStatus", self.state.__struct_config__.tag)

    def _with(self, state: NodeState, **fields: object) -> Node[R]:
        if self.settled:
            raise ImpossibleTransition(f"{self.node} is {self.status} already")
        return msgspec.structs.replace(self, state=state, **fields)

    def begin(self, now: datetime, attempt: int) -> Node[R]:
        """Begins an attempt, and forgets the coverage of the files of an earlier attempt."""
        started = self.state.started_at or now
        state = Running(started, Phase.CONNECT)
        phases = (PhaseBegun(Phase.CONNECT.value, now),)
        fresh = {"coverage": None, "gaps": (), "logs": (), "phases": phases}
        return self._with(state, attempt=attempt, all_announced=False, heard_at=now, **fresh)

    def retry(self, retries: int) -> Node[R]:
        """Returns the node as it was before its first attempt, apart from the number of attempts,
        the names of captures that may still run, and how the last attempts ended.
        """
        if not isinstance(self.state, Failed | Cancelled):
            raise ImpossibleTransition(f"{self.node} is {self.status}, not failed or cancelled")
        why = self.state.failure if isinstance(self.state, Failed) else None
        ended = EarlierAttempt(
            attempt=self.attempt,
            completed_at=self.state.completed_at,
            phase=self.state.phase,
            failure=None if why is None else why.code,
            message=None if why is None else why.message[:MOST_MESSAGE],
            started_at=self.state.started_at,
        )
        return Node(
            self.node,
            attempt=self.attempt,
            marked=self.marked,
            named_by=self.named_by,
            name=self.name,
            role=self.role,
            product=self.product,
            version=self.version,
            named_at=self.named_at,
            retries=retries,
            attempts_before=self.attempt,
            may_run=self.left_running(given_up=True),
            earlier=(*self.earlier, ended)[-MOST_EARLIER:],
        )

    def left_running(self, *, given_up: bool) -> tuple[str, ...]:
        """Returns the names of what may still run on the node. `given_up`: the job is over."""
        name = None if self.result is None else self.result.name_if_running(given_up=given_up)
        return self.may_run if name is None else (*self.may_run, name)

    def abandoned(self) -> Node[R]:
        """Returns the node with its work given up, because the daemon has stopped and so did not
        see how the work ended.
        """
        if self.settled or self.result is None:
            return self
        return msgspec.structs.replace(self, result=self.result.abandoned())

    def queue_again(self) -> Node[R]:
        """Returns the node as pending after a restart. Keeps the time at which it first began."""
        return self._with(Pending(self.state.started_at))

    def with_login_wait(self, now: datetime, nodes: tuple[str, ...]) -> Node[R]:
        """Returns the node with the nodes on which the same login is tried first, if there are any.

        Only a pending node waits for others.
        """
        state = self.state
        if not isinstance(state, Pending) or state.waits_for == nodes:
            return self
        since = (state.waits_since or now) if nodes else None
        return self._with(Pending(state.started_at, nodes, since))

    def enter(self, phase: Phase, now: datetime) -> Node[R]:
        if not isinstance(self.state, Running):
            raise ImpossibleTransition(f"{self.node} is {self.status}, not running")
        phases = self.phases
        if phase is not self.state.phase:
            began = end_of(now, phases[-1].began_at if phases else None)
            phases = (*phases[: MOST_PHASES - 1], PhaseBegun(phase.value, began))
        return self._with(Running(self.state.started_at, phase), phases=phases)

    def with_coverage(self, what: Covered) -> Node[R]:
        """Returns the node with its coverage, which is only known after the node has settled."""
        return msgspec.structs.replace(self, coverage=what.text, gaps=what.gaps, logs=what.logs)

    def succeed(self, now: datetime, notes: tuple[str, ...] = ()) -> Node[R]:
        if not isinstance(self.state, Running):
            raise ImpossibleTransition(f"{self.node} is {self.status}, not running")
        started = self.state.started_at
        return self._with(Succeeded(started, end_of(now, started)), notes=notes)

    def fail(self, now: datetime, failure: Failure) -> Node[R]:
        started = self.state.started_at
        return self._with(Failed(started, end_of(now, started), failure, self._phase))

    def cancel(self, now: datetime) -> Node[R]:
        started = self.state.started_at
        return self._with(Cancelled(started, end_of(now, started), self._phase))

    @property
    def _phase(self) -> Phase | None:
        return self.state.phase if isinstance(self.state, Running) else None


# A word that can be a node: 10.0.0.1:2022, [fe80::1%eth0]:22, cucm-pub.example.com
_WORD = re.compile(r"\[[\w%]*:[\w.:%-]*\](?::\d+)?|(?<![\w.:%-])[.:%-]*\w+(?:[.:%-]+\w+)*")


def with_names(text: str, names: Mapping[str, str]) -> str:
    """Puts the short name in place of each node in a text. names: the short names, by node."""
    return _WORD.sub(lambda found: names.get(found[0], found[0]), text)


def end_of(now: datetime, began: datetime | None) -> datetime:
    """Returns `now`, or `began` if the clock was set back since."""
    return now if began is None else max(now, began)
