"""PURE. Declares how an earlier attempt on a node ended, as the store and the socket have it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

# The attempts of a node that are kept, and the characters of each message. The state of a job with
# a thousand nodes has all of them, and must fit into one reply.
MOST_EARLIER = 5
MOST_MESSAGE = 300


class EarlierAttempt(Struct, frozen=True):
    """Describes an attempt that ended a node before the node was tried again. The last 5 of a node
    are kept, each with the first 300 characters of its message. phase is where the attempt ended;
    absent if it had not begun. Without failure (a code) and message the node was cancelled.
    """

    attempt: int
    completed_at: datetime
    phase: str | None = None
    failure: str | None = None
    message: str | None = None
