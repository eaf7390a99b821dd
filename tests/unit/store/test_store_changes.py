"""Changes of a job that does not run: none is lost, and they are reported in order."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import permutations
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from cucmd.cases.coverage_reader import add_coverage
from cucmd.job.coverage import Covered
from cucmd.job.job import Job
from cucmd.store import Store, open_store

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MakeJob = Callable[..., Job]
Change = Callable[[Store, Job], Awaitable[object]]


def labelled(job: Job, **labels: str) -> Job:
    return replace(job, labels={**job.labels, **labels})


async def label(store: Store, job: Job) -> None:
    await store.change(job.job_id, partial(labelled, case="1"))


async def keep(store: Store, job: Job) -> None:
    await store.change(job.job_id, partial(labelled, keep="yes"))


async def cover(store: Store, job: Job) -> None:
    said = {node.node: "covers it" for node in job.nodes}
    covered = {node: Covered(text) for node, text in said.items()}
    await store.change(job.job_id, partial(add_coverage, job, covered))


async def close(store: Store, job: Job) -> None:
    await store.close_job(job.job_id)


@asynccontextmanager
async def ended(
    path: Path, job: Job, *, closed: bool = True
) -> AsyncIterator[tuple[Store, Job, list[Job]]]:
    """Yields a store, an ended job in it, and the changes that are reported from then on."""
    async with open_store(path) as store:
        await store.add_job(job)
        await store.save(job, replace(job.cancel(NOW), revision=1))
        if closed:
            await close(store, job)
        now = await store.load(job.job_id)
        assert now is not None
        told: list[Job] = []
        store.on_changed = told.append
        yield store, now, told


ORDERS = list(permutations([label, keep, cover, close]))


@pytest.mark.parametrize(
    ("changes", "at_once"), [*((order, True) for order in ORDERS), (ORDERS[0], False)]
)
async def test_concurrent_changes_are_all_kept(
    path: Path, make_job: MakeJob, changes: tuple[Change, ...], at_once: bool
) -> None:
    """All changes begin with the same state, in one transaction or each in its own. Coverage is
    not stored before the job is closed, since more files may come.
    """
    async with ended(path, make_job(), closed=False) as (store, job, told):
        begun, goes_on = threading.Event(), threading.Event()

        def wait(now: Job) -> Job:
            begun.set()
            goes_on.wait()
            return now

        async with trio.open_nursery() as nursery:
            if at_once:
                nursery.start_soon(store.change, job.job_id, wait)
                await trio.to_thread.run_sync(begun.wait)
            for change in changes:
                nursery.start_soon(change, store, job)
                await trio.testing.wait_all_tasks_blocked(0.01)
            goes_on.set()
        now = await store.load(job.job_id)
        assert now.labels == {"case": "1", "keep": "yes"}
        assert now.closed
        said = {node.coverage for node in now.nodes}
        assert said == {"covers it" if changes.index(cover) > changes.index(close) else None}
        made = 3 if said == {None} else 4
        assert now.revision == job.revision + made
        assert [one.revision - job.revision for one in told] == list(range(1, made + 1))
        assert told[-1] == now
        (row,) = await store.newest(1)
        assert (row.job.revision, row.job.labels) == (now.revision, now.labels)
        (listed,) = await store.closed_jobs()
        assert listed.labels == now.labels


async def test_changes_are_reported_in_order(path: Path, make_job: MakeJob) -> None:
    """The callers of one transaction go on in any order."""
    async with ended(path, make_job()) as (store, job, told):

        async def change(number: int) -> None:
            await store.change(job.job_id, lambda now: labelled(now, **{f"k{number}": "1"}))

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(change, number)
        assert [len(one.labels) for one in told] == list(range(1, 51))
        assert told[-1] == await store.load(job.job_id)


async def test_cancelled_change_is_reported(path: Path, make_job: MakeJob) -> None:
    async with ended(path, make_job()) as (store, job, told):
        with trio.move_on_after(0):
            await label(store, job)
        await keep(store, job)
        assert [one.labels for one in told] == [{"case": "1"}, {"case": "1", "keep": "yes"}]


async def test_no_change_is_not_reported(path: Path, make_job: MakeJob) -> None:
    async with ended(path, make_job()) as (store, job, told):
        assert await store.change(job.job_id, labelled) is None
        assert await store.change("000000000000", labelled) is None
        assert (await store.load(job.job_id), told) == (job, [])


@pytest.mark.parametrize("change", [label, cover])
async def test_changed_job_is_not_reopened(path: Path, make_job: MakeJob, change: Change) -> None:
    async with ended(path, make_job()) as (store, job, _):
        await change(store, job)
        assert await store.reopen_job(job, job.retry(frozenset({0}))) is None
        now = await store.load(job.job_id)
        assert now.closed
        again = await store.reopen_job(now, now.retry(frozenset({0})))
        assert again == await store.load(job.job_id)
        assert (again.status, again.closed, again.revision) == ("queued", False, now.revision + 1)
        assert again.labels == now.labels
        await cover(store, job)
        assert await store.load(job.job_id) == again, "what was read was of before"
