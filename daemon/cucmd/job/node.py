"""PURE. Declares a node of a job: its states and their transitions.

A settled node never changes its state again.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeAlias, cast

import msgspec

from cucmd.job.attempt import MOST_EARLIER, MOST_MESSAGE, EarlierAttempt
from cucmd.job.coverage import Covered, Extent, Gap
from cucmd.job.failure import Failure
from cucmd.job.kind import Result
from cucmd.job.status import NodeStatus

# What a person should read of the work on a node.
Notes: TypeAlias = tuple[str, ...]


class Phase(StrEnum):
    """Says how far the work on a node is. Each phase has its own deadline."""

    CONNECT = "connect"
    LOGIN = "login"
    PREPARE = "prepare"
    COMMAND = "command"
    TRANSFER = "transfer"
    CLOSE = "close"


class ImpossibleTransition(Exception):
    """A settled node or an ended job was asked to change. A defect of cucmd, not of a request."""


class Pending(msgspec.Struct, frozen=True, tag="pending"):
    """Waits for its turn. `started_at` is when it began, if that was before a restart.

    `waits_for`: nodes on which the same login is being tried, since `waits_since`.
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
    """`phase` is the phase in which the node failed, or None if the node was not running."""

    started_at: datetime | None
    completed_at: datetime
    failure: Failure
    phase: Phase | None = None


class Cancelled(msgspec.Struct, frozen=True, tag="cancelled"):
    """`phase` is the phase in which the node was cancelled, or None if it was not running."""

    started_at: datetime | None
    completed_at: datetime
    phase: Phase | None = None


NodeState: TypeAlias = Pending | Running | Succeeded | Failed | Cancelled
SETTLED = (Succeeded, Failed, Cancelled)

# What the kind of work gives (`Kind.gives`): with it the store reads a node, as `Node[Found]`.
if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R = TypeVar("R", bound=Result, default=Result)
else:
    from typing import TypeVar

    R = TypeVar("R", bound=Result)


class Node(msgspec.Struct, Generic[R], frozen=True):
    """Holds one node of one job. `node` is its name in the request: a host, or host:port.

    `marked`: its folder is, so that it is no other one's (`node_name.folder_of`).
    `retries`: that of its job when it was queued last. `attempts_before`: how many attempts it had
    had by then.
    `zone`, `clock_ahead`: its time zone by name, and seconds by which its clock is ahead of ours.
    `coverage`: what its files cover of the window (cases/coverage.py), in words. None: not looked
    at. `gaps`: what they do not. `extent`: from when to when.
    `all_announced`: no more files than those of `files_announced` will be.
    `heard_at`: when the last byte of it came, or the attempt began.
    `named_by`: the node whose discovery has named this one; None: the request or the configuration
    has.
    `result`: what the kind of work gives for it, so far. It may change once the node has settled.
    `may_run`: names of what was begun on it before it was queued last, and may still run there.
    `earlier`: how it ended before it was tried again: the last few times, the oldest first.
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
    result: R | None = None
    may_run: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    extent: Extent | None = None
    earlier: tuple[EarlierAttempt, ...] = ()

    @property
    def settled(self) -> bool:
        return isinstance(self.state, SETTLED)

    @property
    def status(self) -> NodeStatus:
        return cast("NodeStatus", self.state.__struct_config__.tag)

    def _with(self, state: NodeState, **fields: object) -> Node[R]:
        if self.settled:
            raise ImpossibleTransition(f"{self.node} is {self.status} already")
        return msgspec.structs.replace(self, state=state, **fields)

    def begin(self, now: datetime, attempt: int) -> Node[R]:
        started = self.state.started_at or now
        state = Running(started, Phase.CONNECT)
        fresh = {"coverage": None, "gaps": (), "extent": None}
        return self._with(state, attempt=attempt, all_announced=False, heard_at=now, **fresh)

    def retry(self, retries: int) -> Node[R]:
        """Returns the node, pending again as it was before its first attempt; attempts are counted
        on. What may still run there stays named, and how it ended is kept.
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
        )
        return Node(
            self.node,
            attempt=self.attempt,
            marked=self.marked,
            named_by=self.named_by,
            retries=retries,
            attempts_before=self.attempt,
            may_run=self.left_running(given_up=True),
            earlier=(*self.earlier, ended)[-MOST_EARLIER:],
        )

    def left_running(self, *, given_up: bool) -> tuple[str, ...]:
        """Names what may still run there. given_up: the job is over."""
        name = None if self.result is None else self.result.name_if_running(given_up=given_up)
        return self.may_run if name is None else (*self.may_run, name)

    def abandoned(self) -> Node[R]:
        """Gives up what was begun on the node, as after a stop of the daemon nobody here will see
        its end.
        """
        if self.settled or self.result is None:
            return self
        return msgspec.structs.replace(self, result=self.result.abandoned())

    def queue_again(self) -> Node[R]:
        """Returns it, pending again after a restart, with the time at which it first began."""
        return self._with(Pending(self.state.started_at))

    def with_login_wait(self, now: datetime, nodes: tuple[str, ...]) -> Node[R]:
        """Returns the node as one that waits for the login on these nodes; none: not for that."""
        state = self.state
        if not isinstance(state, Pending) or state.waits_for == nodes:
            return self
        since = (state.waits_since or now) if nodes else None
        return self._with(Pending(state.started_at, nodes, since))

    def enter(self, phase: Phase) -> Node[R]:
        if not isinstance(self.state, Running):
            raise ImpossibleTransition(f"{self.node} is {self.status}, not running")
        return self._with(Running(self.state.started_at, phase))

    def with_coverage(self, what: Covered) -> Node[R]:
        """Adds to the node what its files cover: they are looked at once it has settled."""
        said = {"coverage": what.text, "gaps": what.gaps, "extent": what.extent}
        return msgspec.structs.replace(self, **said)

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


def end_of(now: datetime, began: datetime | None) -> datetime:
    return now if began is None else max(now, began)
