"""PURE. Connections that have not logged in yet: how many there may be, shared by address.

The one rule: while all places are taken, an address that has fewer than its share of them gets
another, and the address that has most gives one up.

There is no lock-out: a password of 178 bits is not guessed, and a node that comes with a wrong one
may have neighbours behind the same NAT whose passwords are right.
"""

from __future__ import annotations

import ipaddress
from typing import Generic, TypeVar

Connection = TypeVar("Connection")


class AllTaken(Exception):
    """As many connections as there may be have not logged in, and no other must give way."""


def source_of(peer: str) -> str:
    """What counts as one address: an IPv4 address, or the IPv6 network of one link.

    One machine has 2^64 addresses of IPv6, and may use a new one for each connection.
    """
    address = ipaddress.ip_address(peer)
    if address.version == 4:
        return peer
    mapped = address.ipv4_mapped
    if mapped is not None:
        return str(mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))


class Unauthenticated(Generic[Connection]):
    """Not for threads. `source` is what `source_of` returns."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[str, dict[Connection, None]] = {}  # source -> the oldest first

    @property
    def total(self) -> int:
        return sum(map(len, self._waiting.values()))

    def enter(self, source: str, connection: Connection) -> Connection | None:
        """Counts a new connection. Returns the one that must be cut for it, if all were taken.

        Raises `AllTaken`, and counts nothing then.
        """
        displaced = self._displace_for(source) if self.total >= self._limit else None
        self._waiting.setdefault(source, {})[connection] = None
        return displaced

    def leave(self, source: str, connection: Connection) -> None:
        """It has logged in, or has ended. Does nothing for one that is not counted."""
        waiting = self._waiting.get(source, {})
        waiting.pop(connection, None)
        if not waiting:
            self._waiting.pop(source, None)

    def _displace_for(self, source: str) -> Connection:
        """The oldest of the address that has most: a login takes a key exchange, and who holds
        a connection for longer does not mean to log in.
        """
        most = max(self._waiting, key=lambda one: len(self._waiting[one]))
        if len(self._waiting[most]) <= len(self._waiting.get(source, ())) + 1:
            raise AllTaken
        oldest = next(iter(self._waiting[most]))
        self.leave(most, oldest)
        return oldest
