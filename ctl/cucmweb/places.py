"""Limits how many event streams and downloads may be open, of all callers and of one.

A download keeps a connection to the daemon for as long as its client reads. These are connections
of their own, and who comes when all are in use is refused at once: else some slow clients would
have every other request wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from cucmd.job.request import OnBehalfOf
from cucmweb.config import WebLimits
from cucmweb.problems import HttpProblem

# Of 64 that the daemon lets one user have, calls may use 32, the watch has one, and by one is asked
# whether the daemon answers.
DOWNLOADS = 24


class WebPlaces:
    def __init__(self, limits: WebLimits) -> None:
        self._limits = limits
        self._of_caller: Counter[str] = Counter()
        self._downloads = 0

    @contextmanager
    def stream(self, who: OnBehalfOf | None) -> Iterator[None]:
        """Raises `HttpProblem` where there is no place."""
        name = who.name if who else ""
        if (
            self._of_caller.total() >= self._limits.streams
            or self._of_caller[name] >= self._limits.streams_per_caller
        ):
            raise _full("TooManyStreams", "event streams and downloads")
        self._of_caller[name] += 1
        try:
            yield
        finally:
            self._of_caller[name] -= 1
            self._of_caller += Counter()  # forgets who has none

    @contextmanager
    def download(self, who: OnBehalfOf | None) -> Iterator[None]:
        """Raises `HttpProblem` where there is no place."""
        if self._downloads >= DOWNLOADS:
            raise _full("TooManyDownloads", "downloads")
        with self.stream(who):
            self._downloads += 1
            try:
                yield
            finally:
                self._downloads -= 1


def _full(code: str, what: str) -> HttpProblem:
    return HttpProblem(429, code, f"too many {what} are open; end some")
