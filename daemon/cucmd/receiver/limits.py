"""PURE. Declares the limits of the receiver and their reasons, and how a request is refused."""

from __future__ import annotations

from enum import IntEnum

import msgspec

MIB = 1024 * 1024

# Bytes that a process may write before it asks the daemon for more, because the nodes of a job
# share a quota. At 250 MB/s it asks fifteen times a second.
CREDIT = 16 * MIB


class ReceiverLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Holds the limits of the receiver. Times are in seconds, sizes in bytes."""

    # The space on the disk that stays free. The greater of the two counts.
    min_free_bytes: int = 1024 * MIB
    min_free_ratio: float = 0.05

    # Connections that have a process before their login (`startups.py`): from all addresses
    # together at which no node is expected, and from one address. Further connections wait, and if
    # more than `waiting` wait, some are closed. 200 nodes behind one NAT log in a few at a time,
    # and the last is greeted within the 5 s that a node waits.
    unauthenticated: int = 64
    unauthenticated_per_source: int = 32
    waiting: int = 512
    # The time for a login: the first applies while connections of other addresses wait.
    login_timeout_crowded: float = 3.0
    login_timeout: float = 20.0  # three key exchanges of an old node with group16

    # Wrong passwords of one connection. The first wrong password is answered after
    # `wrong_login_delay` seconds. The delay doubles with each further one. So a client that tries
    # without a pause costs little.
    wrong_logins_per_connection: int = 3
    wrong_login_delay: float = 0.5

    # For each login. A node pushes one file at a time over one connection. A few more of each are
    # allowed, because the end of an earlier connection may not have been noticed yet.
    connections: int = 4
    handles: int = 32  # open files and folders of one connection
    listings: int = 2  # open folders among them; 5,000 long names take 2.6 MB while one is open
    directories: int = 5_000
    # Connections of all logins together. Each may use up only its part of the free space.
    connections_in_all: int = 512

    # Files of one target that are not in the database yet. No collection has more. Each takes 800
    # bytes of memory with an ordinary path, and 1,300 at most.
    files: int = 27_000
    # The same for all targets together. Beyond that number each target still has its share, so that
    # an ordinary node does not fail because of other nodes.
    files_total: int = 400_000
    files_share: int = 1_000

    # The path below the target. On a node, the path after `activelog` has 3 to 6 levels and less
    # than 200 characters. From 1,000 on the database needs a page for each path. A path that is not
    # ASCII may only have a fifth of this length.
    path_bytes: int = 512
    path_depth: int = 32


class Status(IntEnum):
    """Lists the status codes SSH_FX_... that we send (draft-ietf-secsh-filexfer-02, section 7)."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    UNSUPPORTED = 8


class RequestRefused(Exception):
    """Raised to answer a request with an error status. The client gets `reason`."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
