"""Limits how many event streams and downloads may be open, in all and for each caller.

A download keeps a connection to the daemon for as long as its client reads. Downloads have
connections of their own, and a download is refused at once if none is left: otherwise a few slow
clients would make all other requests wait. A caller gets at most a third of them, so that one
caller cannot keep all others from downloading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from cucmd.job.request import OnBehalfOf
from cucmweb.config import WebLimits
from cucmweb.problems import HttpProblem

# The daemon lets one user have 64 connections. Calls may use 32 of these, the watch uses up to two,
# and one more is used to ask whether the daemon answers.
DOWNLOADS = 24
DOWNLOADS_PER_CALLER = 8


class CallerPlaces:
    """Limits one kind of reply. `code` and `what` (a plural noun) go into the refusal."""

    def __init__(self, most: int, most_of_one: int, code: str, what: str) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._refusal = code, f"too many {what} are open; end some and try again"
        self._open: Counter[str] = Counter()

    @contextmanager
    def held(self, caller: OnBehalfOf | None) -> Iterator[None]:
        """Counts one more reply of the caller during the block. Raises `HttpProblem` at a limit."""
        name = caller.name if caller else ""
        if self._open.total() >= self._most or self._open[name] >= self._most_of_one:
            raise HttpProblem(429, *self._refusal)
        self._open[name] += 1
        try:
            yield
        finally:
            self._open[name] -= 1
            self._open += Counter()  # removes callers that have none open


class WebPlaces:
    """Holds the limits of event streams and downloads. A download counts for both limits."""

    def __init__(self, limits: WebLimits) -> None:
        refusal = "TooManyStreams", "event streams and downloads"
        self.streams = CallerPlaces(limits.streams, limits.streams_per_caller, *refusal)
        refusal = "TooManyDownloads", "downloads"
        self.downloads = CallerPlaces(DOWNLOADS, DOWNLOADS_PER_CALLER, *refusal)
