"""PURE. How often an address may connect without a login.

A connection that logs in costs nothing: only those that do not are counted.
"""

from __future__ import annotations

# Addresses. Above that those are forgotten that have their whole allowance again.
_MANY = 1024


class ConnectRate:
    """A token bucket for each address: `burst` connections, and `rate` more a second."""

    def __init__(self, burst: int, rate: float) -> None:
        self._burst = float(burst)
        self._rate = rate
        self._left: dict[str, tuple[float, float]] = {}  # source -> (allowance, when)
        self._sweep_at = _MANY

    def take(self, source: str, now: float) -> bool:
        """Whether it may connect now."""
        left = self._left_of(source, now)
        if left < 1.0:
            return False
        self._left[source] = left - 1.0, now
        if len(self._left) > self._sweep_at:
            self._sweep(now)
        return True

    def give_back(self, source: str, now: float) -> None:
        """A connection of it has logged in."""
        if source in self._left:
            self._left[source] = self._left_of(source, now) + 1.0, now

    def _left_of(self, source: str, now: float) -> float:
        left, when = self._left.get(source, (self._burst, now))
        return min(self._burst, left + (now - when) * self._rate)

    def _sweep(self, now: float) -> None:
        self._left = {
            source: left
            for source, left in self._left.items()
            if self._left_of(source, now) < self._burst
        }
        self._sweep_at = 2 * len(self._left) + _MANY
