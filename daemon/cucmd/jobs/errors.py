"""Says why a call for a job is refused.

What a caller sent is repeated shortened.
"""

from __future__ import annotations

from collections.abc import Sequence

from cucmd.config.errors import shortened
from cucmd.job.job import Job


class UnknownJob(Exception):
    def __init__(self, job_id: str) -> None:
        self.job_id = shortened(job_id)
        super().__init__(f"no job {self.job_id}")


class AmbiguousJob(Exception):
    """A prefix fits several jobs; `candidates` are some of them."""

    def __init__(self, prefix: str, candidates: Sequence[str]) -> None:
        super().__init__(f"'{prefix}' fits several jobs: {', '.join(candidates)}")


class UnknownNode(Exception):
    def __init__(self, job_id: str, node: str) -> None:
        self.job_id, self.node = job_id, shortened(node)
        super().__init__(f"no node {self.node} in job {job_id}")


def position_of(job: Job, name: str) -> int:
    """Finds the position of the node of this name, or of the one node of this host. Raises
    `UnknownNode`.
    """
    if (position := job.position_of(name)) is None:
        raise UnknownNode(job.job_id, name)
    return position


class CannotStop(Exception):
    """The job does nothing that could be ended before its time."""

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(f"job {job_id}: {reason}")


class FilesDeleted(Exception):
    """What the job has collected was deleted, and only its record is left."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"what job {job_id} has collected was deleted, or removed")


class Busy(Exception):
    """Somebody runs, reads or changes the job. `reason`: "it is running"."""

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(f"job {job_id}: {reason}")
        self.job_id, self.reason = job_id, reason


class KeyReused(Exception):
    """The key was used by this user for a call with other parameters."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"was used for job {job_id}, with other parameters")


class AtLimit(Exception):
    def __init__(self, limit: str, maximum: int) -> None:
        super().__init__(f"limit {limit} reached: {maximum}")
        self.limit, self.maximum = limit, maximum


class JobStopped(Exception):
    """The daemon stops, and the job's last state is saved: the next start resumes it."""


class Draining(Exception):
    """The daemon is shutting down and takes no new work."""
