"""Changes: in order and numbered; a slow subscriber gets the number of those that it missed."""

import gc
import weakref
from datetime import UTC, datetime

import pytest
import trio

from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.job_feed import CAPACITY, Change, JobFeed

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def job(job_id: str = "a") -> Job:
    return Job(job_id, NOW, Collect(paths=("syslog/*",)), Timeouts(), 8, (Node("10.0.0.1"),))


@pytest.fixture
def feed() -> JobFeed:
    return JobFeed()


async def test_changes_are_ordered_and_numbered(feed: JobFeed) -> None:
    changes = [job("a"), job("b"), job("a")]
    with feed.subscribe() as subscription:
        for change in changes:
            feed.publish(change)
        got = [await subscription.next() for _ in changes]
    assert got == [Change(number, 0, change) for number, change in enumerate(changes, 1)]
    assert [change.job for change in got if change.job is changes[1]] == [changes[1]]


async def test_subscription_to_one_job(feed: JobFeed) -> None:
    with feed.subscribe("a") as subscription:
        feed.publish(job("b"))
        feed.publish(job("a"))
        change = await subscription.next()
    assert change.sequence == 1
    assert change.job is not None
    assert change.job.job_id == "a"


async def test_slow_subscriber_misses_changes(
    feed: JobFeed,
) -> None:
    with feed.subscribe() as slow, feed.subscribe() as quick:
        for number in range(CAPACITY + 5):
            feed.publish(job(str(number)))
            assert (await quick.next()).missed == 0
        assert await slow.next() == Change(CAPACITY + 5, CAPACITY + 5, None)
        feed.publish(job("next"))
        change = await slow.next()
    assert (change.sequence, change.missed) == (CAPACITY + 6, 0)
    assert change.job is not None
    assert change.job.job_id == "next"


async def test_cancelled_wait_loses_nothing(feed: JobFeed) -> None:
    with feed.subscribe() as subscription:
        with trio.CancelScope() as scope:
            scope.cancel()
            await subscription.next()
        feed.publish(job())
        with trio.CancelScope() as scope:
            scope.cancel()
            await subscription.next()
        assert (await subscription.next()).sequence == 1


def test_ended_subscription_is_forgotten(feed: JobFeed) -> None:
    for job_id in ("a", None):
        with feed.subscribe(job_id) as one, feed.subscribe(job_id):
            left = weakref.ref(one)
        del one
        gc.collect()
        assert left() is None
    feed.publish(job())
