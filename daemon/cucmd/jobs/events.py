"""Publishes changes of jobs, numbered, to subscribers that may be slow.

Publishing never waits, and memory is bounded. A subscriber that falls behind gets the number of
changes that it missed; no other subscriber is affected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import trio

from cucmd.job.job import Job

# Changes. Enough for all nodes of a large cluster that begin at once. A job is shared, not copied,
# so an entry costs one pointer.
CAPACITY = 128


class Change(msgspec.Struct, frozen=True):
    """`sequence` is the number of changes up to and including this one, since the subscription.

    The state that a watcher is shown first is 0. Without a job the subscriber has `missed` that
    many changes: it sends the state as it is now, under this number.
    """

    sequence: int
    missed: int
    job: Job | None


class JobFeed:
    """Publishes changes. Lives in the trio thread."""

    def __init__(self) -> None:
        # By job; None: those for every job. A publish looks at these two sets only.
        self._subscriptions: dict[str | None, set[Subscription]] = {}

    def publish(self, job: Job) -> None:
        for watched in (job.job_id, None):
            for subscription in self._subscriptions.get(watched, ()):
                subscription.offer(job)

    @contextmanager
    def subscribe(self, job_id: str | None = None) -> Iterator[Subscription]:
        """Gives the changes of one job, or of all, while the body runs.

        Enter it before the first state is read, so that no change falls between the two.
        """
        subscription = Subscription()
        group = self._subscriptions.setdefault(job_id, set())
        group.add(subscription)
        try:
            yield subscription
        finally:
            group.remove(subscription)
            if not group:
                del self._subscriptions[job_id]


class Subscription:
    """Gives one task the changes of jobs. `JobFeed.subscribe` makes it."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._missed = 0
        self._sequence = 0
        self._news = trio.Event()

    def offer(self, job: Job) -> None:
        """Takes a change from the feed.

        Once a change is missed, all later ones count as missed too, until `next` is called: the
        state that the subscriber reads then includes them, and they must not follow it.
        """
        if self._missed:
            self._missed += 1
        elif len(self._waiting) < CAPACITY:
            self._waiting.append(job)
        else:
            self._missed = CAPACITY + 1
            self._waiting.clear()
        self._news.set()

    async def next(self) -> Change:
        """Waits for the next change, and returns it. Nothing is lost if the wait is cancelled."""
        await self._news.wait()
        if self._missed:
            job, missed = None, self._missed
            self._sequence += missed
            self._missed = 0
        else:
            job, missed = self._waiting.popleft(), 0
            self._sequence += 1
        if not self._waiting:
            self._news = trio.Event()
        return Change(self._sequence, missed, job)
