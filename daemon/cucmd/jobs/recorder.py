"""From a change in memory to the store to the watchers, for one job.

The one rule: a change is published only after it is durable, and a store that fails is tried
again for as long as the job lives: what a person was told is not forgotten because a disk was
full for a minute.
"""

from __future__ import annotations

import logging

import trio

from cucmd.job import Job
from cucmd.jobs.events import Feed
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

RETRY_AFTER = 1.0


class Recorder:
    """Saves the newest state of a job; states that follow each other quickly share a save."""

    def __init__(self, job: Job, store: Store, feed: Feed) -> None:
        self._store = store
        self._feed = feed
        self._job = self._saved = job
        self._version = self._durable = 0
        self._failed: StoreFailed | None = None
        self._finishing = False
        self._stopping = False
        self._over = False
        self._changed = trio.Event()
        self._attempted = trio.Event()

    def changed(self, job: Job) -> None:
        """Notes a new state, to be saved and published."""
        self._job = job
        self._version += 1
        self._changed.set()

    def show(self, job: Job) -> None:
        """Publishes figures that changed since; only where no transition waits to be durable."""
        if self._durable == self._version and job is not self._job:
            self._job = job
            self._feed.publish(job)

    @property
    def trouble(self) -> str | None:
        """Why the newest state is not durable, as the last try has it; None: it is, or soon."""
        return None if self._failed is None else str(self._failed)

    def visible_state(self, job: Job) -> Job:
        """What may be said of the job, now that it is `job`: no state that a crash could undo."""
        return job if self._durable == self._version else self._saved

    async def durable(self) -> None:
        """Waits until the state of this moment is saved. Raises `StoreFailed` if a try fails."""
        version = self._version
        while self._durable < version:
            if self._over:
                raise self._failed or StoreFailed("the daemon stops, and its disk takes nothing")
            await self._attempted.wait()
            if self._failed is not None and self._durable < version:
                raise self._failed

    def finish(self) -> None:
        """No more changes: `run` returns once the last one is saved."""
        self._finishing = True
        self._changed.set()

    def stop(self) -> None:
        """The daemon stops: what cannot be saved at the end is left as the disk has it.

        The next start takes the job up from there. Without a stop, to give up would leave a job
        that runs for ever: ended in the eyes of the daemon, unfinished on the disk.
        """
        self._stopping = True

    async def run(self) -> None:
        try:
            with trio.CancelScope(shield=True):  # `finish` ends it: nothing is left unsaved
                await self._save_until_finished()
        finally:
            self._over = True
            self._attempted.set()

    async def _save_until_finished(self) -> None:
        while not (self._finishing and self._durable == self._version):
            await self._changed.wait()
            self._changed = trio.Event()
            while self._durable < self._version and not await self._save():
                if self._finishing and self._stopping:
                    return
                await trio.sleep(RETRY_AFTER)

    async def _save(self) -> bool:
        job, version = self._job, self._version
        try:
            await self._store.save(self._saved, job)
        except StoreFailed as error:
            news = str(error) != str(self._failed)  # once for each trouble, not for each try
            self._failed = error
            if news:
                log.error("job %s: its state could not be saved: %s", job.job_id, error)  # noqa: TRY400  the disk's fault, not a defect
                self._feed.publish(self._saved)  # so that whoever watches hears of the trouble
        else:
            self._saved, self._durable, self._failed = job, version, None
            self._feed.publish(job)
        attempted, self._attempted = self._attempted, trio.Event()
        attempted.set()
        return self._failed is None
