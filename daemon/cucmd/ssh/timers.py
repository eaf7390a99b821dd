"""Cancelled timers of the asyncio loop are let go of, as asyncio's own loop does it.

The one rule: no more timers are kept than twice those that lived at the last sweep, and a few.

trio-asyncio 0.16 keeps each until its time has come, with all that it refers to. asyncssh's
keepalive cancels a timer for every packet that a node sends, and starts another: 15 seconds of
them, over all nodes, were a good part of the daemon's memory.
"""

from __future__ import annotations

import asyncio
import heapq
from typing import Any

# So many are left alone: to sweep them would cost more than they hold. asyncio's own figure.
FEW = 100


class TimerSweep:
    """What a trio-asyncio loop calls whenever one of its timers is cancelled.

    A timer that is cancelled in the turn that made it is not among the loop's timers yet, so the
    sweep goes by how many there are; to count cancels would miss those.
    """

    def __init__(self, loop: Any) -> None:
        # trio-asyncio shows it to nobody; a test of the bridge fails if that name changes.
        self._timers: list[asyncio.TimerHandle] = loop._timers
        self._most = FEW

    def __call__(self, _handle: asyncio.TimerHandle) -> None:
        if len(self._timers) > self._most:
            self._timers[:] = [timer for timer in self._timers if not timer.cancelled()]
            heapq.heapify(self._timers)
            self._most = 2 * len(self._timers) + FEW
