"""Applies `[retention]`: at the start, once an hour, and after each job.

What a stop has left of a deletion is finished first.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from cucmd.config import Retention
from cucmd.jobs.deletion import Deletions

EVERY = 3600.0  # seconds


class RetentionTask:
    """`settings` is called each time, since a reload changes them."""

    def __init__(self, deletions: Deletions, settings: Callable[[], Retention]) -> None:
        self._deletions = deletions
        self._settings = settings
        self._news = trio.Event()

    def job_closed(self) -> None:
        """Never waits."""
        self._news.set()

    async def run(self) -> None:
        while True:
            self._news = trio.Event()
            await self._deletions.finish()
            await self._deletions.retain(self._settings())
            with trio.move_on_after(EVERY):
                await self._news.wait()
