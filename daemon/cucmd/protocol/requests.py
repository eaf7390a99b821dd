"""Declares the requests about jobs, and the reply to Cancel, which has no job in it.

`StartRequest` is in job/work.py. This module is separate from jobs.py because a client that only
cancels a job does not need the structs of a whole job.
"""

from msgspec import Struct

from cucmd.job.request import Request
from cucmd.job.status import JobStatus

INTERFACE = "io.cucmd.Jobs"

# The number of jobs in a list if the request has no limit.
DEFAULT_LIMIT = 20


class StatusRequest(Request, frozen=True):
    job_id: str


class ListRequest(Request, frozen=True):
    """List jobs, the newest first. target is a name in the request of a job, or one of its nodes. A
    job must have all of the labels. since is the earliest time of its creation. before is a job:
    the list has only older jobs. A list of very large jobs may have fewer than limit. older is the
    number of jobs that follow.
    """

    status: str | None = None
    limit: int | None = None
    labels: dict[str, str] | None = None
    target: str | None = None
    since: str | None = None
    before: str | None = None
    kind: str | None = None


class LabelRequest(Request, frozen=True):
    """Change labels of a job. An empty value removes a label."""

    job_id: str
    labels: dict[str, str]


class CancelRequest(Request, frozen=True):
    """Cancel a job, or some of its nodes. cancelled: the job, or every named node, is cancelled
    now.
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


class StopRequest(Request, frozen=True):
    """End the packet capture of a job on all of its nodes and collect the files, or end a job that
    follows a file. Any other job, and a job that has not begun or has ended, is refused with
    InvalidRequest for job_id. Cancel ends a capture too, but collects nothing.
    """

    job_id: str
    request_id: str | None = None


class WatchRequest(Request, frozen=True):
    """Follow one job, or all jobs. Needs "more". The first reply has the current state. Each later
    reply is a change, with a sequence number that grows by one. If a watcher reads too slowly,
    missed is the number of changes that were left out, and the reply has the state again. A watch
    of one job ends when the job ends. With changes, later replies have a change instead of the job,
    and a watch of all jobs begins with the jobs that run or wait instead of the newest. Only a
    watch of all jobs gets what happens to a job after its end: it is closed, its coverage is known,
    its labels change, its files are deleted, or it is deleted. A watch of a deleted job is refused
    with JobNotFound.
    """

    job_id: str | None = None
    changes: bool | None = None
