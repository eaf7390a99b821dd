"""Jobs and files are read as they were stored, also after a restart."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
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
from cucmd.store import StoreFailed, open_store, summarise
from rig.tries import tries

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MakeJob = Callable[..., Job]


def finished(job: Job) -> Job:
    job = job.begin(NOW)
    for at, node in enumerate(job.nodes):
        job = job.replace_node(at, node.begin(NOW, 1).succeed(NOW, ("a note",)), NOW)
    return job


async def test_states_of_nodes_survive(path: Path, make_job: MakeJob) -> None:
    queued = make_job(nodes=5)
    pending, running, succeeded, failed, cancelled = queued.nodes
    begun = [node.begin(NOW, 2) for node in (running, succeeded, failed, cancelled)]
    nodes = (
        pending,
        begun[0].enter(Phase.TRANSFER, NOW),
        begun[1].succeed(NOW, ("one", "two")),
        begun[2].fail(NOW, failure(Code.STALLED, 'it said "\x1b[2J\u2028\x00"')),
        begun[3].cancel(NOW),
    )
    after = msgspec.structs.replace(queued.begin(NOW), nodes=nodes)
    async with open_store(path) as store:
        await store.add_job(queued)
        await store.save(queued, after)
    async with open_store(path) as store:
        assert store.notices == ()
        assert await store.load(queued.job_id) == after


async def test_unknown_job_is_none(path: Path) -> None:
    async with open_store(path) as store:
        for job_id in ("ffff", "", "\ud800", "ü"):
            assert await store.load(job_id) is None
            assert await store.files(job_id.encode("ascii", "replace").decode()) == ()


async def test_job_is_added_once(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        await store.add_job(make_job(nodes=2))
        with pytest.raises(StoreFailed) as raised:
            await store.add_job(make_job(nodes=3))
        assert raised.value.__cause__.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CONSTRAINT
        assert await store.load("0a1b2c3d4e5f") == make_job(nodes=2)


async def test_find_returns_three_ids(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        for job_id in ("aaaa1", "aaaa2", "aaaa3", "aaaa4", "aaab1", "a%_"):
            await store.add_job(make_job(job_id))
        assert await store.find("aaaa") == ("aaaa1", "aaaa2", "aaaa3")
        assert await store.find("aaab") == ("aaab1",)
        assert await store.find("a%") == ("a%_",)
        for nothing in ("%", "aaac", "ü", "\ud800"):
            assert await store.find(nothing) == ()


async def test_unfinished_jobs(path: Path, make_job: MakeJob) -> None:
    queued, running, ended = (make_job(job_id) for job_id in ("1", "2", "3"))
    async with open_store(path) as store:
        for job in (queued, running, ended):
            await store.add_job(job)
        await store.save(running, running.begin(NOW))
        await store.save(ended, finished(ended))
    async with open_store(path) as store:
        assert await store.unfinished() == (queued, running.begin(NOW))


async def test_files_are_replaced_by_path(path: Path, make_job: MakeJob) -> None:
    raw = b"caf\xe9\n.txt".decode("utf-8", "surrogateescape")
    cut_off = ReceivedFile("beta", "b", 1, "00")
    z = ReceivedFile("alpha", "z", 0, "22", closed=True, complete=True)
    b = ReceivedFile("beta", "b", 9, "33", closed=True, complete=True)
    odd = ReceivedFile("beta", raw, 2, "11", closed=True, complete=True, modified=2**32 - 1)
    async with open_store(path) as store:
        await store.add_job(make_job())
        await store.save_files("0a1b2c3d4e5f", [cut_off, odd])
        await store.save_files("0a1b2c3d4e5f", [z])
        await store.save_files("0a1b2c3d4e5f", [b])
        await store.save_files("0a1b2c3d4e5f", [])
        assert await store.files("0a1b2c3d4e5f") == (z, b, odd)
        incomplete = ReceivedFile("alpha", "a", 1, "00", closed=True)
        await store.save_files("0a1b2c3d4e5f", [incomplete])
        found = await store.files("0a1b2c3d4e5f", limit=1)
        assert found == (msgspec.structs.replace(incomplete, closed=False),)


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
        return node.enter(Phase.TRANSFER, NOW)
    if what == 3:
        return node.succeed(NOW)
    return node.cancel(NOW) if what == 4 else node.fail(NOW, failure(Code.INTERNAL, "x"))


@settings(tries(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_history_is_stored(
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
                await store.save(job, after)  # saving twice must change nothing
                job = after
            assert await store.load(job.job_id) == job
            assert await store.newest(1) == (summarise(job),)

    trio.run(live)


async def test_unreadable_row_can_be_closed(path: Path, make_job: MakeJob) -> None:
    async with open_store(path) as store:
        job = make_job()
        await store.add_job(job)
        await store.save(job, job.cancel(NOW))
        with closing(sqlite3.connect(path)) as raw, raw:
            raw.execute("UPDATE job SET detail = '{'")
            raw.execute("UPDATE node SET detail = '{'")
        assert await store.close_job(job.job_id) is None
        assert [one.job_id for one in await store.closed_jobs()] == [job.job_id]
