"""Says what one user of the socket may hold at a time.

    connections  Each serves one call at a time, so that this bounds the calls of a user too. A
                 connection of a user who may not operate counts for `COUNTED_SECONDS` at least:
                 somebody who connects and leaves without a pause would take the event loop's time.
    streams      Fewer, so that calls are answered beside them.
    a turn       One call of a user at a time is decoded and answered. So a user with many
                 connections gets no more of the event loop than a user with one.

What one user holds never counts against another one. There is no limit for all users together: the
process has descriptors for some hundreds of users.

A peer has `UNREAD` seconds to read each reply, or it is dropped (`NobodyReads`).
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal, TypeAlias

import msgspec
import trio

log = logging.getLogger(__name__)

COUNTED_SECONDS = 1.0
UNREAD = 60.0
# Seconds that a call waits for the turn. The call before it may itself wait for a disk that hangs.
_MOST_WAIT = 1.0
# Calls of a user in a minute that are worth a line in the log: a script makes far fewer.
MANY_CALLS = 30_000

Held: TypeAlias = Literal["connections", "streams"]


class SocketLimits(msgspec.Struct, frozen=True):
    """Holds how much each user (uid) may have at the same time."""

    connections: int = 64
    streams: int = 32


class OverLimit(Exception):
    """`limit` is a field of `SocketLimits`."""

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
        self.calls = 0  # in the minute that has begun at `since`
        self.since = -math.inf


class Users:
    """Has what each user holds at the moment."""

    def __init__(self, limits: SocketLimits) -> None:
        self._limits = limits
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

    async def turn(self, uid: int) -> ExitStack:
        """Waits until no other call of that user is being decoded or answered, but not for ever.

        The turn ends when the stack that is returned is closed.
        """
        user, now = self._user(uid), trio.current_time()
        if now >= user.since + 60:
            user.calls, user.since = 0, now
        user.calls += 1
        if user.calls == MANY_CALLS:  # once a minute
            text = "uid %d has made %d calls in %d s"
            log.warning(text, uid, user.calls, now - user.since, extra={"uid": uid})
        ended = ExitStack()
        with trio.move_on_after(_MOST_WAIT):
            await user.turn.acquire()
            ended.callback(user.turn.release)
        return ended

    def _user(self, uid: int) -> _User:
        if uid not in self._users:
            kept = (
                one for one in self._users.items() if one[1].held.total() or not one[1].turn.value
            )
            self._users = dict(kept)
            self._users[uid] = _User()
        return self._users[uid]
