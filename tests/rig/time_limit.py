"""A hook of pytest-timeout: under trio, too, the time limit ends one test, and no other.

pytest-timeout raises from a signal's handler, wherever the program is. Inside trio's own code that
leaves a run that never ends, and every later test fails with it.
"""

import signal
from collections.abc import Generator
from types import FrameType
from typing import Any

import pytest
import trio
from trio._core._run import GLOBAL_RUN_CONTEXT

# Seconds for a cancelled test to end. After that the error is raised where the program is.
GRACE = 2.0


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer() -> Generator[None, object, object]:
    _forget_a_broken_run()
    done = yield
    signal.signal(signal.SIGALRM, through_trio(signal.getsignal(signal.SIGALRM)))
    return done


def through_trio(fails: Any) -> Any:
    """A handler for SIGALRM that lets trio end the test where trio runs; else as `fails` does."""
    cancelled = False

    def expire(number: int, frame: FrameType | None) -> None:
        nonlocal cancelled
        try:
            fails(number, frame)
        except pytest.fail.Exception as error:
            if cancelled or not trio.lowlevel.in_trio_run():
                raise
            cancelled = True
            # A system task that fails cancels everything, and is what `trio.run` then raises.
            token = trio.lowlevel.current_trio_token()
            token.run_sync_soon(trio.lowlevel.spawn_system_task, _raise, error)
            signal.setitimer(signal.ITIMER_REAL, GRACE)

    return expire


def _forget_a_broken_run() -> None:
    """Removes what is left of a run of trio that was interrupted because it exceeded GRACE."""
    if trio.lowlevel.in_trio_run():
        vars(GLOBAL_RUN_CONTEXT).clear()
        signal.set_wakeup_fd(-1)


async def _raise(error: BaseException) -> None:
    raise error
