"""Removes cancelled timers from the asyncio loop, as asyncio's own loop does.

At most twice as many timers are kept as were not cancelled at the last sweep, plus `FEW`.

trio-asyncio 0.16 keeps a cancelled timer until its time, with all objects that it refers to.
asyncssh starts one for the login of each of the receiver's connections, and cancels it after that:
the connection would stay in memory until the login's time is over.
"""

from __future__ import annotations

import asyncio
import heapq
from typing import Any

# Timers. Up to this many are not swept: that would cost more than they take. asyncio's own figure.
FEW = 100


class TimerSweep:
    """What a trio-asyncio loop calls whenever one of its timers is cancelled.

    A timer that is cancelled in the step of the loop that made it is not in the loop's list yet. So
    a sweep depends on the length of the list, and not on the number of cancels.
    """

    def __init__(self, loop: Any) -> None:
        # Private in trio-asyncio; a test of the bridge fails if the name changes.
        self._timers: list[asyncio.TimerHandle] = loop._timers
        self._most = FEW

    def __call__(self, _handle: asyncio.TimerHandle) -> None:
        if len(self._timers) > self._most:
            self._timers[:] = [timer for timer in self._timers if not timer.cancelled()]
            heapq.heapify(self._timers)
            self._most = 2 * len(self._timers) + FEW
