"""PURE. Declares the phases of an attempt on a node, and how an earlier attempt ended."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

# The most attempts of a node that are kept, and the most characters of each message. All attempts
# of a job with a thousand nodes must fit into one reply.
MOST_EARLIER = 5
MOST_MESSAGE = 300
# The most phases of an attempt that are kept. A collection changes between "command" and "transfer"
# for each of its paths, of which there may be a hundred.
MOST_PHASES = 20


class PhaseBegun(Struct, frozen=True):
    """Says when an attempt on a node entered a phase. The phase lasts until the next one begins, or
    the node has ended.
    """

    phase: str
    began_at: datetime


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
    # When the node first began, after it was queued. Absent if it had not begun.
    started_at: datetime | None = None
