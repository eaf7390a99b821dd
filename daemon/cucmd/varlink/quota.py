"""PURE. How much of the server one user may hold at a time, and what is reserved for root.

What one user holds never counts against the limits of another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["connections", "requests", "streams", "large"]


class Limits(msgspec.Struct, frozen=True):
    """connections, requests, streams: of each user (uid), at the same time.
    large: large frames of each user, from where they count as large until they are answered.
    total: connections of all users together.
    reserved: of these, only for root and the server's own user, who must be able to connect when
        others hold all the rest.
    """

    connections: int = 64
    requests: int = 64
    streams: int = 32
    large: int = 4
    total: int = 1024
    reserved: int = 64


class OverLimit(Exception):
    """`limit` is a field of `Limits`."""

    def __init__(self, limit: str, maximum: int) -> None:
        super().__init__(f"{limit}: at most {maximum}")
        self.limit = limit
        self.maximum = maximum


class Quota:
    """What is held at the moment. `privileged`: uids that may use the reserved connections."""

    def __init__(self, limits: Limits, privileged: frozenset[int]) -> None:
        self._limits = limits
        self._privileged = privileged
        self._held: Counter[tuple[int, Kind]] = Counter()
        self._connections = 0

    @contextmanager
    def connection(self, uid: int) -> Iterator[None]:
        """Raises `OverLimit` instead of being entered."""
        limits = self._limits
        maximum = limits.total if uid in self._privileged else limits.total - limits.reserved
        if self._connections >= maximum:
            raise OverLimit("total", maximum)
        with self.hold(uid, "connections"):
            self._connections += 1
            try:
                yield
            finally:
                self._connections -= 1

    @contextmanager
    def hold(self, uid: int, kind: Kind) -> Iterator[None]:
        """Raises `OverLimit` instead of being entered."""
        maximum: int = getattr(self._limits, kind)
        key = uid, kind
        if self._held[key] >= maximum:
            raise OverLimit(kind, maximum)
        self._held[key] += 1
        try:
            yield
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]  # so that it does not grow with every user that ever came
