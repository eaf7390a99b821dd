"""PURE. Remembers which files differ from what was received, until the daemon stops.

An export notices a damaged file only while it sends it, and can then only be cut off. So the
sender, a verification, or a client's report after the file was read again, records the file here.
The next export leaves the file out and names it.
"""

from __future__ import annotations

from collections.abc import Mapping


class DamagedFiles:
    def __init__(self) -> None:
        self._of_job: dict[str, dict[str, str]] = {}

    def of(self, job_id: str) -> Mapping[str, str]:
        """Returns what is wrong with the files of a job, by their paths in its directory."""
        return self._of_job.get(job_id, {})

    def note(self, job_id: str, path: str, wrong: str | None) -> None:
        """Remembers what is wrong with a file. If `wrong` is None, removes an earlier note."""
        if wrong is not None:
            self._of_job.setdefault(job_id, {})[path] = wrong
        elif path in self.of(job_id):
            del self._of_job[job_id][path]
