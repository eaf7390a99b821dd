"""Publishes changes of jobs, numbered, to subscribers that may be slow.

Publishing never waits, and the memory of each subscriber is bounded. A subscriber that falls behind
is told how many changes it has missed. Other subscribers are not affected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

import msgspec
import trio

from cucmd.job.status import JobStatus

# The most changes that wait for one subscriber. These are enough for all nodes of a large cluster
# that begin at the same time. An entry costs one pointer, because a job is shared and not copied.
CAPACITY = 128


class AnyJob(Protocol):
    """A job of the daemon, or a job of several sites as their hub shows it."""

    @property
    def job_id(self) -> str: ...
    @property
    def status(self) -> JobStatus: ...
    @property
    def closed(self) -> bool: ...


J = TypeVar("J", bound=AnyJob)


class Change(msgspec.Struct, Generic[J], frozen=True):
    """Describes a change of a job, or says that changes were missed.

    sequence  how many changes there were since the subscription, including this one. The state that
              a watcher is shown first has the number 0.
    missed    how many changes the subscriber has missed, or 0
    job       the job after the change. None if changes were missed: the subscriber then sends the
              present state under the number `sequence`.
    """

    sequence: int
    missed: int
    job: J | None


class JobFeed(Generic[J]):
    """Publishes changes of jobs. Used in the trio thread only."""

    def __init__(self) -> None:
        # By job id. Under None are the subscriptions to all jobs. A publish looks at two sets only.
        self._subscriptions: dict[str | None, set[Subscription[J]]] = {}

    def publish(self, job: J) -> None:
        for watched in (job.job_id, None):
            for subscription in self._subscriptions.get(watched, ()):
                subscription.offer(job)

    def is_watched(self, job_id: str) -> bool:
        """Returns whether a change of this job would be delivered to anyone."""
        return None in self._subscriptions or job_id in self._subscriptions

    @contextmanager
    def subscribe(self, job_id: str | None = None) -> Iterator[Subscription[J]]:
        """Yields a subscription to one job, or to all jobs, for the time of the body.

        Subscribe before reading the first state. Otherwise a change between the two is lost.
        """
        subscription = Subscription[J]()
        group = self._subscriptions.setdefault(job_id, set())
        group.add(subscription)
        try:
            yield subscription
        finally:
            group.remove(subscription)
            if not group:
                del self._subscriptions[job_id]


class Subscription(Generic[J]):
    """Gives the changes of jobs to one task. `JobFeed.subscribe` makes it."""

    def __init__(self) -> None:
        self._waiting: deque[J] = deque()
        self._missed = 0
        self._sequence = 0
        self._news = trio.Event()

    def offer(self, job: J) -> None:
        """Takes a change from the feed.

        After the first missed change all further changes count as missed too, until `next` is
        called. After `next` the subscriber reads the current state, which includes these changes.
        So these changes must not be delivered after that state.
        """
        if self._missed:
            self._missed += 1
        elif len(self._waiting) < CAPACITY:
            self._waiting.append(job)
        else:
            self._missed = CAPACITY + 1
            self._waiting.clear()
        self._news.set()

    async def next(self) -> Change[J]:
        """Waits for the next change and returns it. A cancelled wait loses no change."""
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
