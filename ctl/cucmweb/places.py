"""Limits how many event streams and downloads may be open, of all callers and of one.

A download keeps a connection to the daemon for as long as its client reads. These are connections
of their own, and a download for which none is left is refused at once: else some slow clients would
have every other request wait. No caller has more than a third of them, so that one cannot keep all
others from downloading.
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
DOWNLOADS_PER_CALLER = 8


class WebPlaces:
    def __init__(self, limits: WebLimits) -> None:
        self._limits = limits
        self._streams: Counter[str] = Counter()  # by caller, downloads among them
        self._downloads: Counter[str] = Counter()

    @contextmanager
    def stream(self, who: OnBehalfOf | None) -> Iterator[None]:
        """Raises `HttpProblem` where there is no place."""
        name = who.name if who else ""
        if (
            self._streams.total() >= self._limits.streams
            or self._streams[name] >= self._limits.streams_per_caller
        ):
            raise _full("TooManyStreams", "event streams and downloads")
        with _counted(self._streams, name):
            yield

    @contextmanager
    def download(self, who: OnBehalfOf | None) -> Iterator[None]:
        """Raises `HttpProblem` where there is no place."""
        name = who.name if who else ""
        if self._downloads.total() >= DOWNLOADS or self._downloads[name] >= DOWNLOADS_PER_CALLER:
            raise _full("TooManyDownloads", "downloads")
        with self.stream(who), _counted(self._downloads, name):
            yield


@contextmanager
def _counted(counter: Counter[str], name: str) -> Iterator[None]:
    counter[name] += 1
    try:
        yield
    finally:
        counter[name] -= 1
        if not counter[name]:
            del counter[name]


def _full(code: str, what: str) -> HttpProblem:
    return HttpProblem(429, code, f"too many {what} are open; end some")
