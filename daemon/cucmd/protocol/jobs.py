"""What travels about jobs: started, asked for, followed, cancelled.

`Collection`, `Timeouts`, `Node`, `Job` and `JobSummary` are as version 0.1.0 has them, whose client
is strict in the first two; what came later is optional. What a job is asked (`How`, and the kinds
of work) and what a kind gives (`Found`, `Sizes`, `Checked`, `Captured`) are the structs of `job/`.

No struct forbids fields that it does not know: a client reads past those of a later daemon. In a
request the daemon refuses them (`varlink/requests.py`).
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import asdict

from cucmd.job.asked import (
    Asked,
    Checks,
    Collection,
    Commands,
    Discovery,
    Estimate,
    Files,
    How,
    Login,
    Packets,
    Timeouts,
)
from cucmd.job.capture import Captured, CaptureSettings
from cucmd.job.check import Checked
from cucmd.job.collect import Gap, Sizes
from cucmd.job.discover import Found

INTERFACE = "io.cucmd.Jobs"

NodeStatus = Literal["pending", "running", "succeeded", "failed", "cancelled"]
JobStatus = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]

# Jobs that a list holds where its request has no limit.
DEFAULT_LIMIT = 20


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
    # What its files cover of the window, by the time stamps in them: "covers 13:00 to 15:00
    # (Europe/Berlin)", "begins 14:07 (Europe/Berlin)". Times are those of the node. Absent until
    # that was looked at, soon after the job is closed. It
    # names paths of which nothing came, and says if files came that are newer than the window.
    coverage: str | None = None
    # True once the announced numbers are those of all its commands: files and bytes that are still
    # to come are known then. They are those before compression.
    all_announced: bool | None = None
    # While it runs: when its last byte came, of what it said or of a file; or its attempt began.
    heard_at: datetime | None = None
    # Of a discovery.
    found: Found | None = None
    # Of a dry run.
    sizes: Sizes | None = None
    # Of a check, also of one that failed.
    checked: Checked | None = None
    # Of a packet capture, once it has begun.
    capture: Captured | None = None
    # In a job that captures: the names of captures that may still run there though they were given
    # up, also of tries before. Each writes into platform/cli/NAME.cap. If the node has failed, its
    # failure says so too; if it has succeeded, its notes.
    may_run: tuple[str, ...] | None = None
    # Of a collection, with its coverage: what is not there for certain, the first 20. Absent:
    # nothing.
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
    # How many changes of state it has had, over all restarts of the daemon. After its end it is
    # counted that it is closed, that its coverage is known, each change of labels and that its
    # files were deleted. Figures do not count.
    revision: int | None = None
    # It has ended, its last connection is gone, and every file is on record.
    closed: bool | None = None
    # Every password comes from a credential, so that it goes on after a restart of the daemon.
    resumable: bool | None = None
    # How often it was tried again.
    retries: int | None = None
    # True where only this record is left: what was collected was deleted, or has gone from the
    # disk.
    files_deleted: bool | None = None
    # True in the last change that a watch of all jobs has of a job: it was deleted.
    deleted: bool | None = None
    # What it does on its nodes: "collect", "dry_run", "discover", "run", "check" or "capture".
    # Later versions have more. The collection of other work than "collect" and "dry_run" is empty.
    kind: str | None = None
    # What it runs, where it runs commands, also as a snapshot after it has collected.
    commands: tuple[str, ...] | None = None
    # On how many nodes it works at once.
    concurrency: int | None = None
    # What it captures, where it captures packets.
    capture: CaptureSettings | None = None
    # Of each path that it collects, for how long one file is written to: "1h", "always".
    written_for: tuple[str, ...] | None = None


class JobSummary(Struct, frozen=True):
    """targets are the first 20 names of the request."""

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
    # As in Job.
    revision: int | None = None
    kind: str | None = None


class JobChange(Struct, frozen=True):
    """What a change of a job has changed: nodes are those that differ, or all of them where it is
    the first change of the job in a watch of all jobs, or where the one before was long after
    its end.
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


class StartRequest(How, frozen=True):
    """Start a job. The reply comes once the job is durable; its nodes run on.
    A node is a host, or host:port. The name of a cluster of the configuration stands for its nodes,
    NAME:publisher, NAME:subscribers and NAME:cups for some of them.
    discovered are those of these names, of clusters or of nodes that were asked, that stand for the
    nodes of the last discovery too. A credential that is tied is sent to such nodes only with
    accept_nodes, and only if it may be sent to the node that has named them.
    What it does on the nodes is one of collection, commands, check, capture, discovery and dry_run.
    After a restart of the daemon commands and captures that were not done end as interrupted.
    The following four are of a collection alone. only has names of paths of the profile; the others
    are left out: "sdl" and "ccm/sdl" are names of "cm/trace/ccm/sdl". added_paths are collected
    too, beside those of the profile or the paths.
    written_for is for how long one file of a path is written to, "1h" or "2d", or "always". A node
    chooses files by their last change, so it is asked for those that have changed so long after the
    end of the window, "always": up to the present. Some that are newer than the window come too.
    Without it paths of the profile have what that says of each, and others "1h".
    With snapshot "show status", "show version active", "utils service list" and "utils core active
    list" are run on a node after its last path, and kept as commands are; if that fails, nothing
    else does. Without the field it is as the profile says.
    With a start_key that this user has used before, the reply has the job that it made then; with
    other parameters it is refused.
    """

    nodes: tuple[str, ...]
    login: Login
    collection: Collection | None = None
    only: tuple[str, ...] | None = None
    added_paths: tuple[str, ...] | None = None
    written_for: str | None = None
    snapshot: bool | None = None
    commands: Commands | None = None
    check: Checks | None = None
    capture: Packets | None = None
    # Which nodes the cluster has, as one node says: of nodes there is one, or a cluster, which
    # means its publisher. An empty object. What was found is kept as the last of that node.
    discovery: Discovery | None = None
    dry_run: Estimate | None = None

    def work(self) -> tuple[str, Asked]:
        """What is asked, and the member that has it.

        Raises `ValueError` unless that is one, or for a part of a collection without that: its
        arguments are the member and the reason.
        """
        found: list[tuple[str, Asked]] = []
        parts = self.only, self.added_paths, self.written_for, self.snapshot
        if self.collection is not None:
            found.append(("collection", Files(self.collection, *parts)))
        elif any(part is not None for part in parts):
            names = "only, added_paths, written_for and snapshot"
            raise ValueError("collection", f"is missing; {names} are of a collection")
        others = ((name, getattr(self, name)) for name in MEMBERS.values())
        found += [(name, work) for name, work in others if work is not None]
        if len(found) != 1:
            names = ", ".join(("collection", *MEMBERS.values()))
            where = found[1][0] if found else "collection"
            raise ValueError(where, f"{len(found)} of {names} are set; expected one")
        return found[0]


# The member of a start for each kind of work but files, whose fields are members themselves.
MEMBERS: dict[type[Asked], str] = {
    Commands: "commands",
    Checks: "check",
    Packets: "capture",
    Discovery: "discovery",
    Estimate: "dry_run",
}


def start_request(nodes: tuple[str, ...], login: Login, work: Asked, how: How) -> StartRequest:
    """The request to do that work. The inverse of `StartRequest.work`."""
    what = asdict(work) if isinstance(work, Files) else {MEMBERS[type(work)]: work}
    return StartRequest(nodes, login, **what, **asdict(how))


class StartReply(Struct, frozen=True):
    job: Job
    request_id: str | None = None


class RetryRequest(Struct, frozen=True):
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


class StatusRequest(Struct, frozen=True):
    job_id: str


class ListRequest(Struct, frozen=True):
    """Newest first. target is a name of a request, or a node; a job must have all of the labels;
    since is when it was created at the earliest; before is a job, and the list has those that
    came before it. A list may have fewer jobs than limit where they are very large. older is
    how many more there are.
    """

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


class LabelRequest(Struct, frozen=True):
    """Change labels of a job. An empty value removes one."""

    job_id: str
    labels: dict[str, str]


class CancelRequest(Struct, frozen=True):
    """Cancel a job, or only some of its nodes.
    cancelled says whether the job, or every node named, is now cancelled.
    """

    job_id: str
    nodes: tuple[str, ...] | None = None
    request_id: str | None = None


class CancelReply(Struct, frozen=True):
    job_id: str
    status: JobStatus
    cancelled: bool
    message: str
    request_id: str | None = None


class StopRequest(Struct, frozen=True):
    """End the capture of a job on all of its nodes now, and collect the files. A job that is no
    capture, or whose capture has not begun or is over, is refused as InvalidRequest of job_id.
    Cancel ends a capture too, and collects nothing.
    """

    job_id: str
    request_id: str | None = None


class StopReply(Struct, frozen=True):
    message: str
    job: Job
    request_id: str | None = None


class WatchRequest(Struct, frozen=True):
    """Follow one job, or all of them. Needs "more". The first reply is the state as it is; each
    later one is a change, with a sequence number that grows by one. A watcher that reads too
    slowly is told how many changes it missed, and gets the state again. A watch of one job
    ends when the job does. With changes, the later replies have a change instead of the job,
    and a watch of all jobs begins with those that run or wait, and not with the newest. What
    becomes of a job after its end is told to those who watch all jobs: it is closed, its
    coverage is known, its labels change, its files are deleted, or the job is. A watch of a
    job that was deleted is refused with JobNotFound.
    """

    job_id: str | None = None
    changes: bool | None = None


class WatchReply(Struct, frozen=True):
    sequence: int
    missed: int
    job: Job | None = None
    jobs: tuple[JobSummary, ...] | None = None
    change: JobChange | None = None
