"""`watch`: does what `Client.watch` does, but outlives a restart of the daemon. `again`: so does
one call.

    state           what happens               next
    watching        the connection breaks      away, and the view is told
    away            no daemon at the socket    away: tried again after a pause
    away            the first reply comes      watching; it has the whole state again
    away            `reconnect` is over        the error of the last attempt is raised

Only a watch that is known to be of an existing job, or of all jobs, is begun again: a daemon that
was never there is an error at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from cucmctl.client.errors import DaemonUnavailable, ShuttingDown
from cucmd.protocol.jobs import WatchReply

# Seconds within which the daemon must be back, where nothing else is said.
DEFAULT = 60.0
# Seconds between two attempts.
PAUSE = 0.2

R = TypeVar("R")


class WatchClient(Protocol):
    """Declares what is needed of a `Client`, which uses this file itself."""

    def watch(
        self,
        job_id: str | None = None,
        *,
        timeout: float | None = None,
        changes: bool = False,
        answer_within: float | None = None,
    ) -> Iterator[WatchReply]: ...


class ReconnectListener:
    """Is told about it. This one does nothing."""

    def went_away(self, why: str, seconds: float) -> None:
        """It is waited for, for so many seconds."""

    def came_back(self) -> None:
        """It is there again."""


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
    """Yields and raises what `Client.watch` does. After a restart the state comes again.

    timeout    seconds for all of it; then `TimeoutError`
    reconnect  seconds within which the daemon must answer again; 0: its end is raised at once
    known      the job exists: it is waited for before the first reply too
    changes    as for `Client.watch`
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    back_by: float | None = None  # None: watching
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
    """Returns what `call` gives. While the daemon is away it is called again: what it does, it must
    be able to do twice.

    `reconnect`: as for `watch`. Raises what `call` raises.
    """
    back_by: float | None = None
    while True:
        try:
            given = call()
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
            return given
        time.sleep(_pause(back_by))


def _left(deadline: float | None) -> float | None:
    """Returns seconds, never 0, so that what has just begun is not called late."""
    return None if deadline is None else max(0.001, deadline - time.monotonic())


def _pause(*deadlines: float | None) -> float:
    return min(PAUSE, *(left for one in deadlines if (left := _left(one)) is not None))
