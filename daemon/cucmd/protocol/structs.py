"""What travels on the socket as `io.cucmd.Jobs`, but for errors. Of the daemon and `cucmctl`.

The one rule: this file and its neighbours `structs_*` import only msgspec, the standard library and
one another, and decide nothing.
No struct forbids fields that it does not know: a client reads past those of a later daemon. In a
request the daemon refuses them (`varlink/requests.py`).
Times are RFC 3339 in UTC; durations are seconds; sizes are bytes. What each of them means stands in
`io.cucmd.Jobs.varlink`, where outsiders read it; a test compares that text with the structs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from cucmd.protocol.structs_captures import Captured, CaptureSettings
from cucmd.protocol.structs_checked import Checked
from cucmd.protocol.structs_sizes import Sizes

INTERFACE = "io.cucmd.Jobs"

NodeStatus = Literal["pending", "running", "succeeded", "failed", "cancelled"]
JobStatus = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]


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


class Login(Struct, frozen=True):
    username: str | None = None
    password: str | None = None
    credential: str | None = None

    def __repr__(self) -> str:  # a repr ends up in logs and tracebacks; a password must not
        return f"Login(username={self.username!r}, credential={self.credential!r})"


class Timeouts(Struct, frozen=True, omit_defaults=True):
    """What is None is left out. In replies `answer` always is: a client of version 0.1.0 decodes
    this struct strictly, and would refuse a field that it does not know.
    """

    connect: float | None = None
    login: float | None = None
    answer: float | None = None
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


class Member(Struct, frozen=True):
    node: str
    address: str
    name: str
    role: str
    product: str
    fqdn: str | None = None


class Found(Struct, frozen=True):
    members: tuple[Member, ...]
    unread: tuple[str, ...]
    version: str | None = None


class Gap(Struct, frozen=True):
    path: str
    missing: Literal["all", "begin", "end"]
    written_for: str | None = None


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
    coverage: str | None = None
    all_announced: bool | None = None
    heard_at: datetime | None = None
    found: Found | None = None
    sizes: Sizes | None = None
    checked: Checked | None = None
    capture: Captured | None = None
    may_run: tuple[str, ...] | None = None
    gaps: tuple[Gap, ...] | None = None


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
    unsaved: str | None = None
    request_id: str | None = None
    owner: int | None = None
    username: str | None = None
    targets: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    revision: int | None = None
    closed: bool | None = None
    resumable: bool | None = None
    retries: int | None = None
    files_deleted: bool | None = None
    deleted: bool | None = None
    kind: str | None = None
    commands: tuple[str, ...] | None = None
    concurrency: int | None = None
    capture: CaptureSettings | None = None
    written_for: tuple[str, ...] | None = None


class JobSummary(Struct, frozen=True):
    job_id: str
    status: JobStatus
    created_at: datetime
    completed_at: datetime | None
    nodes_total: int
    nodes_done: int
    nodes_failed: int
    bytes_received: int
    nodes_succeeded: int | None = None
    started_at: datetime | None = None
    owner: int | None = None
    targets: tuple[str, ...] | None = None
    first_node: str | None = None
    collection: Collection | None = None
    labels: dict[str, str] | None = None
    revision: int | None = None
    kind: str | None = None


class StartRequest(Struct, frozen=True):
    nodes: tuple[str, ...]
    login: Login
    collection: Collection
    timeouts: Timeouts | None = None
    concurrency: int | None = None
    request_id: str | None = None
    labels: dict[str, str] | None = None
    start_key: str | None = None
    try_all: bool | None = None
    discovered: tuple[str, ...] | None = None
    accept_nodes: bool | None = None
    only: tuple[str, ...] | None = None
    added_paths: tuple[str, ...] | None = None
    snapshot: bool | None = None
    dry_run: bool | None = None
    written_for: str | None = None


class RetryRequest(Struct, frozen=True):
    job_id: str
    nodes: tuple[str, ...] | None = None
    login: Login | None = None
    request_id: str | None = None
    start_key: str | None = None
    try_all: bool | None = None


class StartReply(Struct, frozen=True):
    job: Job
    request_id: str | None = None


class JobReply(Struct, frozen=True):
    job: Job


class StatusRequest(Struct, frozen=True):
    job_id: str


# Jobs that a list holds where its request has no limit.
DEFAULT_LIMIT = 20


class ListRequest(Struct, frozen=True):
    status: str | None = None
    limit: int | None = None
    labels: dict[str, str] | None = None
    target: str | None = None
    since: str | None = None
    before: str | None = None
    kind: str | None = None


class ListReply(Struct, frozen=True):
    jobs: tuple[JobSummary, ...]
    older: int | None = None


class File(Struct, frozen=True):
    node: str
    path: str
    size: int
    complete: bool
    exported: bool
    sha256: str | None = None
    attempt: int | None = None
    modified: datetime | None = None


class FilesRequest(Struct, frozen=True):
    job_id: str
    nodes: tuple[str, ...] | None = None


class FilesReply(Struct, frozen=True):
    files: tuple[File, ...]


class ExportRequest(Struct, frozen=True):
    job_id: str
    nodes: tuple[str, ...] | None = None
    incomplete: bool | None = None
    descriptors: bool | None = None
    verify: bool | None = None


class ExportReply(Struct, frozen=True):
    job_id: str
    length: int
    files: int
    bytes: int
    left_out: int


class VerifyRequest(Struct, frozen=True):
    job_id: str
    nodes: tuple[str, ...] | None = None


class WrongFile(Struct, frozen=True):
    node: str
    path: str
    reason: str


class VerifyReply(Struct, frozen=True):
    files: int
    bytes: int
    wrong: tuple[WrongFile, ...]


class TranscriptRequest(Struct, frozen=True):
    job_id: str
    node: str
    follow: bool | None = None


class TranscriptReply(Struct, frozen=True):
    text: str


class LabelRequest(Struct, frozen=True):
    job_id: str
    labels: dict[str, str]


class DeleteRequest(Struct, frozen=True):
    job_id: str
    files_only: bool | None = None


class DeleteReply(Struct, frozen=True):
    job: JobSummary
    bytes: int


class PruneRequest(Struct, frozen=True):
    older_than: str | None = None
    keep: int | None = None
    larger_than: int | None = None
    labels: dict[str, str] | None = None
    dry_run: bool | None = None


class PruneReply(Struct, frozen=True):
    jobs: tuple[JobSummary, ...]
    bytes: int
    more: int | None = None


class CancelRequest(Struct, frozen=True):
    job_id: str
    nodes: tuple[str, ...] | None = None
    request_id: str | None = None


class CancelReply(Struct, frozen=True):
    job_id: str
    status: JobStatus
    cancelled: bool
    message: str
    request_id: str | None = None


class WatchRequest(Struct, frozen=True):
    job_id: str | None = None
    changes: bool | None = None


class JobChange(Struct, frozen=True):
    job_id: str
    status: JobStatus
    cancelled: bool
    started_at: datetime | None
    completed_at: datetime | None
    nodes: tuple[Node, ...]
    revision: int
    closed: bool
    unsaved: str | None = None
    labels: dict[str, str] | None = None
    files_deleted: bool | None = None
    deleted: bool | None = None


class WatchReply(Struct, frozen=True):
    sequence: int
    missed: int
    job: Job | None = None
    jobs: tuple[JobSummary, ...] | None = None
    change: JobChange | None = None


class HostKey(Struct, frozen=True):
    node: str
    algorithm: str
    fingerprint: str
    line: str


class ListHostKeysRequest(Struct, frozen=True):
    pass


class ListHostKeysReply(Struct, frozen=True):
    host_keys: tuple[HostKey, ...]


class AddHostKeyRequest(Struct, frozen=True):
    node: str
    key: str | None = None


class HostKeysReply(Struct, frozen=True):
    host_keys: tuple[HostKey, ...]


class ForgetHostKeyRequest(Struct, frozen=True):
    node: str


class ForgetHostKeyReply(Struct, frozen=True):
    forgotten: int


class ReloadRequest(Struct, frozen=True):
    pass


class ReloadReply(Struct, frozen=True):
    """`after_restart` names the changed settings that only a restart applies."""

    after_restart: tuple[str, ...]
