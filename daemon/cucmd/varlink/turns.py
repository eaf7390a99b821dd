"""Whose frame is decoded next, and how much of the event loop's time a user gets for that.

The one rule: the frames of a user are decoded one after another, over all of its connections, and
take at most one part in `REST + 1` of the time. Nobody waits for the frames of another user.

A frame of a megabyte can take 10 ms, in which nothing else runs. Without turns, a user with 64
connections would take 64 of them between two steps of every other task.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

# Seconds without frames of a user, for each second that they took.
REST = 9.0
# Seconds of rest that a user may owe before its next frame has to wait for the end of it. Ordinary
# calls take some microseconds each, and never owe that much.
CREDIT = 0.01


class _Turn:
    """Of one user. `free_at` is when its rest is over, by the clock of trio."""

    def __init__(self) -> None:
        self.lock = trio.Lock()
        self.free_at = -math.inf

    def rests(self) -> bool:
        return self.free_at - trio.current_time() > CREDIT

    def idle(self) -> bool:
        return not self.lock.locked() and self.free_at <= trio.current_time()


class Turns:
    """`clock` measures what a frame takes, in seconds. It is the time of the thread, since on a
    busy machine the loop stands still for other reasons too.
    """

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._turns: dict[int, _Turn] = {}

    async def wait(self, uid: int) -> None:
        """Waits until a frame of that user may be decoded, in the order of the calls.

        Where that is now, this is no checkpoint.
        """
        turn = self._turn_of(uid)
        if not turn.lock.locked() and not turn.rests():
            return
        async with turn.lock:
            if turn.rests():
                await trio.sleep_until(turn.free_at)

    @contextmanager
    def measured(self, uid: int) -> Iterator[None]:
        """The body decodes one frame, directly after `wait` and without a checkpoint."""
        turn = self._turn_of(uid)
        begun = self._clock()
        try:
            yield
        finally:
            took = self._clock() - begun
            turn.free_at = max(turn.free_at, trio.current_time()) + took * REST

    def _turn_of(self, uid: int) -> _Turn:
        if uid not in self._turns:
            # A rest is remembered after the user's last connection has closed: else one who
            # connects again for each frame would never rest.
            self._turns = {uid: turn for uid, turn in self._turns.items() if not turn.idle()}
            self._turns[uid] = _Turn()
        return self._turns[uid]
