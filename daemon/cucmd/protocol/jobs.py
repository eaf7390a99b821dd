"""Declares jobs as they are sent on the socket: in full, in lists, and as changes.

`Job` and `Node` are flat, since Varlink has no unions; in `job/` they have a struct for each state.
What a job is asked to do (`StartRequest`) and what it returns for a node (`NodeResults`) are
declared in job/work.py, the requests of other methods in requests.py. In the text of the interface
`{kinds}` is replaced by the names of the kinds of work.

The structs accept unknown fields, so that a client can read the replies of a later daemon. The
daemon refuses unknown fields of a request (`varlink/request_decoding.py`).
"""

from datetime import datetime
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from cucmd.job.attempt import EarlierAttempt, PhaseBegun
from cucmd.job.capture import CaptureSettings
from cucmd.job.failure import Failure
from cucmd.job.request import Request
from cucmd.job.status import JobStatus, NodeStatus
from cucmd.job.work import NodeResults
from cucmd.job.work_request import Collection, Login, Timeouts

# Times without an offset from UTC are refused: they could not be compared with others.
Time: TypeAlias = Annotated[datetime, Meta(tz=True)]


class Node(NodeResults, frozen=True):
    node: str
    status: NodeStatus
    phase: str | None
    attempt: int
    error: str | None
    failure: Failure | None
    notes: tuple[str, ...]
    started_at: Time | None
    completed_at: Time | None
    files_announced: int | None
    bytes_announced: int | None
    files_received: int
    bytes_received: int
    # How much of the window its files cover, by the time stamps in them: "covers 13:00 to 15:00
    # (Europe/Berlin)", "begins 14:07, 1 h 07 min missing (Europe/Berlin)". Times are in the time
    # zone of the node; `gaps` have them in UTC. The text also names paths without files. Absent
    # until the files were examined, soon after the job is closed.
    coverage: str | None = None
    # True once the announced numbers include all its commands, so that the files and bytes that are
    # still to come are known. Bytes are counted before compression.
    all_announced: bool | None = None
    # While it runs: when the last byte of its dialogue or of a file arrived, or its attempt began.
    heard_at: Time | None = None
    # While it is pending because the same login is being tried on other nodes: the names of those
    # nodes, and since when it waits.
    waits_for: tuple[str, ...] | None = None
    waits_since: Time | None = None
    # The name of its time zone, once it is known.
    zone: str | None = None
    # How each earlier attempt ended before the node was retried, the oldest first. Attempts that
    # failed before the first prompt and that the daemon repeated by itself are only in the
    # transcript.
    earlier: tuple[EarlierAttempt, ...] | None = None
    # When its last attempt entered each phase. Of more than 20, the first 19 and the last one.
    phases: tuple[PhaseBegun, ...] | None = None
    # What the last discovery before the start of the job has found, or else the first one after
    # it. name is the host name by which its cluster knows it. No two nodes of a job have the same
    # name: of two with the same host name, each has "+" and its address at the end. Absent if node
    # is that host name.
    name: str | None = None
    # In the words of the node that was asked: "Publisher", "callmanager".
    role: str | None = None
    product: str | None = None
    # The version of its cluster, as the node that was asked has said for its own product.
    version: str | None = None

    @property
    def short_name(self) -> str:
        return self.name or self.node

    @property
    def full_name(self) -> str:
        """Returns such as `cucm-sub2 (10.0.0.3)`."""
        return self.node if self.name is None else f"{self.name} ({self.node})"


class Job(Struct, frozen=True):
    job_id: str
    status: JobStatus
    cancelled: bool
    # The job has ended, its last connection is closed, and every file is recorded.
    closed: bool
    # The number of its changes of state, over all restarts of the daemon. After the end of the job,
    # the following changes are counted too: the job is closed, its coverage or names of its nodes
    # become known, its labels change, its files are deleted. Changes of figures, such as
    # bytes_received, do not count.
    revision: int
    # The kind of its work: one of {kinds}; later versions have more. For kinds other than "collect"
    # and "dry_run", collection is empty.
    kind: str
    created_at: Time
    started_at: Time | None
    completed_at: Time | None
    directory: str
    collection: Collection
    timeouts: Timeouts
    # The number of nodes on which it works at the same time.
    concurrency: int
    # Every password comes from a credential, so the job goes on after a restart of the daemon.
    resumable: bool
    # The number of retries.
    retries: int
    nodes: tuple[Node, ...]
    # Why this may not be the current state: later changes could not be stored. The daemon keeps
    # trying.
    unsaved: str | None = None
    # The id of the call that started it: that of the caller (1 to 128 printable ASCII characters),
    # or one that the daemon made. The replies to Start, Retry, Stop and Cancel have the id of their
    # call, and so has the log.
    request_id: str | None = None
    # The uid of the user who started it, and the username on the nodes.
    owner: int | None = None
    username: str | None = None
    # The names in the request: nodes and clusters.
    targets: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    # True if only this record is left: the files were deleted, or are missing on the disk.
    files_deleted: bool | None = None
    # True in the last change of a job that was deleted, which only a watch of all jobs gets.
    deleted: bool | None = None
    # The commands that it runs, also those of a snapshot after a collection.
    commands: tuple[str, ...] | None = None
    # The settings of its packet capture.
    capture: CaptureSettings | None = None
    # For how long the node writes to one file, for each path that it collects: "1h", "always".
    written_for: tuple[str, ...] | None = None
    # The total number of seconds that it had run before its last retry.
    ran_before: float | None = None
    # The name in on_behalf_of of the call that started it.
    asked_by: str | None = None
    # True after the end of a collection, until it is known what the files of all nodes cover.
    coverage_pending: bool | None = None


class JobSummary(Struct, frozen=True):
    """A job in a list. targets has the first 20 names of the request, commands the first 3."""

    job_id: str
    status: JobStatus
    # As in Job.
    revision: int
    kind: str
    created_at: Time
    completed_at: Time | None
    nodes_total: int
    nodes_done: int
    nodes_succeeded: int
    nodes_failed: int
    bytes_received: int
    first_node: str
    collection: Collection
    started_at: Time | None = None
    owner: int | None = None
    targets: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    ran_before: float | None = None
    commands: tuple[str, ...] | None = None
    capture: CaptureSettings | None = None
    asked_by: str | None = None
    # The name of first_node, as in Node.
    first_name: str | None = None


class JobChange(Struct, frozen=True):
    """A change of a job. nodes has the nodes that differ. It has all nodes in the first change of a
    job in a watch of all jobs, and in a change after the job is closed.
    """

    job_id: str
    status: JobStatus
    cancelled: bool
    started_at: Time | None
    completed_at: Time | None
    nodes: tuple[Node, ...]
    revision: int
    closed: bool
    unsaved: str | None = None
    labels: dict[str, str] | None = None
    # As in Job. A job that was deleted has no later change.
    files_deleted: bool | None = None
    deleted: bool | None = None
    # As in Job.
    coverage_pending: bool | None = None


class StartReply(Struct, frozen=True):
    job: Job
    request_id: str | None = None


class RetryRequest(Request, frozen=True):
    """Retry nodes of a closed job, in the same job and for the same window: the named nodes, or all
    that did not succeed. Without a login, that of the job is used if it is a credential. try_all is
    as in Start: a login that one node refused is tried on the other nodes too.
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
