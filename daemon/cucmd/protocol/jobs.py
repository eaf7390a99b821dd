"""Declares what travels about jobs: as they are, in full and in lists, and as they change.

`Job` and `Node` are flat, where those of `job/` have a struct for each state, since Varlink has no
unions. What a job is asked (`StartRequest`) and what a kind of work gives for a node (`Given`) are
declared in job/work.py, the requests of other methods in requests.py. The names of the kinds are
put into the text of the interface in place of `{kinds}`.

No struct forbids fields that it does not know: a client reads past those of a later daemon. In a
request the daemon refuses them (`varlink/request_decoding.py`).
"""

from datetime import datetime

from msgspec import Struct

from cucmd.job.asked import Collection, Login, Timeouts
from cucmd.job.attempt import EarlierAttempt
from cucmd.job.capture import CaptureSettings
from cucmd.job.failure import Failure
from cucmd.job.request import Request
from cucmd.job.status import JobStatus, NodeStatus
from cucmd.job.work import Given


class Node(Given, frozen=True):
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
    # What its files cover of the window, by the time stamps in them: "covers 13:00 to 15:00
    # (Europe/Berlin)", "begins 14:07, 1 h 07 min missing (Europe/Berlin)". Times are those of the
    # node; `gaps` and `extent` have them as moments. Absent until that was looked at, soon after
    # the job is closed. It names paths of which nothing came, and says if files came that are newer
    # than the window.
    coverage: str | None = None
    # True once the announced numbers are those of all its commands: files and bytes that are still
    # to come are known then. They are those before compression.
    all_announced: bool | None = None
    # While it runs: when its last byte came, of what it said or of a file; or its attempt began.
    heard_at: datetime | None = None
    # While it is pending because the same login is being tried on other nodes: their names, and
    # since when.
    waits_for: tuple[str, ...] | None = None
    waits_since: datetime | None = None
    # Its time zone by name, once it has said that.
    zone: str | None = None
    # How it ended before it was tried again, the oldest first; attempts that failed before the
    # first prompt and were repeated by the daemon itself are in the transcript alone.
    earlier: tuple[EarlierAttempt, ...] | None = None


class Job(Struct, frozen=True):
    job_id: str
    status: JobStatus
    cancelled: bool
    # It has ended, its last connection is gone, and every file is on record.
    closed: bool
    # How many changes of state it has had, over all restarts of the daemon. After its end it is
    # counted that it is closed, that its coverage is known, each change of labels and that its
    # files were deleted. Figures do not count.
    revision: int
    # What it does on its nodes, one of {kinds}; later versions have more. The collection of other
    # work than "collect" and "dry_run" is empty.
    kind: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    directory: str
    collection: Collection
    timeouts: Timeouts
    # On how many nodes it works at once.
    concurrency: int
    # Every password comes from a credential, so that it goes on after a restart of the daemon.
    resumable: bool
    # How often it was tried again.
    retries: int
    nodes: tuple[Node, ...]
    # Why this is not how the job is by now: what came since cannot be stored. The daemon tries on.
    unsaved: str | None = None
    # Of the call that started it: the caller's own (1 to 128 printable ASCII characters), or one
    # that the daemon made. The replies to Start, Retry and Cancel have that of their call; so has
    # the log.
    request_id: str | None = None
    # The uid of the user who started it, and who it is on the nodes.
    owner: int | None = None
    username: str | None = None
    # The names of the request, which may be those of clusters.
    targets: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    # True where only this record is left: what was collected was deleted, or has gone from the
    # disk.
    files_deleted: bool | None = None
    # True in the last change that a watch of all jobs has of a job: it was deleted.
    deleted: bool | None = None
    # What it runs, where it runs commands, also as a snapshot after it has collected.
    commands: tuple[str, ...] | None = None
    # What it captures, where it captures packets.
    capture: CaptureSettings | None = None
    # Of each path that it collects, for how long one file is written to: "1h", "always".
    written_for: tuple[str, ...] | None = None
    # Of one that was tried again: for how many seconds in all it had run by then.
    ran_before: float | None = None
    # The name of on_behalf_of in the call that started it.
    asked_by: str | None = None


class JobSummary(Struct, frozen=True):
    """targets are the first 20 names of the request, commands the first 3."""

    job_id: str
    status: JobStatus
    # As in Job.
    revision: int
    kind: str
    created_at: datetime
    completed_at: datetime | None
    nodes_total: int
    nodes_done: int
    nodes_succeeded: int
    nodes_failed: int
    bytes_received: int
    first_node: str
    collection: Collection
    started_at: datetime | None = None
    owner: int | None = None
    targets: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    ran_before: float | None = None
    commands: tuple[str, ...] | None = None
    capture: CaptureSettings | None = None
    asked_by: str | None = None


class JobChange(Struct, frozen=True):
    """Says what a change of a job has changed: nodes are those that differ, or all of them where it
    is the first change of the job in a watch of all jobs, or comes after the one that it is closed.
    """

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
    # As in Job. A job that was deleted has no later change.
    files_deleted: bool | None = None
    deleted: bool | None = None


class StartReply(Struct, frozen=True):
    job: Job
    request_id: str | None = None


class RetryRequest(Request, frozen=True):
    """Try nodes of a closed job again, in the same job and for the same window: those that are
    named, or all that did not succeed. Without a login it is that of the job, if it was a
    credential. try_all: a login that was refused is not held back from the other nodes, as it
    is in Start.
    """

    job_id: str
    nodes: tuple[str, ...] | None = None
    login: Login | None = None
    request_id: str | None = None
    start_key: str | None = None
    try_all: bool | None = None


class JobReply(Struct, frozen=True):
    job: Job


class ListReply(Struct, frozen=True):
    jobs: tuple[JobSummary, ...]
    older: int | None = None


class StopReply(Struct, frozen=True):
    message: str
    job: Job
    request_id: str | None = None


class WatchReply(Struct, frozen=True):
    sequence: int
    missed: int
    job: Job | None = None
    jobs: tuple[JobSummary, ...] | None = None
    change: JobChange | None = None
