"""PURE. Decides which connections may log in now: limited in number, and for each address.

A connection that has not logged in takes a process, and anybody may open one. So only some have a
place; the others wait, without a process. Where too many wait, the address that most of them come
from loses one. The next place goes to the address that has fewest. While addresses that have fewer
places wait, a connection has a few seconds for its login, which is a key exchange and some packets;
then it is cut, the oldest of the address that has most. Nodes behind one NAT cut none of each
other.

There is no lock-out: a password of 178 bits is not guessed, and where a node comes with a wrong
one, others behind the same NAT may have right ones.
"""

from __future__ import annotations

from collections import Counter
from typing import Generic, TypeVar

T = TypeVar("T")


class Startups(Generic[T]):
    """Holds the connections that have not logged in. A source is what `source_of` returns.

    limit: places of all addresses together. per_source: places of each address. waiting: the most that
    may wait. seconds: which a connection has for its login while addresses with fewer places wait.
    """

    def __init__(self, limit: int, per_source: int, max_waiting: int, seconds: float) -> None:
        self._limit = limit
        self._of_one = per_source
        self._max_waiting = max_waiting
        self._seconds = seconds
        self._waiting: dict[T, str] = {}  # -> source; the oldest first
        self._logging_in: dict[T, tuple[str, float]] = {}  # -> source, and when; the oldest first

    def __bool__(self) -> bool:
        """Says whether any connection waits."""
        return bool(self._waiting)

    def enter(self, source: str, connection: T) -> T | None:
        """Lets a new connection wait for a place. Returns the one that must be closed where too
        many wait: the newest of the address that has most, which may be this one.
        """
        self._waiting[connection] = source
        if len(self._waiting) <= self._max_waiting:
            return None
        [(most, _)] = Counter(reversed(self._waiting.values())).most_common(1)
        newest = next(one for one, source in reversed(self._waiting.items()) if source == most)
        del self._waiting[newest]
        return newest

    def leave(self, connection: T) -> None:
        """Frees what a connection holds that has logged in or has ended. May be repeated."""
        self._waiting.pop(connection, None)
        self._logging_in.pop(connection, None)

    def next(self, now: float) -> T | None:
        """Gives a place to one that waits, and returns it. Returns None where none is free."""
        held = Counter(source for source, _ in self._logging_in.values())
        free = [one for one, source in self._waiting.items() if held[source] < self._of_one]
        if not free or len(self._logging_in) >= self._limit:
            return None
        first = min(free, key=lambda one: held[self._waiting[one]])
        self._logging_in[first] = self._waiting.pop(first), now
        return first

    def overdue(self, now: float) -> T | None:
        """Returns the connection that must be cut for one that waits, or None."""
        if not self._waiting or not self._logging_in:
            return None
        held = Counter(source for source, _ in self._logging_in.values())
        [(most, count)] = held.most_common(1)
        if all(held[source] and held[source] + 1 >= count for source in self._waiting.values()):
            return None  # it would only be that address's own turn again
        oldest = next(one for one, (source, _) in self._logging_in.items() if source == most)
        return oldest if now - self._logging_in[oldest][1] >= self._seconds else None
