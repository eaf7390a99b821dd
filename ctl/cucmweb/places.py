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


class CallerPlaces:
    """Limits how many of one kind are open. code, what: of the refusal."""

    def __init__(self, most: int, most_of_one: int, code: str, what: str) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._refusal = code, f"too many {what} are open; end some"
        self._of_caller: Counter[str] = Counter()

    @contextmanager
    def held(self, who: OnBehalfOf | None) -> Iterator[None]:
        """Raises `HttpProblem` where there is no place."""
        name = who.name if who else ""
        if self._of_caller.total() >= self._most or self._of_caller[name] >= self._most_of_one:
            raise HttpProblem(429, *self._refusal)
        self._of_caller[name] += 1
        try:
            yield
        finally:
            self._of_caller[name] -= 1
            self._of_caller += Counter()  # forgets who has none


class WebPlaces:
    """Holds the places. A download has one of each kind."""

    def __init__(self, limits: WebLimits) -> None:
        of_streams = "TooManyStreams", "event streams and downloads"
        self.streams = CallerPlaces(limits.streams, limits.streams_per_caller, *of_streams)
        of_downloads = "TooManyDownloads", "downloads"
        self.downloads = CallerPlaces(DOWNLOADS, DOWNLOADS_PER_CALLER, *of_downloads)
