"""PURE. Remembers which files turned out to differ from what was received, until the daemon stops.

An export does not read a file before it sends it. If the disk has changed the file, this shows
while the bytes pass, when the export can only be cut off. So the file is remembered here: by the
process that sends, by a verification, and at the word of a client once the file was read again. The
next export leaves the file out and names it.
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
        """Remembers what is wrong with a file. None says that the file is as it was received."""
        if wrong is not None:
            self._of_job.setdefault(job_id, {})[path] = wrong
        elif path in self.of(job_id):
            del self._of_job[job_id][path]
