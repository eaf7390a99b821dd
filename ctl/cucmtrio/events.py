"""`events`: tells what happens to jobs, over restarts of the daemon: once, and without a gap.

    state      what happens                              next
    watching   the first reply of the first watch        watching: its states are told, then `begun`
    watching   the daemon goes away, or cannot tell      away: `away` is told
    away       it cannot be asked                        away: asked again after a pause
    away       it gives the state, and what was missed   watching: that is told, then `back`
    away       `reconnect` is over                       the error of the last attempt is raised

What is told of a reply is decided in `cucmctl/client/events.py`, which may ask the daemon for it.
Where such a question fails, the watch begins anew.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing

import trio

from cucmctl.client import methods
from cucmctl.client.errors import DaemonUnavailable, LimitReached, ShuttingDown, StorageFailed
from cucmctl.client.job_events import Events, JobEvent
from cucmctl.client.reconnect import DEFAULT
from cucmd.protocol.jobs import WatchReply
from cucmtrio.calls import Calls, answered

# After these the same question may have an answer later.
AWAY = (DaemonUnavailable, ShuttingDown, StorageFailed, LimitReached)
# Seconds between two attempts: the first, and the longest. Nothing tells that a daemon is back.
PAUSE = 0.1
LONGEST_PAUSE = 2.0


def events(
    client: Calls,
    job_id: str | None = None,
    *,
    reconnect: float = DEFAULT,
    changes: bool = True,
    whole: Callable[[str], bool] = lambda _: False,
) -> AbstractAsyncContextManager[AsyncIterator[JobEvent]]:
    """Tells the state of the jobs that run or wait, or of one job, `begun`, then each change, and
    when the daemon went away and came back. Of one job until that ends, of all jobs without end.

    reconnect  seconds within which the daemon must answer, also at first; math.inf: it is waited
               for however long it is away
    changes    after the first state only the nodes that differ, in a `change`; else all of the job
    whole      asked before a state is told: of which jobs that is all of the job, where the watch
               of all jobs gives a line of a list

    What is kept is the same after months. Whoever reads too slowly is told how many changes were
    `missed`, and the states then. The iterator has ended once a step of it was cancelled.
    Raises `ClientError`: `JobNotFound`, and after `reconnect` seconds why the daemon is away.
    """
    return aclosing(_told(_Watching(client, job_id, changes, Events(whole)), reconnect))


async def _told(watching: _Watching, reconnect: float) -> AsyncGenerator[JobEvent, None]:
    back_by: float | None = None  # None: it is not away
    pause = PAUSE
    while True:
        try:
            async with aclosing(watching.once(back_by)) as told:
                async for event in told:
                    if event.name != "back":
                        yield event
                    elif back_by is None:
                        yield JobEvent("begun")
                    else:
                        back_by, pause = None, PAUSE
                        yield event
        except AWAY as error:
            now = trio.current_time()
            went = back_by is None
            back_by = now + reconnect if back_by is None else back_by
            if now >= back_by:
                raise
            why = str(error)
        else:
            return
        if went:
            yield JobEvent("away", why=why)
        await trio.sleep(min(pause, back_by - now))
        pause = min(2 * pause, LONGEST_PAUSE)


class _Watching:
    """Makes one watch after the other, and keeps what was told of them."""

    def __init__(self, client: Calls, job_id: str | None, changes: bool, events: Events) -> None:
        self._client = client
        self._job_id = job_id
        self._changes = changes
        self._events = events
        self._begun = job_id is not None

    async def once(self, first_by: float | None) -> AsyncGenerator[JobEvent, None]:
        """Yields the events of a watch, with `back` once all that was missed before is told.

        first_by  when its first reply must be there; None: within the time of a call
        """
        if not self._begun:
            async for _ in answered(self._events.begin(), self._client.ask):
                pass
            self._begun = True
        async with AsyncExitStack() as stack:
            soon = trio.current_time() + PAUSE  # what has just begun is not late
            with self._client.limit(None if first_by is None else max(first_by, soon)):
                call = methods.watch(self._job_id, changes=self._changes)
                replies = await stack.enter_async_context(self._client.items(call))
                first = await anext(replies)
            if self._job_id is not None and first.job is not None:
                # by its whole id: the beginning of it may fit another job by then
                self._job_id = first.job.job_id
            reply: WatchReply | None = first
            while reply is not None:
                steps = answered(self._events.of(reply), self._client.ask)
                async with aclosing(steps) as told:
                    async for event in told:
                        yield event
                if reply is first:
                    yield JobEvent("back")
                reply = await anext(replies, None)
