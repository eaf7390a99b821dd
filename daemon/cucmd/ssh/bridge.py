"""Runs an asyncio loop inside trio, and passes calls from trio to asyncio.

Why there are two loops
    The daemon is written for trio, asyncssh for asyncio. `open_bridge` runs an asyncio loop as a
    task of trio, with trio-asyncio. Both loops share one thread. A callback of asyncssh therefore
    runs between two steps of trio's tasks, and can set a trio event or put something into a trio
    channel without a lock. A callback that blocks stops everything. The processes that receive
    files run asyncio alone.

How calls, bytes and errors pass between the loops
    calls       `on_asyncio` runs a coroutine of asyncssh (connect, open a session) as an asyncio
                task, and waits for it in trio.
    bytes       asyncssh delivers bytes in callbacks (`data_received`). The callbacks put them where
                a trio task waits for them: for a shell, into the buffer in `inbox.py`. So reading
                needs no call into asyncio, and a deadline on a read is an ordinary deadline of
                trio.
    writes      Writing, disconnecting, aborting and closing are synchronous in asyncssh, so trio
                calls them directly.
    errors      `on_asyncio` raises the exception of its coroutine. An exception in a callback has
                no caller. It is logged, and cancels no task of trio.

How a cancel reaches asyncio
    A trio scope around `on_asyncio` may be cancelled at any time. The cancel is passed to the
    asyncio task, repeatedly until the task ends, and only then does `on_asyncio` return. So:
    - A `finally` in the coroutine that waits without a limit blocks the caller, whatever deadlines
      the caller has set. Our coroutines have no such `finally`.
    - If an outer deadline passes before the task has ended, the outer scope catches the cancel,
      even if the deadline of an inner scope started it. The caller then reports the failure that
      belongs to the outer deadline.
    A connection must not be closed by asyncio's `async with` around trio code: a cancel ends its
    `__aexit__` before its first step, and the connection leaks. Close it from trio instead.

How a connection is closed (in `shell.py` and `link.py`)
    1. Within the caller's deadline: send the end of input, then wait for the peer.
    2. Call `disconnect` or `abort` of asyncssh. Both are synchronous, so no cancel prevents them.
    3. Wait until the socket is closed. This wait is shielded from cancels and limited in time;
       `run_callbacks` gives asyncio the turns that it needs.
    All connections must be closed before `open_bridge` ends, because the asyncio loop ends with it.

On 2 cores, over loopback, with Python 3.13, trio 0.35, trio-asyncio 0.16 and asyncssh 2.24, 400
nodes connect at once in 1.6 s. An empty `on_asyncio` takes 50 us, and a checkpoint of trio 3 us.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio

from cucmd.ssh.asyncssh_setup import prepare_asyncssh
from cucmd.ssh.python314 import import_trio_asyncio

# May raise CannotStart, so only commands that need the bridge import this module.
trio_asyncio = import_trio_asyncio()

T = TypeVar("T")

# Seconds between two cancels of a task. Most tasks end within this time after the first cancel, so
# that no second cancel disturbs their clean-up.
_CANCEL_AGAIN = 0.1

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_bridge() -> AsyncIterator[None]:
    """Runs an asyncio loop for the body, and for all trio tasks that the body starts."""
    prepare_asyncssh()
    async with trio_asyncio.open_loop() as loop:
        loop.set_exception_handler(_log_error)
        try:
            yield
        finally:
            # End the tasks that asyncssh has left running for closed connections. trio-asyncio
            # would end them too, but it raises the exception of a task that fails. The login task
            # of asyncssh's server fails if its client has gone: 'NoneType' object has no attribute
            # 'begin_auth'.
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            results: list[Any] = []
            if tasks:
                with trio.CancelScope(shield=True):
                    results = await trio_asyncio.run_aio_future(
                        asyncio.gather(*tasks, return_exceptions=True)
                    )
            for result in results:
                if isinstance(result, Exception):
                    _log.error("asyncio: a task failed at the end", exc_info=result)


def _log_error(_loop: Any, context: dict[str, Any]) -> None:
    """Logs an exception of a callback, or of a task that nobody awaits.

    The exception concerns one connection, but without this handler trio-asyncio would raise it in
    `open_bridge`, and end the work on every node.
    """
    message = context.get("message") or "unhandled error"
    _log.error("asyncio: %s", message, exc_info=context.get("exception"))


async def on_asyncio(proc: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Runs `await proc(*args)` as a task of the asyncio loop, and returns its result.

    A cancel of the caller cancels the task and waits until it ends, so a `finally` in the task must
    not wait without a limit. In a scope that is already cancelled the task does not start. Raises
    the exception of the task, and RuntimeError outside of `open_bridge`.
    """
    loop = trio_asyncio.current_loop.get()
    if loop is None:
        raise RuntimeError("called outside of open_bridge()")

    async def awaited() -> T:
        return await proc(*args)

    task = loop.create_task(awaited())
    result: T = await trio_asyncio.run_aio_future(_Persistent(task, loop))
    return result


class _Persistent:
    """Repeats the cancel of a task until the task ends.

    trio-asyncio cancels the task only once. If the task waits for a thread at that moment, as
    asyncssh does for some methods of authentication, the cancel gets lost, and the task may then
    wait for ever for something else.
    """

    def __init__(self, task: Any, loop: Any) -> None:
        self._task = task
        self._loop = loop
        self.add_done_callback = task.add_done_callback
        self.result = task.result

    def cancel(self) -> None:
        if not self._task.done():
            self._task.cancel()
            self._loop.call_later(_CANCEL_AGAIN, self.cancel)


async def ping() -> None:
    """Returns once a task has run in the asyncio loop, which proves that the loop works."""
    await on_asyncio(asyncio.sleep, 0)


async def run_callbacks() -> None:
    """Returns when all asyncio callbacks have run that were due at the time of the call.

    The socket of an aborted connection is closed after two or three such calls. Raises RuntimeError
    outside of `open_bridge`.
    """
    loop = trio_asyncio.current_loop.get()
    if loop is None:
        raise RuntimeError("called outside of open_bridge()")
    if not loop.is_closed():
        await loop.synchronize()
