"""Says what one user of the socket may hold at a time, and how fast it may go on.

What one user holds or does never counts against another. Root and the server's own user may hold as
much as others, and go as fast as they can.

Whatever costs the event loop time has a price, in seconds, of about ten times what it takes there,
so that a user gets about a tenth of the loop, over all of its connections:

    CONNECTION  a new connection; so there are 150 in a second
    PIECE       bytes that are read at once, a frame, a reply; so there are 500 calls in a second
    BYTE        each byte that is read or sent; so there are 4 MB in a second

The prices of what a user has done add up to the time at which it is `free_at`. If that is further
ahead than

    CREDIT      its connections wait before they read, decode a frame or send more of a stream
    MOST_OWED   its new connections are closed at once (`refuses`)

Processor time itself was billed before, for which each step of a task had to be run by hand. Prices
hold the attacks of `tests/bench` better. What a call costs beyond its frames is not known to them:
a reply is long where its making is, and the limit of requests holds the rest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import msgspec
import trio

CONNECTION = 1 / 150
PIECE = 1 / 1500
BYTE = 1 / 4_000_000

CREDIT = 0.02
# To start a job of a thousand nodes and to list a thousand jobs together costs less.
MOST_OWED = 1.0

Held: TypeAlias = Literal["connections", "requests", "streams", "large", "refused"]


class SocketLimits(msgspec.Struct, frozen=True):
    """connections, requests, streams are those of each user (uid), at the same time.
    large: large frames of each user, from where they count as large until they are answered.
    refused: connections of each user beyond its limit that are told so, at the same time.

    There is none for all users together: the process has descriptors for some hundreds of them.
    """

    connections: int = 64
    requests: int = 64
    streams: int = 32
    large: int = 4
    refused: int = 16


class OverLimit(Exception):
    """`limit` is a field of `SocketLimits`."""

    def __init__(self, limit: str, maximum: int) -> None:
        super().__init__(f"{limit}: at most {maximum}")
        self.limit = limit
        self.maximum = maximum


class _User:
    def __init__(self) -> None:
        self.held: Counter[Held] = Counter()
        self.turn = trio.Lock()  # waited for in order
        self.free_at = -math.inf  # by the clock of trio

    @property
    def owed(self) -> float:
        """Returns the seconds until it is free."""
        return self.free_at - trio.current_time()

    @property
    def idle(self) -> bool:
        return not (self.held.total() or self.turn.locked() or self.owed > 0)


class Users:
    """Has what each user holds at the moment, and owes. `privileged`: the uids that never wait."""

    def __init__(self, limits: SocketLimits, privileged: frozenset[int]) -> None:
        self._limits = limits
        self._privileged = privileged
        self._users: dict[int, _User] = {}

    @contextmanager
    def hold(self, uid: int, kind: Held) -> Iterator[None]:
        """Raises `OverLimit` instead of being entered."""
        maximum: int = getattr(self._limits, kind)
        held = self._user(uid).held
        if held[kind] >= maximum:
            raise OverLimit(kind, maximum)
        held[kind] += 1
        try:
            yield
        finally:
            held[kind] -= 1

    async def wait(self, uid: int) -> None:
        """Waits for the user's turn, in the order of the calls. What follows without a checkpoint
        is done before another connection of that user goes on.
        """
        await trio.lowlevel.checkpoint()
        user = self._user(uid)
        if user.turn.locked() or user.owed > CREDIT:
            async with user.turn:
                await trio.sleep_until(user.free_at)

    def charge(self, uid: int, price: float) -> None:
        if uid not in self._privileged:
            user = self._user(uid)
            user.free_at = max(user.free_at, trio.current_time()) + price

    def refuses(self, uid: int) -> bool:
        """Says whether a new connection of that user is to be closed at once."""
        return self._user(uid).owed > MOST_OWED

    def _user(self, uid: int) -> _User:
        if uid not in self._users:
            # What a user owes is remembered after its last connection has closed: else one who
            # connects again for each frame would never have to wait.
            self._users = {uid: user for uid, user in self._users.items() if not user.idle}
            self._users[uid] = _User()
        return self._users[uid]
