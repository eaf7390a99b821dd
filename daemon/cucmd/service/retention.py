"""Applies `[retention]`: at the start, once an hour, and after each job.

The one rule: what a stop has left of a deletion is finished first. Here too it is noted of each job
how much time had passed when it was closed: by that, and by the wall clock, it is old one day.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import trio

from cucmd.api.deletion import Deletions
from cucmd.cases.elapsed import Elapsed
from cucmd.config import Retention
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

EVERY = 3600.0  # seconds


class RetentionTask:
    """`settings` is called each time, since a reload changes them."""

    def __init__(
        self,
        deletions: Deletions,
        store: Store,
        elapsed: Elapsed,
        settings: Callable[[], Retention],
    ) -> None:
        self._deletions = deletions
        self._store = store
        self._elapsed = elapsed
        self._settings = settings
        self._news = trio.Event()
        self._closed: list[str] = []

    def job_closed(self, job_id: str) -> None:
        """Never waits."""
        self._closed.append(job_id)
        self._news.set()

    async def run(self) -> None:
        await self._go_on_counting()
        jobs: Sequence[str] | None = None
        saved = -EVERY
        while True:
            self._news = trio.Event()
            await self._mark(jobs)
            await self._deletions.finish()
            await self._deletions.retain(self._settings(), self._elapsed.seconds())
            if self._elapsed.seconds() - saved >= EVERY:
                saved = self._elapsed.seconds()
                await trio.to_thread.run_sync(self._elapsed.save)
            with trio.move_on_after(EVERY):
                await self._news.wait()
            jobs, self._closed = self._closed, []

    async def _go_on_counting(self) -> None:
        try:
            newest = await self._store.newest_mark()
        except StoreFailed as error:
            log.warning("how old jobs are is counted anew: %s", error)
            newest = 0.0
        await trio.to_thread.run_sync(self._elapsed.load, newest)

    async def _mark(self, jobs: Sequence[str] | None) -> None:
        """A job that cannot be marked is marked by the next start, and is younger by that."""
        try:
            await self._store.mark_closed(self._elapsed.seconds(), jobs)
        except StoreFailed as error:
            log.warning("when jobs were closed is not noted: %s", error)
