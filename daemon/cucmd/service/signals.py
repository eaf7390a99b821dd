"""What signals do, from the daemon's first step to its last.

The one rule: a request (SIGHUP, SIGUSR1) is never the end, and a stop (SIGTERM, SIGINT) is the end
at once wherever there is nothing to take leave of.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager

import trio

REQUESTS = (signal.SIGHUP, signal.SIGUSR1)
STOPS = (signal.SIGTERM, signal.SIGINT)


def settle_signals() -> None:
    """What they do while nobody listens: before the daemon is up, and as it ends.

    To be called once, before anything else. SIGINT then ends the process as SIGTERM does, without
    Python's traceback.
    """
    for number in REQUESTS:
        signal.signal(number, signal.SIG_IGN)
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)


class Signals:
    """Requests are kept from here on, e.g. to read a file again that changes during the start."""

    def __init__(self, hearing: ExitStack) -> None:
        self.requests: AsyncIterator[int] = hearing.enter_context(
            trio.open_signal_receiver(*REQUESTS)
        )
        self._stops = hearing.enter_context(ExitStack())
        self._stop: AsyncIterator[int] | None = None

    def hold_stops(self) -> None:
        """From now on a stop waits for `stop`: to be called before the first node hears of us."""
        self._stop = self._stops.enter_context(trio.open_signal_receiver(*STOPS))

    async def stop(self) -> str:
        """Waits for the name of a stop. The next one ends the process at once: who asks again
        has waited long enough.
        """
        assert self._stop is not None
        number = await anext(self._stop)
        self._stops.close()
        return signal.Signals(number).name


@contextmanager
def open_signals() -> Iterator[Signals]:
    """Inside `trio.run`, in its main thread."""
    with ExitStack() as hearing:
        yield Signals(hearing)
