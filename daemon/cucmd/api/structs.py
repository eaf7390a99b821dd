"""The structs of `io.cucmd.Jobs` on the socket. Shared by the daemon and `cucmctl`.

The one rule: this file imports only msgspec and the standard library, and decides nothing.
No struct forbids fields that it does not know: a client reads past those of a later daemon. In a
request the daemon refuses them (`varlink/requests.py`).
Times are RFC 3339 in UTC; durations are seconds; sizes are bytes. The comments above classes and
fields become the comments of the interface that can be read from the socket (`interface.py`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

# Log-collection jobs over Cisco Unified CM nodes.
# Times are RFC 3339 in UTC; durations are seconds; sizes are bytes.
INTERFACE = "io.cucmd.Jobs"

NodeStatus = Literal["pending", "running", "succeeded", "failed", "cancelled"]
JobStatus = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]


# What to collect. A profile, or paths; the paths win where both are given.
# The window is either last ("30m", "2h", "3d") or since and until.
class Collection(Struct, frozen=True):
    profile: str | None = None
    paths: tuple[str, ...] | None = None
    location: str | None = None
    match: str | None = None
    recurs: bool | None = None
    compress: bool | None = None
    last: str | None = None
    since: str | None = None
    until: str | None = None


# Who to be on the nodes. The password is never stored and never shown;
# a credential is the name of one that the daemon was given.
class Login(Struct, frozen=True):
    username: str | None = None
    password: str | None = None
    credential: str | None = None

    def __repr__(self) -> str:  # a repr ends up in logs and tracebacks; a password must not
        return f"Login(username={self.username!r}, credential={self.credential!r})"


class Timeouts(Struct, frozen=True):
    connect: float | None = None
    login: float | None = None
    command: float | None = None
    stall: float | None = None
    node: float | None = None
    job: float | None = None
    grace: float | None = None


class Failure(Struct, frozen=True):
    code: str
    message: str
    retryable: bool
    hint: str | None = None


class Node(Struct, frozen=True):
    node: str
    status: NodeStatus
    phase: str | None
    attempt: int
    error: str | None
    failure: Failure | None
    notes: tuple[str, ...]
    started_at: datetime | None
    completed_at: datetime | None
    files_announced: int | None
    bytes_announced: int | None
    files_received: int
    bytes_received: int


class Job(Struct, frozen=True):
    job_id: str
    status: JobStatus
    cancelled: bool
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    directory: str
    collection: Collection
    timeouts: Timeouts
    nodes: tuple[Node, ...]
    # Why this is not how the job is by now: what came since cannot be stored. The daemon tries on.
    unsaved: str | None = None


class JobSummary(Struct, frozen=True):
    job_id: str
    status: JobStatus
    created_at: datetime
    completed_at: datetime | None
    nodes_total: int
    nodes_done: int
    nodes_failed: int
    bytes_received: int


# Start a job. The reply comes once the job is durable; its nodes run on.
# A node is a host, or host:port.
class StartRequest(Struct, frozen=True):
    nodes: tuple[str, ...]
    login: Login
    collection: Collection
    timeouts: Timeouts | None = None
    concurrency: int | None = None


class JobReply(Struct, frozen=True):
    job: Job


class StatusRequest(Struct, frozen=True):
    job_id: str


# Jobs that a list holds where its request has no limit.
DEFAULT_LIMIT = 20


# Newest first.
class ListRequest(Struct, frozen=True):
    status: str | None = None
    limit: int | None = None


class ListReply(Struct, frozen=True):
    jobs: tuple[JobSummary, ...]


# Cancel a job, or only some of its nodes.
# cancelled says whether the job, or every node named, is now cancelled.
class CancelRequest(Struct, frozen=True):
    job_id: str
    nodes: tuple[str, ...] | None = None


class CancelReply(Struct, frozen=True):
    job_id: str
    status: JobStatus
    cancelled: bool
    message: str


# Follow one job, or all of them. Needs "more". The first reply is the state
# as it is; each later one is a change, with a sequence number that grows by
# one. A watcher that reads too slowly is told how many changes it missed, and
# gets the state again. A watch of one job ends when the job does.
class WatchRequest(Struct, frozen=True):
    job_id: str | None = None


class WatchReply(Struct, frozen=True):
    sequence: int
    missed: int
    job: Job | None = None
    jobs: tuple[JobSummary, ...] | None = None


# A key by which a node is known. fingerprint is as ssh shows it, "SHA256:...";
# line is the line of known_hosts.
class HostKey(Struct, frozen=True):
    node: str
    algorithm: str
    fingerprint: str
    line: str


class ListHostKeysRequest(Struct, frozen=True):
    pass


class ListHostKeysReply(Struct, frozen=True):
    host_keys: tuple[HostKey, ...]


# Without a key, the node is asked for those that it has, and they are remembered.
class AddHostKeyRequest(Struct, frozen=True):
    node: str
    key: str | None = None


class HostKeysReply(Struct, frozen=True):
    host_keys: tuple[HostKey, ...]


class ForgetHostKeyRequest(Struct, frozen=True):
    node: str


class ForgetHostKeyReply(Struct, frozen=True):
    forgotten: int


# Errors: the fields of each, named as the error is named on the wire.


class JobNotFound(Struct, frozen=True):
    job_id: str


class NodeNotFound(Struct, frozen=True):
    job_id: str
    node: str


class ProfileNotFound(Struct, frozen=True):
    profile: str


class CredentialNotFound(Struct, frozen=True):
    """`cluster` is whose credential it is, if the request named none and the configuration did."""

    credential: str
    cluster: str | None = None


class InvalidRequest(Struct, frozen=True):
    parameter: str
    reason: str


class LimitReached(Struct, frozen=True):
    limit: str
    maximum: int


class ShuttingDown(Struct, frozen=True):
    pass


class StorageFailed(Struct, frozen=True):
    reason: str


# A node could not be asked for its keys.
class ScanFailed(Struct, frozen=True):
    node: str
    failure: Failure


# A defect of the daemon. Its log has the trace; the daemon goes on.
class InternalError(Struct, frozen=True):
    pass
