"""The asyncio loop inside trio, and the one way across.

The one rule: whatever goes wrong in an asyncio callback is reported and ends nothing but itself.
Bytes never cross here; they come through callbacks into trio channels (see shell.py).
"""

from __future__ import annotations

import getpass
import logging
import os
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncssh
from cryptography.utils import CryptographyDeprecationWarning

from cucmd.ssh.python314 import import_trio_asyncio
from cucmd.ssh.timers import TimerSweep

# Raises `CannotStart`: whatever imports this module is a part of a command that needs the bridge.
trio_asyncio = import_trio_asyncio()

T = TypeVar("T")
Report = Callable[[str, BaseException | None], None]

# Seconds. Longer than a close takes that has been asked for once, so that none is disturbed.
_CANCEL_AGAIN = 0.1

_log = logging.getLogger(__name__)


def log(message: str, error: BaseException | None) -> None:
    """The default report of something that went wrong in an asyncio callback."""
    _log.error("asyncio: %s", message, exc_info=error)


class Bridge:
    """Proof that the asyncio side lives. Work crosses by `on_asyncio`."""

    async def ping(self) -> None:
        """Into the asyncio loop and back; returns once a task of asyncio's has run."""
        await on_asyncio(_answer)


async def _answer() -> None:
    """Nothing: that it ran is the answer."""


@asynccontextmanager
async def open_bridge(*, on_error: Report = log) -> AsyncIterator[Bridge]:
    """An asyncio loop for the body, and for every task started below it.

    `on_error` hears of what nobody else can: an exception in a callback or in a task that
    nobody awaits. It belongs to one connection, and ends one connection; without a handler of
    our own trio-asyncio would raise it out of here, and every node with it.
    """
    _silence_asyncssh()
    _accept_old_key_exchange()
    _ensure_login_name()
    async with trio_asyncio.open_loop() as loop:
        loop.set_exception_handler(_handler(on_error))
        loop._timer_handle_cancelled = TimerSweep(loop)
        yield Bridge()


async def on_asyncio(proc: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Runs `await proc(*args)` as a task of the asyncio loop of the bridge that we are below.

    A cancellation of ours cancels that task and then waits for it, so a `finally` in there must
    not await without a bound. In a scope that is cancelled already the body never starts.
    """
    loop = trio_asyncio.current_loop.get()
    if loop is None:
        raise RuntimeError("not below open_bridge()")
    task = loop.create_task(_awaited(proc, args))
    result: T = await trio_asyncio.run_aio_future(_Persistent(task, loop))
    return result


async def _awaited(proc: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
    return await proc(*args)


class _Persistent:
    """A task that, once cancelled, is cancelled until it ends.

    trio-asyncio cancels it once. A cancel that falls into the time in which the task waits for a
    thread is lost with the thread's result, and asyncssh prepares every connection's options in
    a thread: a node that then says nothing would have hung for ever, whatever its deadline.
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


async def settle() -> None:
    """Returns when every asyncio callback that was due has run.

    A connection that was aborted gives its socket back two or three such turns later.
    """
    loop = trio_asyncio.current_loop.get()
    if loop is None:
        raise RuntimeError("not below open_bridge()")
    if not loop.is_closed():
        await loop.synchronize()


def _handler(report: Report) -> Callable[[Any, dict[str, Any]], None]:
    def handle(_loop: Any, context: dict[str, Any]) -> None:
        try:
            report(str(context.get("message") or "unhandled error"), context.get("exception"))
        except Exception:
            # A report that fails must not do what the report is there to prevent.
            _log.exception("the report of an asyncio error failed")

    return handle


def _silence_asyncssh() -> None:
    """Warnings only, and never the debug level whose packet dumps show passwords."""
    asyncssh.set_log_level(logging.WARNING)
    asyncssh.set_debug_level(1)


def _accept_old_key_exchange() -> None:
    """Old nodes have finite-field Diffie-Hellman or nothing, so its end is no news to an operator.

    The upper bound of `cryptography` in pyproject.toml is where that is dealt with.
    """
    warnings.filterwarnings(
        "ignore", "Diffie-Hellman over finite fields", CryptographyDeprecationWarning
    )


def _ensure_login_name() -> None:
    """asyncssh asks for a local login name and a home for each connection, and refuses to go on
    without.

    Nothing sends them anywhere. A container whose user has no entry in passwd has none.
    """
    os.environ.setdefault("HOME", "/")
    try:
        getpass.getuser()
    except (KeyError, OSError):  # KeyError until Python 3.12
        os.environ["LOGNAME"] = "cucmd"
