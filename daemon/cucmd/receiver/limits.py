"""PURE. What the receiver allows, and how it refuses.

The one rule: every limit stands here, with its reason beside the number.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

MIB = 1024 * 1024


class ReceiverLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the receiver allows. Times in seconds, sizes in bytes."""

    # The disk. The greater of the two is the space that stays free.
    min_free_bytes: int = 1024 * MIB
    min_free_ratio: float = 0.05

    # Who is not logged in yet. A whole cluster, or 200 nodes, may knock at the same moment;
    # one address is one node, or a few behind one NAT.
    unauthenticated: int = 256
    unauthenticated_per_address: int = 16
    login_timeout: float = 20.0  # three key exchanges of an old node with group16

    # Wrong logins of one address within `wrong_login_memory` seconds: each is answered later
    # than the one before, and after `wrong_logins` the address is not heard until they are old.
    # A node is told one login and types no other, so ten are never an accident.
    wrong_logins: int = 10
    wrong_logins_per_connection: int = 3
    wrong_login_delay: float = 0.5
    wrong_login_delay_cap: float = 8.0
    wrong_login_memory: float = 300.0

    # One target. A node pushes over one connection, one file at a time; a few more of each are for
    # a connection that the network broke and we have not noticed yet.
    connections: int = 4
    handles: int = 32
    listings: int = 2  # of those; a folder of 5,000 long names is 2.6 MB as long as it is open
    files: int = 50_000  # more names than that are no collection; 20 MB of accounting
    directories: int = 5_000

    # The path below the target: what follows `activelog` on a node is 3 to 6 levels.
    path_bytes: int = 1024
    path_depth: int = 32

    # How far a block may lie beyond what has arrived of its file. OpenSSH's sftp keeps at most
    # 64 blocks of 255 KB under way and sends them in order; so nothing honest is further, and a
    # file is never more than this larger than what was paid for it in bytes.
    ahead: int = 16 * MIB

    # Bytes that wait for the disk: of one connection, and of all together, beyond which a
    # connection waits with `backlog_share` already.
    backlog: int = 4 * MIB
    backlog_total: int = 64 * MIB
    backlog_share: int = 256 * 1024

    # Threads that write. Not trio's own, so that a disk that hangs stops nobody else's.
    threads: int = 16


class Status(IntEnum):
    """SSH_FX_..., as far as we say them (draft-ietf-secsh-filexfer-02, section 7)."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    UNSUPPORTED = 8


class Refused(Exception):
    """A request that is answered with a status instead of an effect. The client reads `reason`."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
