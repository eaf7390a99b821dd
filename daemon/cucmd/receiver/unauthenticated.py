"""PURE. Connections that have not logged in yet: how many there may be, and which are cut.

Room is kept for the nodes that are expected now, and what is cut for a newcomer is the oldest
connection of the address that has most: a login takes a key exchange, and who holds a connection
for longer does not mean to log in.

    the place of                 may be taken by
    an address not expected      any newcomer, at random once half of all places are taken (as
                                 sshd's MaxStartups, but the oldest goes and not the newcomer), and
                                 always once only the room for expected addresses is left
    an expected address          a newcomer of an expected address, once all places are taken and
                                 nobody else has one

There is no lock-out: a password of 178 bits is not guessed, and where a node comes with a wrong
one, others behind the same NAT may have right ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Generic, TypeVar

Connection = TypeVar("Connection")


class AllTaken(Exception):
    """Nodes that are expected hold all places, and the newcomer is not expected."""


class _Places(Generic[Connection]):
    """Those of one kind of address."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: dict[str, dict[Connection, None]] = {}  # source -> the oldest first

    def add(self, source: str, connection: Connection) -> None:
        self._waiting.setdefault(source, {})[connection] = None
        self.count += 1

    def remove(self, source: str, connection: Connection) -> None:
        waiting = self._waiting.get(source, {})
        if connection in waiting:
            del waiting[connection]
            self.count -= 1
        if not waiting:
            self._waiting.pop(source, None)

    def remove_oldest(self) -> Connection:
        """Of the address that has most. There is one."""
        most = max(self._waiting, key=lambda one: len(self._waiting[one]))
        oldest = next(iter(self._waiting[most]))
        self.remove(most, oldest)
        return oldest


class Unauthenticated(Generic[Connection]):
    """Not for threads. `source` is what `source_of` returns; `limit` is for all together."""

    def __init__(self, limit: int, chance: Callable[[], float] = random.random) -> None:
        self._limit = limit
        self._room = limit - limit // 4  # for addresses that are not expected
        self._crowded = limit // 2
        self._chance = chance
        self._expected: _Places[Connection] = _Places()
        self._others: _Places[Connection] = _Places()

    @property
    def total(self) -> int:
        return self._expected.count + self._others.count

    def enter(self, source: str, connection: Connection, *, expected: bool) -> Connection | None:
        """Counts a new connection. Returns the one that must be cut for it, if any.

        Raises `AllTaken`, and counts nothing then.
        """
        displaced = self._make_room(expected=expected)
        places = self._expected if expected else self._others
        places.add(source, connection)
        return displaced

    def leave(self, source: str, connection: Connection) -> None:
        """It has logged in, or has ended. Does nothing for one that is not counted."""
        self._expected.remove(source, connection)
        self._others.remove(source, connection)

    def _make_room(self, *, expected: bool) -> Connection | None:
        full = self.total >= self._limit
        if expected:
            if not full:
                return None
            return (self._others if self._others.count else self._expected).remove_oldest()
        if not self._others.count and full:
            raise AllTaken
        return self._others.remove_oldest() if full or self._is_crowded() else None

    def _is_crowded(self) -> bool:
        """Whether one of the others has to go for another one of them."""
        others = self._others.count
        if others >= self._room:
            return True
        if others < self._crowded:
            return False
        return self._chance() < (others - self._crowded) / (self._room - self._crowded)
