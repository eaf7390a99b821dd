"""Deadlines: which clock runs in which phase, and what its expiry means.

The one rule: time is trio's clock, and whoever lets a deadline expire says which, for how long
and in which phase, in the form that `failure.timed_out` fixes.
"""

from __future__ import annotations

from types import TracebackType

import trio

from cucmd.failure import Code, Failure, NodeFailed, timed_out
from cucmd.job import Timeouts
from cucmd.node.ports import UploadTarget


class PhaseClock:
    """A deadline that moves from one phase to the next inside a single block.

    Connecting and logging in are one call into the SSH room, but two deadlines: the block is
    left with `NodeFailed` of the phase in which time ran out.
    """

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self._expired: Failure | None = None

    def start(self, code: Code, seconds: float, what: str) -> None:
        if self._scope.cancel_called:  # too late: the clock before this one has run out
            return
        self._scope.deadline = trio.current_time() + seconds
        self._expired = timed_out(code, seconds, what)

    def means(self, expired: Failure) -> None:
        """From here on the same deadline is told as `expired`."""
        if not self._scope.cancel_called:
            self._expired = expired

    def __enter__(self) -> PhaseClock:
        self._scope.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught:
            assert self._expired is not None, "only `start` sets a deadline"
            raise NodeFailed(self._expired)


class CommandClock:
    """The clock of one command: `timeouts.command`, until a transfer proves to be alive.

    Once the transfer is agreed it also ends after `timeouts.stall` seconds without a byte from
    the node or at the receiver. A transfer that has moved a byte is judged by the stall timer
    alone, so that a slow transfer that still moves is not ended by a fixed time.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        what: str,
        target: UploadTarget | None = None,
        *,
        hint: str | None = None,
    ) -> None:
        self._timeouts = timeouts
        self._what = what
        self._hint = hint  # where the usual one for a command does not fit
        self._target = target
        self._started = trio.current_time()
        self._agreed: float | None = None
        self._heard: float | None = None

    def agreed(self) -> None:
        """The node has all answers; from here on bytes must move."""
        self._agreed = trio.current_time()

    def heard(self) -> None:
        """The node showed progress of the transfer."""
        self._heard = trio.current_time()

    def _last_byte(self) -> float | None:
        """When the transfer last moved, or None if it never did."""
        if self._agreed is None:
            return None
        received = self._target.last_activity if self._target is not None else self._agreed
        last = max(received, self._heard or self._agreed)
        return last if last > self._agreed else None

    def deadline(self) -> float:
        command_ends = self._started + self._timeouts.command
        if self._agreed is None:
            return command_ends
        last = self._last_byte()
        if last is not None:
            return last + self._timeouts.stall
        return min(command_ends, self._agreed + self._timeouts.stall)

    def failure(self) -> Failure:
        """What the expiry of `deadline` means now."""
        timeouts, last = self._timeouts, self._last_byte()
        if last is None and trio.current_time() >= self._started + timeouts.command:
            what = f"{self._what} (command timeout)"
            return timed_out(Code.COMMAND_TIMEOUT, timeouts.command, what, hint=self._hint)
        if self._target is not None and not self._target.connected:
            code, why = not_connected(self._target)
            return timed_out(code, timeouts.stall, f"{self._what}: {why}")
        return timed_out(
            Code.STALLED, timeouts.stall, f"{self._what}: no byte moved (stall timeout)"
        )


def not_connected(target: UploadTarget) -> tuple[Code, str]:
    """Why nothing came into a target that a node has agreed to push to."""
    if target.wrong_logins:
        return Code.RECEIVER_REJECTED, "the node came to the receiver with a wrong password"
    return Code.RECEIVER_UNREACHABLE, "the node agreed to push, but no login came in"
