"""PURE. Declares how an earlier attempt on a node ended, for the store and the socket."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

# The most attempts of a node that are kept, and the most characters of each message. All attempts
# of a job with a thousand nodes must fit into one reply.
MOST_EARLIER = 5
MOST_MESSAGE = 300


class EarlierAttempt(Struct, frozen=True):
    """Describes how a node ended before it was tried again. The last 5 such attempts of a node are
    kept.
    """

    attempt: int
    completed_at: datetime
    # The phase in which the attempt ended. Absent if it had not begun.
    phase: str | None = None
    # The failure code. Absent if the node was cancelled.
    failure: str | None = None
    # The first 300 characters of the message of the failure.
    message: str | None = None
