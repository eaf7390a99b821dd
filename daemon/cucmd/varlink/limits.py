"""Limits what one user of the socket may hold at a time.

    connections  Each connection serves one call at a time, so this also limits the calls of a user.
                 A connection of a user who may not operate counts for at least `COUNTED_SECONDS`.
                 Otherwise a user who connects and leaves without a pause could take all of the
                 event loop's time.
    streams      There are fewer streams than connections, so some connections are left for calls.
    a turn       One call of a user is decoded and answered at a time, so a user with many
                 connections gets no more of the event loop than a user with one.

There is no limit for all users together: the process has file descriptors for some hundreds of
users.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Literal, TypeAlias

import msgspec
import trio

_log = logging.getLogger(__name__)

COUNTED_SECONDS = 1.0
UNREAD = 60.0
# Seconds that a call waits for its turn. Then the call goes on without a turn, because the call
# before it may wait for a disk that hangs.
_MOST_WAIT = 1.0
# A user who makes this number of calls in a minute is named in the log. A script makes far fewer.
MANY_CALLS = 30_000

Held: TypeAlias = Literal["connections", "streams"]


class SocketLimits(msgspec.Struct, frozen=True):
    """Holds how many connections and streams each user (uid) may have at the same time."""

    connections: int = 64
    streams: int = 32


class OverLimit(Exception):
    """The user is at a limit. `limit` is the name of a field of `SocketLimits`."""

    def __init__(self, limit: str, maximum: int) -> None:
        super().__init__(f"{limit}: at most {maximum}")
        self.limit = limit
        self.maximum = maximum


class NobodyReads(Exception):
    """The peer has read nothing for `UNREAD` seconds."""


class _User:
    def __init__(self) -> None:
        self.held: Counter[Held] = Counter()
        self.turn = trio.Semaphore(1, max_value=1)
        self.calls = 0  # in the minute that began at `minute_start`
        self.minute_start = -math.inf


class Users:
    """Counts what each user holds at the moment."""

    def __init__(self, limits: SocketLimits) -> None:
        self._limits = limits
        self._users: dict[int, _User] = {}

    @contextmanager
    def hold(self, uid: int, kind: Held) -> Iterator[None]:
        """Counts one connection or stream while the block runs. Raises `OverLimit` at the limit."""
        maximum: int = getattr(self._limits, kind)
        held = self._user(uid).held
        if held[kind] >= maximum:
            raise OverLimit(kind, maximum)
        held[kind] += 1
        try:
            yield
        finally:
            held[kind] -= 1

    @property
    def connections(self) -> int:
        return sum(user.held["connections"] for user in self._users.values())

    async def turn(self, uid: int) -> ExitStack:
        """Waits until no other call of the user has the turn, but at most `_MOST_WAIT` seconds.

        Returns a stack. The turn ends when the stack is closed.
        """
        user, now = self._user(uid), trio.current_time()
        if now >= user.minute_start + 60:
            user.calls, user.minute_start = 0, now
        user.calls += 1
        if user.calls == MANY_CALLS:
            text = "uid %d has made %d calls in %d s"
            _log.warning(text, uid, user.calls, now - user.minute_start, extra={"uid": uid})
        turn, ended = user.turn, ExitStack()
        # A deadline takes 5 % of the time of a `Status` call. A free turn is taken without waiting.
        with nullcontext() if turn.value else trio.move_on_after(_MOST_WAIT):
            await turn.acquire()
            ended.callback(turn.release)
        return ended

    def _user(self, uid: int) -> _User:
        if uid not in self._users:
            # Forget the users who hold nothing, and whose turn is free.
            users = self._users.items()
            self._users = {u: user for u, user in users if user.held.total() or not user.turn.value}
            self._users[uid] = _User()
        return self._users[uid]
