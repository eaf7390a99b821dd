"""Declares why a call for a job is refused.

Whatever a caller sent is repeated in a message only in a shortened form.
"""

from __future__ import annotations

from collections.abc import Sequence

from cucmd.config.errors import shortened
from cucmd.job.job import Job


class UnknownJob(Exception):
    """No job has this id, and no id begins with this prefix."""

    def __init__(self, job_id: str) -> None:
        self.job_id = shortened(job_id)
        super().__init__(f"no job {self.job_id}")


class AmbiguousJob(Exception):
    """The ids of several jobs begin with this prefix. The message names some of these ids."""

    def __init__(self, prefix: str, candidates: Sequence[str]) -> None:
        super().__init__(f"'{prefix}' fits several jobs: {', '.join(candidates)}")


class UnknownNode(Exception):
    """No node of the job has this name, or several have it. `candidates` are those nodes."""

    def __init__(self, job_id: str, node: str, candidates: Sequence[str] = ()) -> None:
        self.job_id, self.node, self.candidates = job_id, shortened(node), tuple(candidates)
        super().__init__(f"no node {self.node} in job {job_id}")


def position_of(job: Job, name: str) -> int:
    """Returns the position of a node in its job.

    `name` is the first of these that fits: the node, its `Node.name`, its host without the port, or
    its host name. Exactly one node of the job must have it. Raises `UnknownNode`.
    """
    names = [node.node for node in job.nodes]
    if name in names:
        return names.index(name)
    if name:
        short = [(node.name or "").lower() for node in job.nodes]
        hosts = [node.rpartition(":")[0] for node in names]
        host_names = [each.partition("+")[0] for each in short]
        for alike, wanted in ((short, name.lower()), (hosts, name), (host_names, name.lower())):
            fits = [position for position, each in enumerate(alike) if each == wanted]
            if len(fits) == 1:
                return fits[0]
            if fits:
                candidates = [job.nodes[position].short_name for position in fits]
                raise UnknownNode(job.job_id, name, candidates)
    raise UnknownNode(job.job_id, name)


class CannotEndEarly(Exception):
    """The job is not a running capture or follow job, and only these can be ended early."""

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(f"job {job_id}: {reason}")


class FilesDeleted(Exception):
    """The files of the job were deleted, or removed from the disk. Only its record is left."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"the files of job {job_id} were deleted, or removed from the disk")


class JobInUse(Exception):
    """The job runs, or another call reads or changes it. `reason` is such as "it is running"."""

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(f"job {job_id}: {reason}")
        self.job_id, self.reason = job_id, reason


class KeyReused(Exception):
    """This user has used the start key before, for a call with other parameters."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"was used for job {job_id}, with other parameters")


class TooManyJobs(Exception):
    """A limit for jobs is reached. `limit` is the key of the limit in `[limits]`."""

    def __init__(self, limit: str, maximum: int) -> None:
        super().__init__(f"limit {limit} reached: {maximum}")
        self.limit, self.maximum = limit, maximum


class RunStopped(Exception):
    """The daemon stops, and the run has ended before the job has. Nothing was changed. The next
    start resumes the job as the store has it.
    """


class Draining(Exception):
    """The daemon stops, and takes no new work."""
