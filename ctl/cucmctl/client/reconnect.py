"""Watches a job across a restart of the daemon (`watch`), or repeats one call (`again`).

    state           what happens               next
    watching        the connection breaks      away; the listener is told
    away            no daemon at the socket    away; tried again after a pause
    away            the first reply comes      watching; the reply has the whole state
    away            `reconnect` is over        the error of the last attempt is raised

A watch is only repeated if the job is known to exist, or if all jobs are watched. If there was no
daemon from the start, the error is raised at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from cucmctl.client.errors import DaemonUnavailable, ShuttingDown
from cucmd.protocol.jobs import WatchReply

# Seconds within which the daemon must be back, if the user does not say otherwise.
DEFAULT = 60.0
# Seconds between two attempts.
PAUSE = 0.2

R = TypeVar("R")


class WatchClient(Protocol):
    """Declares the method of `Client` that is used here. `Client` itself imports this module."""

    def watch(
        self,
        job_id: str | None = None,
        *,
        timeout: float | None = None,
        changes: bool = False,
        answer_within: float | None = None,
    ) -> Iterator[WatchReply]: ...


class ReconnectListener:
    """Listens for the daemon to go away and come back. This base class does nothing."""

    def went_away(self, why: str, seconds: float) -> None:
        """Called when the connection broke. The client now waits `seconds` for the daemon."""

    def came_back(self) -> None:
        """Called when the daemon answers again."""


def watch(
    client: WatchClient,
    job_id: str | None,
    listener: ReconnectListener,
    *,
    timeout: float | None = None,
    reconnect: float = DEFAULT,
    known: bool = False,
    changes: bool = False,
) -> Iterator[WatchReply]:
    """Yields and raises what `Client.watch` does. After a restart, the whole state comes again.

    timeout    seconds for everything; then `TimeoutError` is raised
    reconnect  seconds within which the daemon must answer again; with 0, an error is raised at once
    known      whether the job is known to exist, so that a lost daemon is waited for even before
               the first reply
    changes    as for `Client.watch`
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    back_by: float | None = None  # the time by which the daemon must be back; None while watching
    while True:
        try:
            for change in client.watch(
                job_id,
                timeout=_left(deadline),
                changes=changes,
                answer_within=_left(back_by),
            ):
                if back_by is not None:
                    back_by = None
                    listener.came_back()
                known = True
                if job_id is not None and change.job is not None:
                    job_id = change.job.job_id
                yield change
        except (DaemonUnavailable, ShuttingDown) as error:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise TimeoutError from error
            if back_by is None:
                if not known or not reconnect or isinstance(error, ShuttingDown):
                    raise
                back_by = now + reconnect
                listener.went_away(str(error), reconnect)
            elif now >= back_by:
                text = f"the daemon went away, and is not back within {reconnect:g} s: {error}"
                raise DaemonUnavailable(text) from error
        else:
            return
        time.sleep(_pause(back_by, deadline))


def again(call: Callable[[], R], listener: ReconnectListener, *, reconnect: float = DEFAULT) -> R:
    """Returns the result of `call`, which is repeated while the daemon is away.

    `call` must be safe to repeat. `reconnect` is as for `watch`. Raises what `call` raises.
    """
    back_by: float | None = None
    while True:
        try:
            result = call()
        except (DaemonUnavailable, ShuttingDown) as error:
            now = time.monotonic()
            if back_by is None and reconnect:
                back_by = now + reconnect
                listener.went_away(str(error), reconnect)
            elif back_by is None or now >= back_by:
                raise
        else:
            if back_by is not None:
                listener.came_back()
            return result
        time.sleep(_pause(back_by))


def _left(deadline: float | None) -> float | None:
    """Returns the seconds until a deadline, at least 0.001, since a limit of 0 is over at once."""
    return None if deadline is None else max(0.001, deadline - time.monotonic())


def _pause(*deadlines: float | None) -> float:
    return min(PAUSE, *(left for deadline in deadlines if (left := _left(deadline)) is not None))
