"""Changes of a job that has ended: each of what is in the store then, told in their order."""

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

from cucmd.cases.coverage import add_coverage
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


async def begin_deletion(store: Store, job: Job) -> None:
    await store.begin_deletion(job.job_id, record=False)


@asynccontextmanager
async def ended(
    path: Path, job: Job, *, closed: bool = True
) -> AsyncIterator[tuple[Store, Job, list[Job]]]:
    """Gives a store with a job that has ended, and what is told of that from then on."""
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


@pytest.mark.parametrize("changes", list(permutations([label, keep, cover, close])))
@pytest.mark.parametrize("at_once", [True, False])
async def test_whatever_the_order_no_change_takes_back_another(
    path: Path, make_job: MakeJob, changes: tuple[Change, ...], at_once: bool
) -> None:
    """All of them began with the same state. One transaction has all that have come while the
    writer was busy, or each has its own. What the files of a job cover is not said before it is
    closed, since more may come.
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


async def test_many_changes_at_once_are_told_in_the_order_in_which_they_are_stored(
    path: Path, make_job: MakeJob
) -> None:
    """Of one transaction all callers go on at once, in any order."""
    async with ended(path, make_job()) as (store, job, told):

        async def change(number: int) -> None:
            await store.change(job.job_id, lambda now: labelled(now, **{f"k{number}": "1"}))

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(change, number)
        assert [len(one.labels) for one in told] == list(range(1, 51))
        assert told[-1] == await store.load(job.job_id)


async def test_a_change_is_told_though_its_caller_has_gone(path: Path, make_job: MakeJob) -> None:
    async with ended(path, make_job()) as (store, job, told):
        with trio.move_on_after(0):
            await label(store, job)
        await keep(store, job)
        assert [one.labels for one in told] == [{"case": "1"}, {"case": "1", "keep": "yes"}]


async def test_what_changes_nothing_is_no_change(path: Path, make_job: MakeJob) -> None:
    async with ended(path, make_job()) as (store, job, told):
        assert await store.change(job.job_id, labelled) is None
        assert await store.change("000000000000", labelled) is None
        assert (await store.load(job.job_id), told) == (job, [])


async def test_an_error_of_the_caller_is_its_own(path: Path, make_job: MakeJob) -> None:
    def refuse(job: Job) -> Job:
        raise ZeroDivisionError

    async with ended(path, make_job()) as (store, job, told):
        with pytest.raises(ZeroDivisionError):
            await store.change(job.job_id, refuse)
        assert (await store.load(job.job_id), told) == (job, [])


@pytest.mark.parametrize("first", [cover, begin_deletion])
async def test_nothing_is_said_of_files_whose_deletion_was_begun(
    path: Path, make_job: MakeJob, first: Change
) -> None:
    second = begin_deletion if first is cover else cover
    async with ended(path, make_job()) as (store, job, _):
        await first(store, job)
        await second(store, job)
        now = await store.load(job.job_id)
        assert now.files_deleted
        assert {node.coverage for node in now.nodes} == {"covers it" if first is cover else None}


@pytest.mark.parametrize("change", [label, cover])
async def test_a_job_that_has_changed_since_it_was_read_is_not_tried_again(
    path: Path, make_job: MakeJob, change: Change
) -> None:
    """The caller reads it once more: what runs then has all that is in the store."""
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
