"""Applies `[retention]`: at the start, once an hour, and after each job.

What a stop has left of a deletion is finished first.

A job notes at its end how much time has passed; by that, and by the wall clock, it is old one day.
Here the count goes on at a start, and jobs of a version that noted nothing get their note.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from cucmd.cases.elapsed import Elapsed
from cucmd.config import Retention
from cucmd.jobs.deletion import Deletions
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
        self._marked = False

    def job_closed(self) -> None:
        """Never waits."""
        self._news.set()

    async def run(self) -> None:
        saved = -EVERY
        while True:
            self._news = trio.Event()
            await self.apply()
            if self._elapsed.seconds() - saved >= EVERY:
                saved = self._elapsed.seconds()
                await trio.to_thread.run_sync(self._elapsed.save)
            with trio.move_on_after(EVERY):
                await self._news.wait()

    async def apply(self) -> None:
        await self.mark()
        await self._deletions.finish()
        if self._marked:  # else nobody knows which are the oldest
            await self._deletions.retain(self._settings(), self._elapsed.seconds())

    async def mark(self) -> None:
        """Marks the jobs that have no mark, until that has been done once."""
        if self._marked:
            return
        try:
            await self._store.mark_closed(self._elapsed.seconds())
        except StoreFailed as error:
            log.warning("when jobs have ended is not noted: %s", error)
        else:
            self._marked = True


async def go_on_counting(store: Store, elapsed: Elapsed) -> None:
    """To be called before a job can end."""
    try:
        newest = await store.newest_mark()
    except StoreFailed as error:
        log.warning("how old jobs are is counted anew: %s", error)
        newest = 0.0
    await trio.to_thread.run_sync(elapsed.load, newest)
