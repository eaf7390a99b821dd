"""Computes the deadlines of a session, and the failures to raise when they expire.

`PhaseClock` is for connecting and logging in, `LineClock` for a command that moves no files, and
`CommandClock` for a `file get`. The deadline of a `file get` depends on what the upload target has
received since the command was typed, which `Arrivals` counts. Several commands on a node share the
target, so files of an earlier command say nothing about a later command.

All times are those of trio's clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import trio
from msgspec.structs import replace

from cucmd.failure import Code, NodeFailed, failure, timeout_failure
from cucmd.job.failure import Failure
from cucmd.job.timeouts import Timeouts
from cucmd.node.ports import UploadTarget
from cucmd.received_file import ReceivedFile

_NO_ANSWER = (
    "the node's shell does not answer a plain command; its transcript shows what it said; "
    "for a slow node raise --answer-timeout"
)

_STILL_PACKS = (
    "the node may still pack its archive: narrow the window, or raise --command-timeout; "
    "or it cannot reach the receiver: "
)
_STILL_SILENT = "the node may be slow: raise --command-timeout; or it cannot reach the receiver: "


def with_last_line(expired: Failure, line: str) -> Failure:
    """Returns the failure with the node's last line in its message, unless the line is ""."""
    if not line:
        return expired
    return replace(expired, message=f"{expired.message}; the node's last line: {line!r}")


class PhaseClock:
    """Sets one deadline after another for a block that `limit_phases` opens."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.expired: Failure | None = None

    def start(self, code: Code, seconds: float, what: str) -> None:
        """Begins a phase of at most `seconds`. `what` describes the phase in its failure."""
        self.set_failure(timeout_failure(code, seconds, what))
        if not self.scope.cancel_called:
            self.scope.deadline = trio.current_time() + seconds

    def set_failure(self, expired: Failure) -> None:
        """Changes the failure for the current deadline, unless this deadline has expired."""
        if not self.scope.cancel_called:
            self.expired = expired


@contextmanager
def limit_phases() -> Iterator[PhaseClock]:
    """Raises `NodeFailed` with the failure of the current phase if its deadline expires.

    Connecting and logging in are one call into `ssh/`, but have two deadlines.
    """
    clock = PhaseClock()
    with clock.scope:
        yield clock
    if clock.scope.cancelled_caught:
        assert clock.expired is not None, "only `start` sets a deadline"
        raise NodeFailed(clock.expired)


class LineClock:
    """Gives a command that moves no files `seconds` from now on.

    what, hint: parts of the failure for the expired deadline.
    """

    def __init__(self, seconds: float, what: str, hint: str) -> None:
        self.deadline = trio.current_time() + seconds
        self.failure = timeout_failure(Code.COMMAND_TIMEOUT, seconds, what, hint=hint)


def answer_clock(timeouts: Timeouts, text: str) -> LineClock:
    """Starts the clock of a plain command, which has `timeouts.answer`."""
    what = f"waiting for the answer to '{text}' (answer timeout)"
    return LineClock(timeouts.answer, what, _NO_ANSWER)


def form_clock(line: str, seconds: float) -> LineClock:
    """Starts the clock of a command of `vos/forms.py`."""
    hint = "the transcript shows what the node said; --command-timeout gives the command more time"
    return LineClock(seconds, f"in '{line}' (time limit of the command)", hint)


class Arrivals:
    """Counts what an upload target has received since this object was made.

    Must be made just before the command is typed.

    where: address and port of the receiver, as the node is told them.
    """

    def __init__(self, target: UploadTarget, where: str) -> None:
        self._target = target
        self._where = where
        self._logins = target.logins
        self._wrong_logins = target.wrong_logins
        self._refused = target.refused
        self._bytes = target.bytes_received
        self._files = len(target.files())

    @property
    def has_come(self) -> bool:
        target = self._target
        return target.logins > self._logins or target.bytes_received > self._bytes

    @property
    def last(self) -> float | None:
        """Returns when the last login or byte came, by trio's clock, or None if nothing came."""
        return self._target.last_activity if self.has_come else None

    @property
    def refused_login(self) -> bool:
        return self._target.wrong_logins > self._wrong_logins

    @property
    def refused_connections(self) -> int:
        """Returns how many connections from the node's address the receiver refused or cut."""
        return self._target.refused - self._refused

    def files(self) -> Sequence[ReceivedFile]:
        return self._target.files()[self._files :]

    def explain_absence(self) -> Failure:
        """Returns the failure for a node that could log in but sent nothing."""
        target = self._target
        if self.refused_login:
            wrong = f"the node logged in to the receiver at {self._where} with a wrong password"
            return failure(Code.RECEIVER_REJECTED, wrong)
        if count := self.refused_connections:
            many = "a connection" if count == 1 else f"{count} connections"
            message = (
                f"no login came in at {self._where}; the receiver itself refused {many} from the "
                f"node's address, the last because {target.refused_why}"
            )
            hint = "the daemon's log says which addresses hold the connections; try again"
            return failure(Code.RECEIVER_UNREACHABLE, message, hint=hint)
        nothing = f"the node agreed to push, but no login came in at {self._where}"
        return failure(Code.RECEIVER_UNREACHABLE, nothing, hint=self.way_in)

    @property
    def way_in(self) -> str:
        """Returns what a person can do for a node that does not reach the receiver.

        Nodes remember the host key of the receiver by its address and port, see vos/NODES.md 5.3.
        """
        return (
            f"let the node connect to {self._where} (TCP), or set receiver.advertise; a node that "
            "has pushed there before stalls if the receiver has another host key"
        )


class CommandClock:
    """Computes the deadline of one `file get`, which depends on how far the command has come.

        state                                  the deadline
        the command was sent                   `timeouts.command` later
        the node can log in to the receiver    `stall` after our last answer, but not later than
                                               the deadline above
        the transfer has begun                 `stall` after the last progress

    `stall` is `timeouts.stall`, but never longer than `timeouts.command`. Progress is a login or a
    byte at the receiver, or what the node shows in the session. The first progress begins the
    transfer; no question does, since a node may leave out any question. From then on
    `timeouts.command` does not apply, so a slow transfer is not ended while it makes progress.

    packs: the node first makes an archive, and may show nothing meanwhile. Until the receiver gets
        a login or a byte, `timeouts.command` applies. A node that shows progress near that deadline
        gets `stall` from its last progress instead.
    """

    def __init__(
        self, timeouts: Timeouts, what: str, arrivals: Arrivals, *, packs: bool = False
    ) -> None:
        self._timeouts = timeouts
        self._stall = min(timeouts.stall, timeouts.command)
        self._what = what
        self._arrivals = arrivals
        self._packs = packs
        self._command_ends = trio.current_time() + timeouts.command
        self._answered: float | None = None
        self._shown: float | None = None

    @property
    def can_log_in(self) -> bool:
        """Says whether the node has all that it needs to log in to the receiver."""
        return self._answered is not None

    def note_answer(self) -> None:
        """Notes that the node can log in to the receiver, and that it got an answer now."""
        self._answered = trio.current_time()

    def note_progress(self) -> None:
        """Notes that the node showed progress of the transfer."""
        self._shown = trio.current_time()

    def _stalls(self) -> float:
        """Returns when the stall timeout ends the command, or infinity if it does not apply."""
        moved = [time for time in (self._arrivals.last, self._shown) if time is not None]
        last = max(moved, default=None)  # stays None until the transfer has begun
        if self._packs and not self._arrivals.has_come:
            # A node that packs may print nothing for long, so a stall must not end the command
            # before the command timeout. The stall timeout applies only if it ends later.
            ends = -math.inf if last is None else last + self._stall
            return ends if ends > self._command_ends else math.inf
        if last is None and self._answered is not None:
            # The node could log in but has not: do not wait for the whole command timeout.
            ends = self._answered + self._stall
            return ends if ends < self._command_ends else math.inf
        return math.inf if last is None else last + self._stall

    @property
    def deadline(self) -> float:
        """Returns when the command fails if nothing happens until then. Ask again at that time.

        While a node packs, the returned time may be too early: the first login at the receiver
        starts the stall timeout, but does not wake the task that waits for the node's output.
        """
        stalls = self._stalls()
        if stalls < math.inf:
            return stalls
        ask_again = trio.current_time() + self._stall if self._packs else math.inf
        return min(self._command_ends, ask_again)

    @property
    def failure(self) -> Failure:
        """Returns the failure for the expired deadline."""
        absence = None if self._arrivals.has_come else self._arrivals.explain_absence()
        if self._stalls() == math.inf:
            what, seconds = f"{self._what} (command timeout)", self._timeouts.command
            if not (absence and self.can_log_in):
                return timeout_failure(Code.COMMAND_TIMEOUT, seconds, what)
            what += f": {absence.message}"
            if self._arrivals.refused_login or self._arrivals.refused_connections:
                return timeout_failure(absence.code, seconds, what, hint=absence.hint)
            advice = (_STILL_PACKS if self._packs else _STILL_SILENT) + self._arrivals.way_in
            return timeout_failure(Code.COMMAND_TIMEOUT, seconds, what, hint=advice)
        code, why = (absence.code, absence.message) if absence else (Code.STALLED, "no byte moved")
        clock = "stall timeout"
        if self._stall < self._timeouts.stall:
            clock += ", which is never longer than the command's"
        hint = absence.hint if absence else None
        return timeout_failure(code, self._stall, f"{self._what}: {why} ({clock})", hint=hint)
