"""Which jobs are being read, and which are being changed, so that nobody does both.

A hold is of one call, and ends with it. Many may read a job at once; one that deletes it, or tries
it again, is alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Busy(Exception):
    """Somebody runs, reads or changes the job. `reason`: "it is running"."""

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(f"job {job_id}: {reason}")
        self.job_id, self.reason = job_id, reason


class Holds:
    """Lives in the trio thread."""

    def __init__(self) -> None:
        self._readers: Counter[str] = Counter()
        self._changing: set[str] = set()
        # Called with each job that is going to be changed: what reads it without a hold ends.
        self.on_changing: Callable[[str], None] = lambda job_id: None

    def held(self, job_id: str) -> bool:
        """Whether anybody reads or changes the job."""
        return job_id in self._readers or job_id in self._changing

    @contextmanager
    def reading(self, job_id: str) -> Iterator[None]:
        """While the body runs the job is not changed. Raises `Busy`."""
        if job_id in self._changing:
            raise Busy(job_id, "it is being deleted, or tried again")
        self._readers[job_id] += 1
        try:
            yield
        finally:
            self._readers[job_id] -= 1
            if not self._readers[job_id]:
                del self._readers[job_id]

    @contextmanager
    def changing(self, job_id: str) -> Iterator[None]:
        """While the body runs nobody else has a hold of the job. Raises `Busy`."""
        if job_id in self._changing:
            raise Busy(job_id, "it is being deleted, or tried again")
        if job_id in self._readers:
            raise Busy(job_id, "it is being exported, verified or listed")
        self._changing.add(job_id)
        self.on_changing(job_id)
        try:
            yield
        finally:
            self._changing.discard(job_id)
