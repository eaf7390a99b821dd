"""Saves each change of one job's state in the store, and then publishes it to the watchers.

A state is published only after it is durable.

From memory to the watchers
---------------------------
    `changed(job)`    notes the newest state, under the next version number
    `run`             saves the newest state in one transaction, then publishes it. States that
                      come while a save is under way, and within `GATHER` after it, share the next
                      save
    `durable()`       waits until the present state is saved. The save begins at once
    `show(job)`       publishes new figures (files, bytes) without a save. It does nothing while a
                      state waits to be saved, because the job with the figures has that state too
    `visible_state`   returns what may be shown meanwhile: the last state that was saved

If a save fails
---------------
`run` tries again every `RETRY_AFTER` seconds until it succeeds. Meanwhile `save_error` is the
reason, and watchers get the last saved state again so that they read the reason. A caller that
waits in `durable` gets the error of the next try, because a client must not wait until a disk has
space again. The state in memory stays as it is: what was cancelled stays cancelled.

The end
-------
`finish` is called after the last change. `run` returns when this change is saved, and nothing
cancels `run` before. If `stop` was called too, because the daemon stops, `run` returns after one
failed try: the next start resumes the job as the store has it.
"""

from __future__ import annotations

import logging
from collections import Counter

import trio

from cucmd.job.job import Job
from cucmd.job.node import Failed
from cucmd.jobs.job_counts import JobCounts
from cucmd.jobs.job_feed import JobFeed
from cucmd.store import Store, StoreFailed

log = logging.getLogger(__name__)

# Seconds between two tries to save a state that the store did not take.
RETRY_AFTER = 1.0

# Seconds between two saves, unless a caller waits in `durable`. Each of many nodes that log in
# changes its phase several times a second, and a save costs two hand-offs between threads and a
# sync of the disk.
GATHER = 0.05


class Recorder:
    """Saves and publishes the changes of one job. Start `run` in a task of its own.

    has_ended: `run` has ended, so that no further state is saved.
    """

    def __init__(
        self, job: Job, store: Store, feed: JobFeed[Job], counts: JobCounts | None = None
    ) -> None:
        self._counts = counts or JobCounts()
        self._store = store
        self._feed = feed
        self._job = self._saved = self._logged = job
        self._version = self._durable = 0
        self._failed: StoreFailed | None = None
        self._finishing = False
        self._stopping = False
        self.has_ended = False
        self._changed = trio.Event()
        self._attempted = trio.Event()
        self._wanted = trio.Event()  # a caller waits for the next save

    def changed(self, job: Job) -> None:
        """Notes a new state, to be saved and published. Never waits."""
        self._job = job
        self._version += 1
        self._changed.set()

    def show(self, job: Job) -> None:
        """Publishes figures that have changed, unless a state waits to be saved."""
        if self._durable == self._version and job is not self._job:
            self._job = job
            self._feed.publish(job)

    @property
    def save_error(self) -> str | None:
        """Returns why the last save failed, or None if it succeeded."""
        return None if self._failed is None else str(self._failed)

    def visible_state(self, job: Job) -> Job:
        """Returns `job`, the newest state, if it is durable, else the last durable state."""
        return job if self._durable == self._version else self._saved

    async def durable(self) -> None:
        """Waits until the present state is saved.

        Raises `StoreFailed` if a try fails, or if `run` has ended before the state was saved.
        """
        version = self._version
        while self._durable < version:
            if self.has_ended:
                raise self._failed or StoreFailed("the daemon stops, and its disk takes nothing")
            self._wanted.set()
            await self._attempted.wait()
            if self._failed is not None and self._durable < version:
                raise self._failed

    def finish(self) -> None:
        """Notes that no more changes come. `run` returns once the last change is saved."""
        self._finishing = True
        self._changed.set()
        self._wanted.set()

    def stop(self) -> None:
        """Lets `run` end after a failed try, because the daemon stops."""
        self._stopping = True

    async def run(self) -> None:
        """Saves and publishes states until `finish` was called and the last state is saved."""
        try:
            with trio.CancelScope(shield=True):  # `finish` ends it
                await self._save_until_finished()
        finally:
            self.has_ended = True
            self._attempted.set()

    async def _save_until_finished(self) -> None:
        while not (self._finishing and self._durable == self._version):
            await self._changed.wait()
            # Replaced before the state is read, so that a change during the save sets the new event
            # and is saved in the next round.
            self._changed = trio.Event()
            while self._durable < self._version and not await self._save():
                if self._finishing and self._stopping:
                    return
                await trio.sleep(RETRY_AFTER)
            if not self._finishing:
                with trio.move_on_after(GATHER):
                    await self._wanted.wait()

    async def _save(self) -> bool:
        """Tries to save the newest state. Publishes it and returns True if that succeeds."""
        job, version = self._job, self._version
        # `_logged` is not `_saved`: a save that fails is tried again with the same endings, which
        # must be logged and counted once.
        _note_endings(self._logged, job, self._counts)
        self._logged = job
        # Reset before the save and not after it: a caller that comes to `durable` during this save
        # may wait for a later state, and must not wait `GATHER` seconds more for the next save.
        self._wanted = trio.Event()
        try:
            await self._store.save(self._saved, job)
        except StoreFailed as error:
            new = str(error) != str(self._failed)  # log each error once, and not at each try
            self._failed = error
            if new:
                log.error("job %s: its state could not be saved: %s", job.job_id, error)  # noqa: TRY400  of the disk, not a defect
                self._feed.publish(self._saved)  # so that watchers read `save_error`
        else:
            self._saved, self._durable, self._failed = job, version, None
            self._feed.publish(job)
        attempted, self._attempted = self._attempted, trio.Event()
        attempted.set()
        return self._failed is None


def _note_endings(before: Job, after: Job, counted: JobCounts) -> None:
    """Counts the nodes that have ended, logs those that have failed, and how the job has ended.

    The lines count for the user who started the job: service/log.py limits the lines of a user.
    """
    extra = {} if after.uid is None else {"uid": after.uid}
    for position in after.positions_changed_since(before):
        old, new = before.nodes[position], after.nodes[position]
        if old.settled or not new.settled:
            continue
        counted.note_node_end(new)
        if isinstance(new.state, Failed):
            why = after.failure_of(new) or new.state.failure
            which = after.job_id, new.full_name
            log.warning("job %s, node %s: %s: %s", *which, why.code, why.message, extra=extra)
    if after.ended and not before.ended:
        counted.note_job_end(after)
        count = Counter(node.status for node in after.nodes)
        counts = ", ".join(f"{number} {status}" for status, number in count.items())
        log.info("job %s: ended %s (nodes: %s)", after.job_id, after.status, counts, extra=extra)
