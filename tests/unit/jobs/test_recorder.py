"""States go to the store and then to the watchers; failed saves are tried again."""

from datetime import UTC, datetime

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock, wait_all_tasks_blocked

from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.jobs.job_feed import JobFeed
from cucmd.jobs.recorder import GATHER, Recorder
from cucmd.store import StoreFailed

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
QUEUED = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, (Node("a"), Node("b")))


class SlowStore:
    """Saves when the test allows it. The first `failures` saves fail."""

    def __init__(self, failures: int = 0) -> None:
        self.saved: list[tuple[Job, Job]] = []
        self.failures = failures
        self.may_save = trio.Event()
        self.may_save.set()

    async def save(self, before: Job, after: Job) -> None:
        await self.may_save.wait()
        await trio.lowlevel.checkpoint()
        if self.failures:
            self.failures -= 1
            raise StoreFailed("database or disk is full")
        self.saved.append((before, after))


async def test_only_durable_states_are_published() -> None:
    store, feed = SlowStore(), JobFeed()
    store.may_save = trio.Event()
    recorder = Recorder(QUEUED, store, feed)
    received: list[Job | None] = []

    async def watch(changes) -> None:
        while True:
            received.append((await changes.next()).job)

    with feed.subscribe(QUEUED.job_id) as changes:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.run)
            nursery.start_soon(watch, changes)
            running = QUEUED.begin(NOW)
            recorder.changed(running)
            await wait_all_tasks_blocked()
            assert received == []
            store.may_save.set()
            await recorder.durable()
            await wait_all_tasks_blocked()
            assert received == [running]
            recorder.finish()
            nursery.cancel_scope.cancel()


async def test_save_takes_newest_state() -> None:
    store = SlowStore()
    store.may_save = trio.Event()
    recorder = Recorder(QUEUED, store, JobFeed())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        first = QUEUED.begin(NOW)
        recorder.changed(first)
        await wait_all_tasks_blocked()  # the save of `first` is under way
        second = first.cancel(NOW)
        recorder.changed(first.replace_node(0, Node("a").begin(NOW, 1), NOW))
        recorder.changed(second)
        store.may_save.set()
        await recorder.durable()
        recorder.finish()
    assert store.saved == [(QUEUED, first), (first, second)]


async def test_failed_save_is_tried_again(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = SlowStore(failures=2)
    recorder = Recorder(QUEUED, store, JobFeed())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        cancelled = QUEUED.cancel(NOW)
        recorder.changed(cancelled)
        with pytest.raises(StoreFailed):
            await recorder.durable()
        await trio.sleep(5)
        await recorder.durable()
        recorder.finish()
    assert store.saved == [(QUEUED, cancelled)]
    assert "disk is full" in caplog.text


async def test_watchers_learn_of_failed_save(
    autojump_clock: MockClock,
) -> None:
    feed = JobFeed()
    recorder = Recorder(QUEUED, SlowStore(failures=2), feed)
    cancelled = QUEUED.cancel(NOW)
    received: list[tuple[str, str | None]] = []
    with feed.subscribe(QUEUED.job_id) as changes:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.run)
            recorder.changed(cancelled)
            while len(received) < 2:
                change = await changes.next()
                received.append((change.job.status, recorder.save_error))
            recorder.finish()
    assert received == [("queued", "database or disk is full"), ("cancelled", None)]


async def test_stop_does_not_wait_for_space(autojump_clock: MockClock) -> None:
    store = SlowStore(failures=1_000_000)
    recorder = Recorder(QUEUED, store, JobFeed())
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.run)
            recorder.changed(QUEUED.cancel(NOW))
            recorder.stop()
            recorder.finish()
    assert store.saved == []


async def test_close_changes_share_a_save(autojump_clock: MockClock) -> None:
    """Many nodes log in, and each changes several times. Not every change is saved by itself."""
    many, changes = 100, 6
    store = SlowStore()
    job = replace(QUEUED, nodes=tuple(Node(str(number)) for number in range(many))).begin(NOW)
    recorder = Recorder(job, store, JobFeed())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        for number in range(changes * many):
            await trio.sleep(0.001)
            job = job.replace_node(number % many, Node(str(number)), NOW)
            recorder.changed(job)
        recorder.finish()
    assert store.saved[-1][1] is job
    assert len(store.saved) <= changes * many * 0.001 / GATHER + 2


async def test_durable_begins_save_at_once(
    autojump_clock: MockClock,
) -> None:
    recorder = Recorder(QUEUED, SlowStore(), JobFeed())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        running = QUEUED.begin(NOW)
        began = trio.current_time()
        recorder.changed(running)
        await recorder.durable()
        recorder.changed(running.cancel(NOW))
        await recorder.durable()
        assert trio.current_time() == began
        recorder.finish()
