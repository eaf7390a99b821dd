"""Whose bytes are handled next: every peer has its share of the event loop.

No connection is handled for longer than a slice at a time, and what a slice costs is counted for
the peer's address.

How a slice is given. A connection that has bytes waits in its line (`Turns.wait`). In each turn of
the loop one of those that wait is handled for a slice, or several that need less:

    1. `EXPECTED` (nodes, and who has logged in to the receiver) or `OTHERS`: by weight, so that
       others get a fifth while both wait.
    2. The address that has used least since it began to wait.
    3. Its connections, one after the other.

Where nobody waits, one of `EXPECTED` has its slice within the callback that has read its bytes
(`Turns.at_once`). That saves a copy of them, and a turn of both loops for each read.

One packet cannot be interrupted: a key exchange is one, and may take ten slices. Between two slices
of one address the loop also has to read what others have sent meanwhile. So an address (of
`OTHERS`: all of them) rests for as long as its slice took, unless that moved so many bytes that
it is an ordinary transfer. This leaves half of the processor to the others, and to the threads
that write.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Generic, Protocol, TypeVar

import trio

# Seconds. At 250 MB/s it is 500 KB, what is read at once.
SLICE = 0.002

# Bytes a second. OpenSSH's sftp moves 200 MB and more, with 3DES on an old processor 15; packets
# without content are handled at 1 MB/s.
TRANSFER = 4_000_000

# What an address may owe at most, in seconds: it is not punished for longer than that.
_MOST_OWED = 1.0

# Entries of addresses that do not wait. Up to so many are not looked through: that would cost more.
_FEW = 100

Key = TypeVar("Key")


class Group(Enum):
    EXPECTED = 4  # the value is the weight
    OTHERS = 1


class Waiting(Protocol):
    """A connection that has bytes."""

    @property
    def group(self) -> Group: ...
    @property
    def source(self) -> str:
        """Its peer's address."""

    def take_turn(self, until: float) -> int:
        """Handles bytes until then, by `time.perf_counter`. Returns how many it has handled."""
        ...

    @property
    def has_more(self) -> bool: ...


class Shares(Generic[Key]):
    """PURE. Who is next of those that wait: the one that has used least. Times in seconds.

    No step looks through all that wait. One that waits stands in the heap `_ready` by what it has
    used, one that rests in `_resting` by the end of its rest, also if it waits. An entry is left
    behind where that changes, and dropped once it comes to the top.
    """

    def __init__(self) -> None:
        self._used: dict[Key, float] = {}  # of those that wait, or owe
        self._charged: dict[Key, float] = {}  # when
        self._rests: dict[Key, float] = {}  # until when
        self._waiting: dict[Key, int] = {}  # its number among all that ever began to wait
        self._numbers = itertools.count()
        self._ready: list[tuple[float, int, Key]] = []  # (used, number, key)
        self._resting: list[tuple[float, int, Key]] = []  # (until when, number, key)
        self._least = 0.0  # what the last one that was chosen had used by then
        self._most = _FEW

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def wait(self, key: Key) -> None:
        """It begins with what the others have used: waiting for nothing earns nothing."""
        if key not in self._waiting:
            self._used[key] = max(self._used.get(key, 0.0), self._least)
            self._waiting[key] = next(self._numbers)
            self._place(key)

    def leave(self, key: Key) -> None:
        """It does not wait any more. What it owes is kept for a second."""
        self._waiting.pop(key, None)

    def charge(self, key: Key, seconds: float, now: float) -> None:
        self._charged[key] = now
        used = max(self._used.get(key, 0.0), self._least) + seconds
        self._used[key] = min(used, self._least + _MOST_OWED)
        self._place(key)
        self._forget(now)

    def rest(self, key: Key, until: float) -> None:
        if until > self.rests_until(key):
            self._rests[key] = until
            heapq.heappush(self._resting, (until, next(self._numbers), key))

    def may_go(self, key: Key, now: float) -> bool:
        """Whether nobody waits, and it does not rest."""
        self._wake(now)
        return not self._waiting and key not in self._rests

    def rests_until(self, key: Key) -> float:
        return self._rests.get(key, 0.0)

    def ready_at(self, now: float) -> float:
        """When one of those that wait may be chosen: in the past, or when to ask again, since
        they all rest.
        """
        if self._first(now) is not None:
            return 0.0
        return self._resting[0][0] if self._waiting else math.inf

    def next(self, now: float, among: Callable[[Key], bool] = lambda _: True) -> Key | None:
        """None where nobody waits, or all rest. Of those only for which `among` is true: the
        others are looked through.
        """
        passed: list[tuple[float, int, Key]] = []
        while (first := self._first(now)) is not None and not among(first):
            passed.append(heapq.heappop(self._ready))
        for entry in passed:
            heapq.heappush(self._ready, entry)
        if first is not None:
            self._least = max(self._least, self._used[first])
        return first

    def _place(self, key: Key) -> None:
        if key in self._waiting and key not in self._rests:
            heapq.heappush(self._ready, (self._used[key], self._waiting[key], key))

    def _wake(self, now: float) -> None:
        """Ends the rests that are over."""
        while self._resting and self._resting[0][0] <= now:
            until, _, key = heapq.heappop(self._resting)
            if self._rests.get(key) == until:
                del self._rests[key]
                self._place(key)

    def _first(self, now: float) -> Key | None:
        """The one that has used least of those that wait and do not rest."""
        self._wake(now)
        while self._ready:
            used, number, key = self._ready[0]
            is_now = self._waiting.get(key) == number and self._used[key] == used
            if is_now and key not in self._rests:
                return key
            heapq.heappop(self._ready)
        return None

    def _forget(self, now: float) -> None:
        """Drops what says nothing any more, once it may be more than half of all."""
        self._wake(now)
        if len(self._used) + len(self._ready) <= self._most:
            return
        for key in [key for key in self._used if self._is_settled(key, now)]:
            del self._used[key]
            self._charged.pop(key, None)
        self._ready.clear()
        for key in self._waiting:
            self._place(key)
        self._most = 2 * (len(self._used) + len(self._ready)) + _FEW

    def _is_settled(self, key: Key, now: float) -> bool:
        if key in self._waiting:
            return False
        return self._used[key] <= self._least or self._charged[key] + _MOST_OWED <= now


class _Line:
    """Those of one group that wait, by address."""

    def __init__(self) -> None:
        self.sources: Shares[str] = Shares()
        self._queues: dict[str, deque[Waiting]] = {}

    def add(self, source: str, one: Waiting) -> None:
        self._queues.setdefault(source, deque()).append(one)
        self.sources.wait(source)

    def take(self, source: str) -> Waiting:
        queue = self._queues[source]
        one = queue.popleft()
        if not queue:
            del self._queues[source]
            self.sources.leave(source)
        return one


class Turns:
    """Gives turns to connections. Of one asyncio loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._groups: Shares[Group] = Shares()
        self._lines = {group: _Line() for group in Group}
        self._next: asyncio.Handle | None = None
        self._delayed = False  # `_next` is a timer: all that wait rest

    def wait(self, one: Waiting) -> None:
        """`one.take_turn` is called once it is its turn. A connection waits once at a time."""
        self._add(one)
        self._schedule()

    def at_once(self, one: Waiting) -> bool:
        """Gives it a turn now, if it is `EXPECTED` and nobody waits. Returns whether it had it.

        If it has more after that it waits.
        """
        now = self._clock()
        if one.group is not Group.EXPECTED or self._groups:
            return False
        if not self._lines[Group.EXPECTED].sources.may_go(one.source, now):
            return False
        try:
            self._give_turn(one, now)
        finally:
            if self._groups:
                self._schedule()
        return True

    def charge(self, one: Waiting, seconds: float) -> None:
        """It was handled outside of a turn for so long."""
        self._count(one.group, one.source, seconds, transfer=False)

    def _add(self, one: Waiting) -> None:
        self._lines[one.group].add(one.source, one)
        self._groups.wait(one.group)

    def _schedule(self) -> None:
        if self._next is not None and self._delayed:
            self._next.cancel()
            self._next = None
        if self._next is None:
            self._next, self._delayed = self._loop.call_soon(self._give), False

    def _give(self) -> None:
        """Turns, one after the other, for half a slice: most of them are much shorter, and a turn
        of both loops for each would cost as much again.
        """
        self._next = None
        began = now = self._clock()
        given = True
        try:
            while given and now < began + SLICE / 2:
                given = self._give_next(now)
                now = self._clock()
        finally:  # a defect of one must not stop the others
            if self._groups and given:
                self._schedule()
        if self._groups and not given:
            delay = max(0.0, self._ready_at(now) - now)
            self._next, self._delayed = self._loop.call_later(delay, self._give), True

    def _give_next(self, now: float) -> bool:
        """Gives one turn; False where nobody waits, or all rest."""
        group = self._groups.next(now, lambda one: self._lines[one].sources.ready_at(now) <= now)
        if group is None:
            return False
        source = self._lines[group].sources.next(now)
        assert source is not None
        self._give_turn(self._take(group, source), now)
        return True

    def _ready_at(self, now: float) -> float:
        return min(
            max(self._groups.rests_until(group), line.sources.ready_at(now))
            for group, line in self._lines.items()
        )

    def _take(self, group: Group, source: str) -> Waiting:
        line = self._lines[group]
        one = line.take(source)
        if not line.sources:
            self._groups.leave(group)
        return one

    def _give_turn(self, one: Waiting, began: float) -> None:
        group, source = one.group, one.source
        moved = one.take_turn(began + SLICE)
        took = self._clock() - began
        self._count(group, source, took, transfer=moved >= took * TRANSFER)
        if one.has_more:
            self._add(one)

    def _count(self, group: Group, source: str, seconds: float, *, transfer: bool) -> None:
        now = self._clock()
        self._groups.charge(group, seconds / group.value, now)
        sources = self._lines[group].sources
        sources.charge(source, seconds, now)
        if transfer or seconds < SLICE / 2:
            return
        until = now + seconds
        if group is Group.OTHERS:
            self._groups.rest(group, until)
        else:
            sources.rest(source, until)


_TURNS: trio.lowlevel.RunVar[Turns] = trio.lowlevel.RunVar("turns")


def turns() -> Turns:
    """Those of the loop that runs. Below `open_bridge` only."""
    return _TURNS.get()


def set_turns(of_loop: Turns) -> None:
    _TURNS.set(of_loop)
