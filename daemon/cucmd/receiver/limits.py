"""PURE. Declares what the receiver allows, and how it refuses.

Every limit stands here, with its reason beside the number.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

MIB = 1024 * 1024

# Bytes that a process may write before it asks for more: quotas belong to jobs. At 250 MB/s it asks
# fifteen times a second.
CREDIT = 16 * MIB


class ReceiverLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Says what the receiver allows. Times in seconds, sizes in bytes."""

    # The greater of the two is the space on the disk that stays free.
    min_free_bytes: int = 1024 * MIB
    min_free_ratio: float = 0.05

    # Connections that have not logged in, each with a process: all from addresses where no node is
    # expected together, and those from one address. What comes beyond them waits, and more than
    # `waiting` are closed at once. 200 nodes behind one NAT log in some at a time, and the last is
    # greeted within the 5 s that a node waits. See `startups.py`.
    unauthenticated: int = 64
    unauthenticated_per_source: int = 32
    waiting: int = 512
    # Seconds that a connection has for its login while other addresses wait; and otherwise.
    login_timeout_crowded: float = 3.0
    login_timeout: float = 20.0  # three key exchanges of an old node with group16

    # Wrong logins of one connection: the first is answered after `wrong_login_delay`, each later
    # one after twice the delay of the one before. A client that tries again and again without a
    # pause costs little that way.
    wrong_logins_per_connection: int = 3
    wrong_login_delay: float = 0.5

    # One login. A node pushes over one connection, one file at a time; a few more of each are for
    # a connection whose end has not been noticed yet.
    connections: int = 4
    handles: int = 32  # of one connection
    listings: int = 2  # of those; a folder of 5,000 long names is 2.6 MB as long as it is open
    directories: int = 5_000
    # What all of them together may come to, of which each takes its part of the last free space.
    connections_in_all: int = 512

    # Files of one target, until they are on record. More are no collection. Each takes 800 bytes of
    # memory with an ordinary path, and 1,300 at most.
    files: int = 27_000
    # The same for all targets together. Beyond it a target has its share, so that an ordinary node
    # does not fail because of others.
    files_total: int = 400_000
    files_share: int = 1_000

    # The path below the target: what follows `activelog` on a node is 3 to 6 levels, less than 200
    # characters. Beyond 1,000 the database takes a page for each path. A fifth, if it is not ASCII.
    path_bytes: int = 512
    path_depth: int = 32


class Status(IntEnum):
    """Lists the SSH_FX_... that are sent (draft-ietf-secsh-filexfer-02, section 7)."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    UNSUPPORTED = 8


class RequestRefused(Exception):
    """A request is answered with an error status. `reason` is sent to the client."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
