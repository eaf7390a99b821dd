"""PURE. Who may try to log in to the receiver, and how long a wrong login waits for its answer.

The one rule: an address pays for its own wrong logins and for nobody else's; and what is
remembered is bounded, whoever comes.
"""

from __future__ import annotations

import ipaddress
from collections import Counter

from cucmd.receiver.limits import ReceiverLimits

# Addresses that are remembered; an attacker with more of them pushes out the oldest.
_REMEMBERED = 4096


def rate_limit_key(peer: str) -> str:
    """Who pays for what comes from there: an IPv4 address, or an IPv6 network of one link.

    One machine has 2^64 addresses of IPv6, and may use a new one for each try.
    """
    address = ipaddress.ip_address(peer)
    if address.version == 4:
        return peer
    mapped = address.ipv4_mapped
    if mapped is not None:
        return str(mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))


class LoginGuard:
    """Times are seconds of any clock that does not jump. Not for threads."""

    def __init__(self, limits: ReceiverLimits) -> None:
        self._limits = limits
        self._waiting: Counter[str] = Counter()  # address -> connections without a login
        self._total = 0
        self._wrong: dict[str, tuple[int, float]] = {}  # address -> (count, time of the last)

    def refusal(self, address: str, now: float) -> str | None:
        """Why a new connection from there is not heard, or None."""
        limits = self._limits
        if self._count(address, now) >= limits.wrong_logins:
            return "too many wrong logins"
        if self._total >= limits.unauthenticated:
            return "too many connections without a login"
        if self._waiting[address] >= limits.unauthenticated_per_address:
            return "too many connections without a login from that address"
        return None

    def enter(self, address: str) -> None:
        """A connection without a login has begun; `leave` when it has one, or has ended."""
        self._waiting[address] += 1
        self._total += 1

    def leave(self, address: str) -> None:
        self._total -= 1
        self._waiting[address] -= 1
        if self._waiting[address] <= 0:
            del self._waiting[address]

    def wrong(self, address: str, now: float) -> float:
        """Notes a wrong login; the seconds until it may be answered, doubled each time."""
        count = self._count(address, now) + 1
        self._wrong.pop(address, None)  # so that the order of the dict is the order of time
        self._wrong[address] = (count, now)
        while len(self._wrong) > _REMEMBERED:
            del self._wrong[next(iter(self._wrong))]
        delay = self._limits.wrong_login_delay * 2.0 ** min(count - 1, 30)
        return min(delay, self._limits.wrong_login_delay_cap)

    def _count(self, address: str, now: float) -> int:
        count, last = self._wrong.get(address, (0, 0.0))
        if count and now - last > self._limits.wrong_login_memory:
            del self._wrong[address]
            return 0
        return count
