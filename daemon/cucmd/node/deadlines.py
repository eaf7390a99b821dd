"""Deadlines: which one applies in which phase, and what its expiry means.

The one rule: time is that of trio's clock. A failure for an expired deadline says which deadline it
was, for how many seconds and in which phase, in the form of `failure.timed_out`.
"""

from __future__ import annotations

from types import TracebackType

import trio

from cucmd.failure import Code, Failure, NodeFailed, timed_out
from cucmd.job import Timeouts
from cucmd.node.ports import UploadTarget

# The hint for a plain command, which has nothing to do with window or paths.
_NO_ANSWER = (
    "the node's shell does not answer a plain command; its transcript shows what it said; "
    "for a slow node raise --answer-timeout"
)


class PhaseClock:
    """A deadline that moves from one phase to the next inside a single block.

    Connecting and logging in are one call into `ssh/`, but have two deadlines. If one expires, the
    block raises `NodeFailed` with the failure of the phase that it belongs to.
    """

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self._expired: Failure | None = None

    def start(self, code: Code, seconds: float, what: str) -> None:
        """The next phase begins: it may take `seconds`; `what` says what is done in it."""
        if self._scope.cancel_called:  # the deadline of the phase before has expired already
            return
        self._scope.deadline = trio.current_time() + seconds
        self._expired = timed_out(code, seconds, what)

    def means(self, expired: Failure) -> None:
        """From now on the expiry of the same deadline means `expired`."""
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


class AnswerClock:
    """The deadline of a plain command: `timeouts.answer` from now on."""

    def __init__(self, timeouts: Timeouts, text: str) -> None:
        self._deadline = trio.current_time() + timeouts.answer
        what = f"waiting for the answer to '{text}' (answer timeout)"
        self._expired = timed_out(Code.COMMAND_TIMEOUT, timeouts.answer, what, hint=_NO_ANSWER)

    def deadline(self) -> float:
        """When the command has failed."""
        return self._deadline

    def failure(self) -> Failure:
        """What the expiry of `deadline` means."""
        return self._expired


class CommandClock:
    """The deadline of one command.

        from                             the command has failed
        the command was sent             `timeouts.command` after it
        the node has all answers         `timeouts.stall` after them, or at the time above if sooner
        the first byte of the transfer   `timeouts.stall` after the last byte

    A byte counts if the receiver got it, or if the node printed it in the session. In the last
    phase `timeouts.command` does not count any more: a transfer that is slow but moves is not
    ended. `target` is None for a command that transfers nothing.
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
        self._hint = hint  # in place of the usual one for a command
        self._target = target
        self._started = trio.current_time()
        self._agreed: float | None = None
        self._printed: float | None = None

    def agreed(self) -> None:
        """The node has all answers. From now on bytes must move."""
        self._agreed = trio.current_time()

    def progress(self) -> None:
        """The node showed progress of the transfer."""
        self._printed = trio.current_time()

    def _last_byte(self) -> float | None:
        """When the transfer last moved, or None if it never did."""
        if self._agreed is None:
            return None
        received = self._target.last_activity if self._target is not None else self._agreed
        last = max(received, self._printed or self._agreed)
        return last if last > self._agreed else None

    def deadline(self) -> float:
        """When the command has failed, if nothing happens until then."""
        command_ends = self._started + self._timeouts.command
        if self._agreed is None:
            return command_ends
        last = self._last_byte()
        if last is not None:
            return last + self._timeouts.stall
        return min(command_ends, self._agreed + self._timeouts.stall)

    def failure(self) -> Failure:
        """What the expiry of `deadline` means."""
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
    """Why nothing came in, although the node has all answers: the code, and the reason."""
    if target.wrong_logins:
        return Code.RECEIVER_REJECTED, "the node logged in to the receiver with a wrong password"
    return Code.RECEIVER_UNREACHABLE, "the node agreed to push, but no login came in"
