"""Declares what is asked about jobs, and the reply that holds none.

What a job is asked (`StartRequest`) is in job/work.py. Apart from jobs.py, since a client that
cancels a job needs no struct of one.
"""

from msgspec import Struct

from cucmd.job.request import Request
from cucmd.job.status import JobStatus

INTERFACE = "io.cucmd.Jobs"

# Jobs that a list holds where its request has no limit.
DEFAULT_LIMIT = 20


class StatusRequest(Request, frozen=True):
    job_id: str


class ListRequest(Request, frozen=True):
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


class LabelRequest(Request, frozen=True):
    """Change labels of a job. An empty value removes one."""

    job_id: str
    labels: dict[str, str]


class CancelRequest(Request, frozen=True):
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


class StopRequest(Request, frozen=True):
    """End the capture of a job on all of its nodes now, and collect the files; or what follows a
    file. A job that does neither, or that has not begun or is over, is refused as InvalidRequest
    of job_id. Cancel ends a capture too, and collects nothing.
    """

    job_id: str
    request_id: str | None = None


class WatchRequest(Request, frozen=True):
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
