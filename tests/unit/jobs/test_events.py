"""Changes reach whoever watches, in order and numbered; who is slow is told what was missed."""

from datetime import UTC, datetime

import pytest
import trio

from cucmd.job import Collect, Job, Node, Timeouts
from cucmd.jobs.events import CAPACITY, Change, Feed

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def job(job_id: str = "a") -> Job:
    return Job(job_id, NOW, Collect(paths=("syslog/*",)), Timeouts(), 8, (Node("10.0.0.1"),))


@pytest.fixture
def feed() -> Feed:
    return Feed()


async def test_changes_come_in_order_with_numbers_that_grow_by_one(feed: Feed) -> None:
    changes = [job("a"), job("b"), job("a")]
    with feed.subscribe() as subscription:
        for change in changes:
            feed.publish(change)
        got = [await subscription.next() for _ in changes]
    assert got == [Change(number, 0, change) for number, change in enumerate(changes, 1)]
    assert [change.job for change in got if change.job is changes[1]] == [changes[1]]


async def test_who_watches_one_job_hears_of_no_other(feed: Feed) -> None:
    with feed.subscribe("a") as subscription:
        feed.publish(job("b"))
        feed.publish(job("a"))
        change = await subscription.next()
    assert change.sequence == 1
    assert change.job is not None
    assert change.job.job_id == "a"


async def test_it_counts_from_the_moment_it_is_entered(feed: Feed) -> None:
    subscription = feed.subscribe()
    feed.publish(job("before"))
    with subscription:
        feed.publish(job("after"))
        change = await subscription.next()
    assert change.job is not None
    assert change.job.job_id == "after"


async def test_the_next_change_is_waited_for(feed: Feed) -> None:
    async def publish() -> None:
        await trio.testing.wait_all_tasks_blocked()
        feed.publish(job("late"))

    with feed.subscribe() as subscription:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish)
            change = await subscription.next()
    assert change.sequence == 1


async def test_who_falls_behind_is_told_how_many_and_goes_on_from_there(feed: Feed) -> None:
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


async def test_what_was_read_before_does_not_count_as_missed(feed: Feed) -> None:
    with feed.subscribe() as subscription:
        feed.publish(job())
        await subscription.next()
        for _ in range(CAPACITY):
            feed.publish(job())
        assert (await subscription.next()).missed == 0
        feed.publish(job())
        feed.publish(job())
        assert await subscription.next() == Change(CAPACITY + 3, CAPACITY + 1, None)


async def test_a_cancelled_wait_loses_nothing(feed: Feed) -> None:
    with feed.subscribe() as subscription:
        with trio.CancelScope() as scope:
            scope.cancel()
            await subscription.next()
        feed.publish(job())
        with trio.CancelScope() as scope:
            scope.cancel()
            await subscription.next()
        assert (await subscription.next()).sequence == 1


async def test_publishing_is_never_held_up_and_keeps_no_more_than_its_capacity(feed: Feed) -> None:
    with feed.subscribe() as subscription:
        for _ in range(100 * CAPACITY):
            feed.publish(job())
        assert len(subscription._waiting) <= CAPACITY


def test_who_has_left_costs_nothing(feed: Feed) -> None:
    for job_id in ("a", None):
        with feed.subscribe(job_id), feed.subscribe(job_id):
            pass
    assert feed._subscriptions == {}
    feed.publish(job())
