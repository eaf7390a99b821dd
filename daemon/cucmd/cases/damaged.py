"""PURE. Remembers which files turned out not to be as they were received, until the daemon stops.

An export does not read its files before it sends them: that a disk has changed one shows as it
passes, when the export can only be cut off. So it is remembered here, by the process that sends, by
whoever verifies, and at the word of a client once the file was read again. The next export leaves
the file out and names it.
"""

from __future__ import annotations

from collections.abc import Mapping

# Files that are remembered, of all jobs: a few MB. Then those of the job that was first go.
_MOST = 10_000


class DamagedFiles:
    def __init__(self) -> None:
        self._of_job: dict[str, dict[str, str]] = {}

    def of(self, job_id: str) -> Mapping[str, str]:
        """Returns what is wrong with files of the job, by their paths in its directory."""
        return self._of_job.get(job_id, {})

    def note(self, job_id: str, path: str, wrong: str | None) -> None:
        """PURE. Remembers what is wrong with a file, or with None that it is as it was received."""
        if wrong is not None:
            self._of_job.setdefault(job_id, {})[path] = wrong
        elif path in self.of(job_id):
            del self._of_job[job_id][path]
        while len(self._of_job) > 1 and sum(map(len, self._of_job.values())) > _MOST:
            del self._of_job[next(iter(self._of_job))]
