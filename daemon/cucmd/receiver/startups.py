"""PURE. Decides which connections may log in now, with a limit for all and one for each address.

Before its login a connection needs a process, and anybody can open connections. So a limited number
of connections may log in at the same time, and the others wait without a process.

- If too many wait, the newest connection of the address with most waiting ones is closed.
- The next to log in is a connection of the address that has fewest connections in login.
- While addresses with fewer connections in login wait, a login may take only some seconds, which is
  enough for a key exchange and a few packets. Then the oldest connection of the address with most
  connections in login is cut. Nodes behind one NAT do not cut each other in this way.

No address is locked out after a wrong password: a password of 178 bits cannot be guessed, and
other nodes behind the same NAT may have right ones.
"""

from __future__ import annotations

from collections import Counter
from typing import Generic, TypeVar

T = TypeVar("T")


class Startups(Generic[T]):
    """Holds the connections that have not logged in. A source is an address from `source_of`.

    limit: how many connections may log in at the same time, over all sources.
    per_source: the same for one source.
    max_waiting: how many connections may wait.
    seconds: the time for a login while a source with fewer connections in login waits.
    """

    def __init__(self, limit: int, per_source: int, max_waiting: int, seconds: float) -> None:
        self._limit = limit
        self._per_source = per_source
        self._max_waiting = max_waiting
        self._seconds = seconds
        # The source of each connection, and the time at which it began to log in. The oldest
        # connections come first.
        self._waiting: dict[T, str] = {}
        self._logging_in: dict[T, tuple[str, float]] = {}

    def __bool__(self) -> bool:
        """Returns whether any connection waits."""
        return bool(self._waiting)

    def enter(self, source: str, connection: T) -> T | None:
        """Lets a new connection wait.

        Returns a connection that must be closed because too many wait, or None. It may be the new
        connection itself.
        """
        self._waiting[connection] = source
        if len(self._waiting) <= self._max_waiting:
            return None
        # Of several addresses with equally many, `most_common` returns the one that comes first
        # here. From the newest to the oldest, that is the one of the newest connection, so the
        # addresses that have waited longer keep their places.
        [(busiest, _)] = Counter(reversed(self._waiting.values())).most_common(1)
        newest = [each for each, source in self._waiting.items() if source == busiest][-1]
        del self._waiting[newest]
        return newest

    def leave(self, connection: T) -> None:
        """Forgets a connection that has logged in or has ended. May be repeated."""
        self._waiting.pop(connection, None)
        self._logging_in.pop(connection, None)

    def next(self, now: float) -> T | None:
        """Returns a waiting connection that may log in now, and counts it; or None."""
        held = Counter(source for source, _ in self._logging_in.values())
        able = [each for each, source in self._waiting.items() if held[source] < self._per_source]
        if not able or len(self._logging_in) >= self._limit:
            return None
        # Of equal ones `min` returns the first, which has waited longest.
        chosen = min(able, key=lambda each: held[self._waiting[each]])
        self._logging_in[chosen] = self._waiting.pop(chosen), now
        return chosen

    def overdue(self, now: float) -> T | None:
        """Returns a connection that must be cut because another connection waits, or None."""
        if not self._waiting or not self._logging_in:
            return None
        held = Counter(source for source, _ in self._logging_in.values())
        [(busiest, count)] = held.most_common(1)
        if all(held[source] and held[source] + 1 >= count for source in self._waiting.values()):
            return None  # after the cut, a connection of the same source would be next
        oldest = next(each for each, (source, _) in self._logging_in.items() if source == busiest)
        return oldest if now - self._logging_in[oldest][1] >= self._seconds else None
