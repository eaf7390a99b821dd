"""Jobs are read as they were stored, also after the store was closed and opened again."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cucmd.failure import Code, failure
from cucmd.job.job import Job
from cucmd.job.node import Node, Phase
from cucmd.received_file import ReceivedFile
from cucmd.store import JobFilter, StoreFailed, open_store, summarise
from rig.tries import tries

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MakeJob = Callable[..., Job]


def finished(job: Job) -> Job:
    job = job.begin(NOW)
    for at, node in enumerate(job.nodes):
        job = job.replace_node(at, node.begin(NOW, 1).succeed(NOW, ("a note",)), NOW)
    return job


async def test_a_job_survives_a_restart_unchanged(path: Path, make_job: MakeJob) -> None:
    job = make_job()
    async with open_store(path) as store:
        await store.add_job(job)
    async with open_store(path) as store:
        assert store.notices == ()
        assert await store.load(job.job_id) == job


async def test_each_state_of_a_node_survives(path: Path, make_job: MakeJob) -> None:
    queued = make_job(nodes=5)
    pending, running, succeeded, failed, cancelled = queued.nodes
    begun = [node.begin(NOW, 2) for node in (running, succeeded, failed, cancelled)]
    nodes = (
        pending,
        begun[0].enter(Phase.TRANSFER),
        begun[1].succeed(NOW, ("one", "two")),
        begun[2].fail(NOW, failure(Code.STALLED, 'it said "\x1b[2J\u2028\x00"')),
        begun[3].cancel(NOW),
    )
    after = msgspec.structs.replace(queued.begin(NOW), nodes=nodes)
    async with open_store(path) as store:
        await store.add_job(queued)
        await store.save(queued, after)
        assert await store.load(queued.job_id) == after


async def test_an_unknown_job_is_none(path: Path) -> None:
    async with open_store(path) as store:
        for job_id in ("ffff", "", "\ud800", "ü"):
            assert await store.load(job_id) is None
            assert await store.files(job_id.encode("ascii", "replace").decode()) == ()


async def test_a_job_is_added_once(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        await store.add_job(make_job(nodes=2))
        with pytest.raises(StoreFailed) as raised:
            await store.add_job(make_job(nodes=3))
        assert raised.value.__cause__.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CONSTRAINT
        assert await store.load("0a1b2c3d4e5f") == make_job(nodes=2)


async def test_a_save_of_a_job_that_was_never_added_raises(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        with pytest.raises(StoreFailed, match="there is no job 0a1b2c3d4e5f"):
            await store.save(make_job(), make_job().begin(NOW))


async def test_saves_that_do_not_wait_for_each_other_keep_their_order(
    path: Path, make_job: MakeJob
) -> None:
    states = [make_job(nodes=1).begin(NOW)]
    for received in range(1, 200):
        node = msgspec.structs.replace(states[-1].nodes[0], bytes_received=received)
        states.append(states[-1].replace_node(0, node, NOW))
    async with open_store(path) as store:
        await store.add_job(states[0])
        async with trio.open_nursery() as nursery:
            for before, after in pairwise(states):
                # Started one by one: a nursery starts its tasks in any order.
                await nursery.start(call_save, store, before, after)
        assert await store.load(states[0].job_id) == states[-1]


async def call_save(store, before: Job, after: Job, *, task_status) -> None:
    task_status.started()
    await store.save(before, after)


async def test_a_list_shows_the_newest_first(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        for number in range(5):
            job = make_job(f"{number:012x}")
            await store.add_job(job)
            if number % 2:
                await store.save(job, finished(job))
        assert [row.job_id[-1] for row in await store.newest(3)] == ["4", "3", "2"]
        assert [row.job_id[-1] for row in await store.newest(9, JobFilter(status="succeeded"))] == [
            "3",
            "1",
        ]
        assert await store.newest(9, JobFilter(status="running")) == ()
        assert await store.newest(0) == await store.newest(-1) == ()


async def test_a_row_is_the_summary_of_the_job(path: Path, make_job: MakeJob) -> None:
    job = make_job()
    after = finished(job)
    async with open_store(path) as store:
        await store.add_job(job)
        assert await store.newest(1) == (summarise(job),)
        await store.save(job, after)
        assert await store.newest(1) == (summarise(after),)


async def test_at_most_three_ids_are_found_for_a_prefix(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        for job_id in ("aaaa1", "aaaa2", "aaaa3", "aaaa4", "aaab1", "a%_"):
            await store.add_job(make_job(job_id))
        assert await store.find("aaaa") == ("aaaa1", "aaaa2", "aaaa3")
        assert await store.find("aaab") == ("aaab1",)
        assert await store.find("a%") == ("a%_",)
        for nothing in ("%", "aaac", "ü", "\ud800"):
            assert await store.find(nothing) == ()


async def test_what_is_queued_or_running_is_unfinished(path: Path, make_job: MakeJob) -> None:
    queued, running, ended = (make_job(job_id) for job_id in ("1", "2", "3"))
    async with open_store(path) as store:
        for job in (queued, running, ended):
            await store.add_job(job)
        await store.save(running, running.begin(NOW))
        await store.save(ended, finished(ended))
    async with open_store(path) as store:
        assert await store.unfinished() == (queued, running.begin(NOW))


async def test_files_are_added_and_replaced_by_path(path: Path, make_job: MakeJob) -> None:
    raw = b"caf\xe9\n.txt".decode("utf-8", "surrogateescape")
    cut_off = ReceivedFile("beta", "b", 1, "00")
    z = ReceivedFile("alpha", "z", 0, "22", closed=True, complete=True)
    b = ReceivedFile("beta", "b", 9, "33", closed=True, complete=True)
    odd = ReceivedFile("beta", raw, 2, "11", closed=True, complete=True)
    async with open_store(path) as store:
        await store.add_job(make_job())
        await store.save_files("0a1b2c3d4e5f", [cut_off, odd])
        await store.save_files("0a1b2c3d4e5f", [z])
        await store.save_files("0a1b2c3d4e5f", [b])
        await store.save_files("0a1b2c3d4e5f", [])
        assert await store.files("0a1b2c3d4e5f") == (z, b, odd)


@pytest.mark.parametrize("modified", [None, 0, 1_700_000_000, 2**32 - 1])
async def test_the_time_stamp_of_a_file_survives_a_restart(
    path: Path, make_job: MakeJob, modified: int | None
) -> None:
    stamped = ReceivedFile("beta", "b", 9, "33", closed=True, complete=True, modified=modified)
    async with open_store(path) as store:
        await store.add_job(make_job())
        await store.save_files("0a1b2c3d4e5f", [stamped])
    async with open_store(path) as store:
        assert await store.files("0a1b2c3d4e5f") == (stamped,)


async def test_a_file_that_is_not_complete_is_not_closed_after_a_restart(
    path: Path, make_job: MakeJob
) -> None:
    unconfirmed = ReceivedFile("beta", "b", 1, "00", closed=True, complete=False)
    async with open_store(path) as store:
        await store.add_job(make_job())
        await store.save_files("0a1b2c3d4e5f", [unconfirmed])
        assert await store.files("0a1b2c3d4e5f") == (
            msgspec.structs.replace(unconfirmed, closed=False),
        )


async def test_a_job_is_open_from_its_end_until_it_is_closed(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        for name in ("1", "2", "3"):
            await store.add_job(make_job(name))
        for name in ("2", "1"):
            await store.save(make_job(name), make_job(name).cancel(NOW))
        assert await store.unclosed_jobs() == ("1", "2")
        await store.close_job("2")
        assert await store.unclosed_jobs() == ("1",)


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 2**40)), max_size=30
)


def step(node: Node, what: int, count: int) -> Node:
    if what == 0:
        figures = {"files_announced": 1, "bytes_announced": count}
        return msgspec.structs.replace(node, **figures, files_received=1, bytes_received=count)
    if node.settled:
        return node
    if what == 1 or (node.status == "pending" and what in (2, 3)):
        return node.begin(NOW, node.attempt + 1)
    if what == 2:
        return node.enter(Phase.TRANSFER)
    if what == 3:
        return node.succeed(NOW)
    return node.cancel(NOW) if what == 4 else node.fail(NOW, failure(Code.INTERNAL, "x"))


@settings(tries(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_history_leaves_the_job_and_its_sums_as_they_are(
    steps: list[tuple[int, int, int]], tmp_path_factory: pytest.TempPathFactory, make_job: MakeJob
) -> None:
    async def live() -> None:
        path = tmp_path_factory.mktemp("history") / "cucmd.db"
        async with open_store(path) as store:
            job = make_job(nodes=4)
            await store.add_job(job)
            for at, what, count in steps:
                after = job.replace_node(at, step(job.nodes[at], what, count), NOW)
                await store.save(job, after)
                await store.save(job, after)  # twice does no harm
                job = after
            assert await store.load(job.job_id) == job
            assert await store.newest(1) == (summarise(job),)

    trio.run(live)


async def test_a_row_that_cannot_be_read_is_closed_all_the_same(
    path: Path, make_job: MakeJob
) -> None:
    async with open_store(path) as store:
        job = make_job()
        await store.add_job(job)
        await store.save(job, job.cancel(NOW))
        with closing(sqlite3.connect(path)) as raw, raw:
            raw.execute("UPDATE job SET detail = '{'")
            raw.execute("UPDATE node SET detail = '{'")
        assert await store.close_job(job.job_id) is None
        assert [one.job_id for one in await store.closed_jobs()] == [job.job_id]
