"""What each signal does, from the daemon's first step to its last.

A request (SIGHUP, SIGUSR1) never ends the process; a stop (SIGTERM, SIGINT) ends it at once while
no node has been contacted.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager

import trio

REQUESTS = (signal.SIGHUP, signal.SIGUSR1)
STOPS = (signal.SIGTERM, signal.SIGINT)


def set_signal_defaults() -> None:
    """What signals do while no receiver is open: before the daemon is up, and as it ends.

    Call it once, before anything else. SIGINT then ends the process as SIGTERM does, without
    Python's traceback.
    """
    for number in REQUESTS:
        signal.signal(number, signal.SIG_IGN)
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)


class Signals:
    """Requests are queued from here on, e.g. a reload for a file that changes during the start."""

    def __init__(self, stack: ExitStack) -> None:
        self.requests: AsyncIterator[int] = stack.enter_context(
            trio.open_signal_receiver(*REQUESTS)
        )
        self._stops = stack.enter_context(ExitStack())
        self._stop: AsyncIterator[int] | None = None

    def defer_stops(self) -> None:
        """From now on stops are queued for `stop`. Call it before the first node is contacted."""
        self._stop = self._stops.enter_context(trio.open_signal_receiver(*STOPS))

    async def stop(self) -> str:
        """Waits for a stop and returns its name. The next one ends the process at once."""
        assert self._stop is not None
        number = await anext(self._stop)
        self._stops.close()
        return signal.Signals(number).name


@contextmanager
def open_signals() -> Iterator[Signals]:
    """Inside `trio.run`, in its main thread."""
    with ExitStack() as stack:
        yield Signals(stack)
