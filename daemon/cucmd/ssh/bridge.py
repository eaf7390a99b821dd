"""Runs the asyncio loop inside trio, and lets work cross between the two.

An error in an asyncio callback is logged and ends only that callback.

Why there are two loops
    The daemon runs on trio, asyncssh on asyncio. `open_bridge` runs an asyncio loop as a task of
    trio (with trio-asyncio). Both use one thread, so a callback of asyncssh runs between two steps
    of trio's tasks, and may set a trio event or put into a trio channel without a lock. A callback
    that blocks stops everything. Only `ssh/` and `cucmlab` use asyncio so; the functions that other
    files call are plain trio. What receives files is a process of its own, with asyncio alone.

What crosses, and how
    calls       `on_asyncio` runs a coroutine of asyncssh (connect, open a session) as an asyncio
                task, and waits for it in trio.
    bytes       do not cross by calls. asyncssh delivers them in callbacks (`data_received`), which
                put them where a trio task waits: into a list for a node's shell (`inbox.py`). A
                reader that is slow pauses the SSH channel. So a read costs no call across, and a
                deadline on a read is an ordinary deadline of trio.
    writes      and disconnect, abort, close are synchronous in asyncssh: trio calls them directly.
    errors      of a coroutine are raised by `on_asyncio`. An error in a callback has no caller: it
                is logged.

Who may cancel what
    A trio scope around `on_asyncio` may be cancelled at any time. That cancels the asyncio task,
    again and again until it ends, and `on_asyncio` returns only then. So:
    - A `finally` in the coroutine that awaits without a limit blocks the caller, whatever its
      deadlines. Ours have none.
    - In a scope that is cancelled already the coroutine never starts.
    - If an outer deadline passes before the task has ended, the outer scope catches the cancel,
      although the deadline of an inner scope began it. The failure is then that of the outer one.
    An error in an asyncio callback cancels no task of trio, because the loop has a handler for it.
    A connection must not be closed by `async with` of asyncio around trio code: a cancel ends its
    `__aexit__` before the first step, and the connection leaks. It is closed from trio instead.

The order of closing a connection (`shell.py` and `link.py` do it)
    1. In order, within the caller's deadline: end of input, then wait for the other side.
    2. `disconnect` or `abort` of asyncssh. Both are synchronous, so no cancel can prevent them.
    3. Wait until the socket is closed: shielded, with a limit. `run_callbacks` lets asyncio do it.
    The loop itself ends with `open_bridge`, so everything that has a connection is opened below it
    and is closed before it.

What was measured (2 cores, loopback, Python 3.13, trio 0.35, trio-asyncio 0.16, asyncssh 2.24)
    a call across (`on_asyncio` of an empty coroutine)      50 us; a trio checkpoint takes 3 us
    400 nodes connected at once                             1.6 s
    the same 400 cancelled, all connections closed          0.26 s
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

# Raises `CannotStart`. Only commands that need the bridge import this module.
trio_asyncio = import_trio_asyncio()

T = TypeVar("T")

# Seconds. Longer than a task needs to end after one cancel, so that this is not disturbed.
_CANCEL_AGAIN = 0.1

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_bridge() -> AsyncIterator[None]:
    """Opens an asyncio loop for the body, and for every task that is started in it."""
    prepare_asyncssh()
    async with trio_asyncio.open_loop() as loop:
        loop.set_exception_handler(_log_error)
        try:
            yield
        finally:
            # Ends what still runs: asyncssh's tasks of connections that are closed. trio-asyncio
            # does the same after this, and raises what such a task fails with; asyncssh's login of
            # a client that has gone does so ('NoneType' object has no attribute 'begin_auth').
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
    """Logs an exception of a callback, or of a task that is not awaited: it belongs to one
    connection. Without a handler trio-asyncio would raise it in `open_bridge`, and end the work on
    every node.
    """
    message = context.get("message") or "unhandled error"
    _log.error("asyncio: %s", message, exc_info=context.get("exception"))


async def on_asyncio(proc: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Runs `await proc(*args)` as a task of the asyncio loop, and returns its result.

    A cancel cancels that task and waits for its end, so a `finally` in it must not await without a
    limit. In a scope that is cancelled already it never starts. Raises `RuntimeError` outside of
    `open_bridge`.
    """
    loop = trio_asyncio.current_loop.get()
    if loop is None:
        raise RuntimeError("not below open_bridge()")

    async def awaited() -> T:
        return await proc(*args)

    task = loop.create_task(awaited())
    result: T = await trio_asyncio.run_aio_future(_Persistent(task, loop))
    return result


class _Persistent:
    """Repeats the cancel of a task until it ends.

    trio-asyncio cancels it once. If the task waits for a thread at that moment, the cancel is lost
    with the thread's result, and what the task waits for next may never come. Our connections to
    nodes use no thread there (`link.py`); asyncssh does, for options and for some methods of login.
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
    """Returns once a task has run in the asyncio loop; so the loop makes progress."""
    await on_asyncio(asyncio.sleep, 0)


async def run_callbacks() -> None:
    """Returns when every asyncio callback that was due has run.

    The socket of an aborted connection is closed after two or three such calls. Raises
    `RuntimeError` outside of `open_bridge`.
    """
    loop = trio_asyncio.current_loop.get()
    if loop is None:
        raise RuntimeError("not below open_bridge()")
    if not loop.is_closed():
        await loop.synchronize()
