"""`events`: yields what happens to jobs, over restarts of the daemon, without gaps or repetition.

    state      what happens                            yields                     next
    watching   the first reply of the first watch      the states, then `begun`   watching
    watching   the daemon goes away, or cannot answer  `away`                     away
    away       an attempt to watch fails               nothing, after a pause     away
    away       the daemon sends the state              what was missed, `back`    watching
    away       `reconnect` seconds have passed         raises the last error      -

`cucmctl/client/job_events.py` makes the events for each reply. It may need more calls for that. If
one of these fails, the watch starts again.
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
from cucmtrio.calls import Calls, run_steps

# Errors after which the same call can succeed later.
AWAY = (DaemonUnavailable, ShuttingDown, StorageFailed, LimitReached)
# Seconds between two attempts: the first pause and the longest. Attempts are needed because nothing
# notifies a client when the daemon is back.
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
    """Returns a context manager of an iterator of events. It yields the states of the jobs that run
    or wait, or of one job, then `begun`, then each change, and when the daemon went away and came
    back. The events of one job end with the job; those of all jobs do not end.

    reconnect  seconds within which the daemon has to answer, also at the beginning; math.inf: wait
               without a limit
    changes    whether a change is yielded as a `change`, with the nodes that differ, instead of as
               the whole job
    whole      called with the id of a job before its state is yielded by a watch of all jobs:
               returns whether the whole job is needed instead of its line of a list

    Memory does not grow with time. A reader that is too slow gets `missed`, with the number of
    changes that were left out, and the states again. If a step of the iterator is cancelled, the
    iterator ends. Raises `ClientError`: `JobNotFound`, or the last error after `reconnect` seconds.
    """
    return aclosing(_events(_Watching(client, job_id, changes, Events(whole)), reconnect))


async def _events(watching: _Watching, reconnect: float) -> AsyncGenerator[JobEvent, None]:
    back_by: float | None = None  # None while the daemon is not away
    pause = PAUSE
    while True:
        try:
            async with aclosing(watching.watch(back_by)) as watched:
                async for event in watched:
                    if event.name != "back":
                        yield event
                    elif back_by is None:
                        yield JobEvent("begun")
                    else:
                        back_by, pause = None, PAUSE
                        yield event
        except AWAY as error:
            now = trio.current_time()
            has_gone = back_by is None
            back_by = now + reconnect if back_by is None else back_by
            if now >= back_by:
                raise
            why = str(error)
        else:
            return
        if has_gone:
            yield JobEvent("away", why=why)
        await trio.sleep(min(pause, back_by - now))
        pause = min(2 * pause, LONGEST_PAUSE)


class _Watching:
    """Makes one watch after the other, and remembers which events were yielded."""

    def __init__(self, client: Calls, job_id: str | None, changes: bool, events: Events) -> None:
        self._client = client
        self._job_id = job_id
        self._changes = changes
        self._events = events
        self._begun = job_id is not None

    async def watch(self, first_by: float | None) -> AsyncGenerator[JobEvent, None]:
        """Yields the events of one watch, with `back` after everything that was missed before.

        first_by  when its first reply has to be there, or None for the timeout of a call
        """
        if not self._begun:
            async for _ in run_steps(self._events.begin(), self._client.ask):
                pass
            self._begun = True
        async with AsyncExitStack() as stack:
            soon = trio.current_time() + PAUSE  # even the last attempt gets some time
            with self._client.limit(None if first_by is None else max(first_by, soon)):
                call = methods.watch(self._job_id, changes=self._changes)
                replies = await stack.enter_async_context(self._client.items(call))
                first = await anext(replies)
            if self._job_id is not None and first.job is not None:
                # Watch its whole id from now on: the prefix may fit another job later.
                self._job_id = first.job.job_id
            reply: WatchReply | None = first
            while reply is not None:
                steps = run_steps(self._events.from_reply(reply), self._client.ask)
                async with aclosing(steps) as reply_events:
                    async for event in reply_events:
                        yield event
                if reply is first:
                    yield JobEvent("back")
                reply = await anext(replies, None)
