"""PURE. Holds connections that have not logged in yet: how many there may be, and which are cut.

What is cut for a newcomer is the oldest connection of the address that has most: a login takes a
key exchange, and who holds a connection for longer does not mean to log in. It is cut at random
once half of all places are taken (as sshd's MaxStartups, but the oldest goes and not the newcomer),
and always once all are.

There is no lock-out: a password of 178 bits is not guessed, and where a node comes with a wrong
one, others behind the same NAT may have right ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Unauthenticated(Generic[T]):
    """Counts connections that have not logged in, and is not for threads. `source` is what
    `source_of` returns; `limit` is for all together.
    """

    def __init__(self, limit: int, chance: Callable[[], float] = random.random) -> None:
        self.total = 0
        self._limit = limit
        self._crowded = limit // 2
        self._chance = chance
        self._waiting: dict[str, dict[T, None]] = {}  # source -> the oldest first

    def enter(self, source: str, connection: T) -> T | None:
        """Counts a new connection. Returns the one that must be cut for it, if any."""
        displaced = self._remove_oldest() if self._is_crowded() else None
        self._waiting.setdefault(source, {})[connection] = None
        self.total += 1
        return displaced

    def leave(self, source: str, connection: T) -> None:
        """It has logged in, or has ended. Does nothing for one that is not counted."""
        waiting = self._waiting.get(source, {})
        if connection in waiting:
            del waiting[connection]
            self.total -= 1
        if not waiting:
            self._waiting.pop(source, None)

    def _remove_oldest(self) -> T:
        """Removes the oldest of the address that has most. There is one."""
        most = max(self._waiting, key=lambda one: len(self._waiting[one]))
        oldest = next(iter(self._waiting[most]))
        self.leave(most, oldest)
        return oldest

    def _is_crowded(self) -> bool:
        """Says whether one has to go for another one."""
        if self.total >= self._limit:
            return True
        if self.total < self._crowded:
            return False
        return self._chance() < (self.total - self._crowded) / (self._limit - self._crowded)
