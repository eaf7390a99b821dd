"""Discoveries are stored with the end of their node, and outlive the job."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cucmd.failure import Code, failure
from cucmd.job.discover import Discover, Found, Member
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.store import Store, StoredDiscovery, open_store
from cucmd.store.node_sql import MOST_DISCOVERIES

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PUB = Member("pub", "10.0.0.1", "pub", "Publisher", "callmanager", "pub.example.org")
SUB = Member("10.0.0.2", "10.0.0.2", "sub1", "Subscriber", "callmanager")
BOTH = Found((PUB, SUB), "15.0.1")


async def begun(store: Store, node: str, found: Found | None, number: int = 1) -> Job:
    """Stores a running discovery, with what the node has told so far."""
    job = Job(f"{number:012x}", NOW, Discover(), Timeouts(), 8, (Node(node),))
    await store.add_job(job)
    running = job.begin(NOW)
    at_work = Node(node, result=found).begin(NOW, 1)
    running = running.replace_node(0, at_work, NOW)
    await store.save(job, running)
    return running


async def ended(
    store: Store, node: str, found: Found | None, number: int = 1, after: int = 0
) -> Job:
    job, then = await begun(store, node, found, number), NOW + timedelta(seconds=after)
    done = job.replace_node(0, job.nodes[0].succeed(then), then)
    await store.save(job, done)
    return done


async def test_discovery_is_stored_on_success(path: Path) -> None:
    async with open_store(path) as store:
        running = await begun(store, "pub", BOTH)
        assert await store.discoveries() == ()
        done = running.replace_node(0, running.nodes[0].succeed(NOW), NOW)
        await store.save(running, done)
        assert await store.discoveries() == (StoredDiscovery("pub", NOW, done.job_id, BOTH),)
        assert await store.load(done.job_id) == done
    async with open_store(path) as again:
        assert await again.discoveries() == (StoredDiscovery("pub", NOW, done.job_id, BOTH),)


async def test_failed_node_keeps_older_discovery(path: Path) -> None:
    async with open_store(path) as store:
        await ended(store, "pub", BOTH)
        other = await begun(store, "pub", Found(()), 2)
        why = failure(Code.COMMAND_REFUSED, "no")
        await store.save(other, other.replace_node(0, other.nodes[0].fail(NOW, why), NOW))
        third = await begun(store, "pub", Found((PUB,)), 3)
        await store.save(third, third.cancel(NOW))
        assert [one.found for one in await store.discoveries()] == [BOTH]


async def test_last_discovery_of_any_spelling(path: Path) -> None:
    alone = Found((PUB,))
    async with open_store(path) as store:
        await ended(store, "pub", BOTH, 1, after=10)
        await ended(store, "PUB.:22", alone, 2, after=20)
        await ended(store, "pub", BOTH, 3, after=15)  # it ended before, but is saved later
        await ended(store, "pub:2022", BOTH, 4, after=5)
        kept = await store.discoveries()
    assert [(one.asked, one.found) for one in kept] == [("PUB.:22", alone), ("pub:2022", BOTH)]


async def test_discovery_outlives_its_job(path: Path) -> None:
    async with open_store(path) as store:
        done = await ended(store, "pub", BOTH)
        await store.close_job(done.job_id)
        await store.begin_deletion(done.job_id, record=True)
        await store.end_deletion(done.job_id)
        assert await store.load(done.job_id) is None
        assert len(await store.discoveries()) == 1


async def test_oldest_discoveries_are_dropped(path: Path) -> None:
    async with open_store(path) as store:
        await ended(store, "n1", BOTH)
    with closing(sqlite3.connect(path)) as raw, raw:
        (detail,) = raw.execute("SELECT detail FROM discovery").fetchone()
        newer = ((f"x{number}", "9999", detail) for number in range(MOST_DISCOVERIES - 2))
        raw.executemany("INSERT INTO discovery VALUES (?, ?, ?)", newer)
    async with open_store(path) as store:
        for number in (2, 3):
            await ended(store, f"n{number}", BOTH, number, after=number)
        kept = [one.asked for one in await store.discoveries()]
    assert kept == ["n1"] * (MOST_DISCOVERIES - 2) + ["n3", "n2"]


async def test_damaged_discovery_hides_no_other(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(path) as store:
        await ended(store, "pub", BOTH)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO discovery VALUES ('x:22', '2026', 'cut off: {')")
    async with open_store(path) as store:
        assert [one.asked for one in await store.discoveries()] == ["pub"]
    assert "x:22" in caplog.text
