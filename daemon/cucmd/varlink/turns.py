"""How much of the event loop's time a user of the socket gets, and whose turn it is.

What a user costs is one part in `REST + 1` of the time at most, over all of its connections. Nobody
waits for another user.

A frame of a megabyte can take 10 ms, a connection that comes and leaves 0.3 ms, and nothing else
runs meanwhile. Without turns, a user with 64 connections would take 64 of them between two steps
of every other task.

What is charged to a user, in the time of the loop's thread:

    each step of its connections, from the first to the last     `metered`
    accepting a connection, also one that is closed at once      `charged`

What it is charged for, it rests for `REST` times as long. While it rests for longer than

    CREDIT      its connections wait before they read, decode a frame or send more of a stream
    MOST_OWED   its new connections are closed at once (`refuses`)

Of root and the server's own user only the decoding of frames is charged (`decoding`), so that their
calls are as quick as they can be; and none of their connections is closed.
"""

from __future__ import annotations

import math
import time
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import trio

# Seconds of rest, for each second that a user took.
REST = 9.0
# Seconds of rest that a user may owe before its connections have to wait for the end of it.
# Ordinary calls take some tens of microseconds each, and seldom owe that much.
CREDIT = 0.01
# Seconds of rest from which on a user gets no new connection. To start a job of a thousand nodes
# and to list a thousand jobs together owe less.
MOST_OWED = 1.0
# Seconds of rest that a user can owe at all: so soon after a flood it is served again.
_LONGEST_REST = 5.0

T = TypeVar("T")


class _Turn:
    """Of one user. `free_at` is when its rest is over, by the clock of trio."""

    def __init__(self) -> None:
        self.lock = trio.Lock()
        self.free_at = -math.inf

    def rests(self) -> bool:
        return self.owed > CREDIT

    @property
    def owed(self) -> float:
        return self.free_at - trio.current_time()

    def idle(self) -> bool:
        return not self.lock.locked() and self.owed <= 0


class Turns:
    """`privileged`: the uids of which only decoding is charged. `clock` measures what is charged,
    in seconds. It is the time of the thread, since on a busy machine the loop stands still for
    other reasons too.
    """

    def __init__(
        self, privileged: frozenset[int], clock: Callable[[], float] = time.thread_time
    ) -> None:
        self._privileged = privileged
        self._clock = clock
        self._turns: dict[int, _Turn] = {}

    async def wait(self, uid: int) -> None:
        """Waits until that user has rested, in the order of the calls.

        Where it has now, this is no checkpoint.
        """
        turn = self._turn_of(uid)
        if not turn.lock.locked() and not turn.rests():
            return
        async with turn.lock:
            if turn.rests():
                await trio.sleep_until(turn.free_at)

    def refuses(self, uid: int) -> bool:
        """Whether a new connection of that user is to be closed at once."""
        return uid not in self._privileged and self._turn_of(uid).owed > MOST_OWED

    @contextmanager
    def charged(self, uid: int) -> Iterator[None]:
        """The body has no checkpoint."""
        begun = self._clock()
        try:
            yield
        finally:
            self._charge(uid, self._clock() - begun)

    @contextmanager
    def decoding(self, uid: int) -> Iterator[None]:
        """The body decodes one frame, directly after `wait` and without a checkpoint."""
        begun = self._clock()
        try:
            yield
        finally:
            if uid in self._privileged:  # else `metered` counts it
                self._add(uid, self._clock() - begun)

    @types.coroutine
    def metered(
        self, uid: int, work: Coroutine[Any, Any, T], free: Callable[[], bool] = lambda: False
    ) -> Generator[Any, Any, T]:
        """Awaits `work`, and charges each of its steps: what runs between two of its waits.

        Not those after which `free` returns True.
        """
        value: Any = None
        error: BaseException | None = None
        while True:
            begun = self._clock()
            try:
                waits_for = work.send(value) if error is None else work.throw(error)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                if not free():
                    self._charge(uid, self._clock() - begun)
            value = error = None
            try:
                value = yield waits_for
            except BaseException as raised:  # cancelled
                error = raised

    def _charge(self, uid: int, took: float) -> None:
        if uid not in self._privileged:
            self._add(uid, took)

    def _add(self, uid: int, took: float) -> None:
        turn, now = self._turn_of(uid), trio.current_time()
        turn.free_at = min(max(turn.free_at, now) + took * REST, now + _LONGEST_REST)

    def _turn_of(self, uid: int) -> _Turn:
        if uid not in self._turns:
            # A rest is remembered after the user's last connection has closed: else one who
            # connects again for each frame would never rest.
            self._turns = {uid: turn for uid, turn in self._turns.items() if not turn.idle()}
            self._turns[uid] = _Turn()
        return self._turns[uid]
