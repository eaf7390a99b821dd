"""Databases of every version that was ever released still open, with all that is in them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cucmd.failure import Code, failure
from cucmd.job.collect import Collect
from cucmd.job.job import End, Job, JobEnded, JobQueued, JobRunning, JobState, Outcome
from cucmd.job.node import Cancelled, Failed, Node, Pending, Phase, Running, Succeeded
from cucmd.job.timeouts import Timeouts
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed, open_store, schema, summarise

FIXTURES = Path(__file__).parent / "fixtures"

# Written by version 0.1.0: the jobs of `jobs_of_every_state`, whose work was `collection` then.
EVERY_STATE = FIXTURES / "v2-every-state.sql"
NOW = datetime(2026, 11, 25, 9, 0, 0, 250, tzinfo=UTC)
LATER = NOW + timedelta(seconds=90)
WINDOW = {"since": NOW - timedelta(hours=1), "until": NOW}


def load(dump: Path, path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(dump.read_text(encoding="utf-8"))


def jobs_of_every_state() -> list[Job]:
    """Makes a job of each state, with nodes of each state, and collections with every field."""
    plain = Collect(("syslog/*",))
    full = Collect(
        ("cm/trace/ccm/sdl/*", 'say "it"\\n'), "sdl", "inactivelog", "ä.*", True, True, **WINDOW
    )
    why = failure(Code.STALLED, "TimeoutError: Timed out after 120s without a byte")
    waiting = [Node("a"), Node("b", Pending(NOW), attempt=1, bytes_received=4096)]
    phases = [Node(phase.value, Running(NOW, phase), attempt=2) for phase in Phase]
    done = Node("a", Succeeded(NOW, LATER), 1, ("a note", "ü"), 3, 9000, 3, 9000)
    failed = [Node("b", Failed(NOW, LATER, why), 3), Node("c", Failed(None, LATER, why))]
    cancelled = [Node("d:2022", Cancelled(NOW, LATER), 1), Node("e", Cancelled(None, LATER))]

    def job(job_id: str, state: JobState, work: Collect, *nodes: Node, **more: Any) -> Job:
        return Job(job_id, NOW, work, Timeouts(command=900.5), 8, nodes, state, **more)

    return [
        job("000000000001", JobQueued(), plain, *waiting[:1], credential="ops", resumable=True),
        job("000000000002", JobQueued(NOW), full, *waiting, done, timeouts_asked=("command",)),
        job("000000000003", JobRunning(NOW), full, *phases, *waiting, done, *failed, *cancelled),
        job("000000000004", ended("succeeded", End.CLOSED), Collect(("x",), last="2h"), done),
        job("000000000005", ended("partial", End.CLOSED), plain, done, *failed, cancelled=True),
        job("000000000006", ended("failed"), full, *failed, username="administrator"),
        job("000000000007", ended("cancelled"), plain, *cancelled, cancelled=True),
    ]


def ended(outcome: str, end: End = End.OPEN) -> JobEnded:
    return JobEnded(NOW, LATER, Outcome(outcome), end)


@pytest.fixture(params=[2, 6])
def old(request: pytest.FixtureRequest, path: Path) -> Iterator[Path]:
    load(FIXTURES / f"v{request.param}.sql", path)
    return path


async def test_an_old_database_opens_with_its_jobs(old: Path) -> None:
    async with open_store(old) as store:
        assert store.notices == ()
        rows = await store.newest(9)
        assert [(row.job_id, row.status) for row in rows] == [
            ("7d1e90aa43c2", "running"),
            ("52c0ffee1a9b", "partial"),
        ]
        for row in rows:
            job = await store.load(row.job_id)
            assert job is not None
            assert summarise(job) == row
        with closing(sqlite3.connect(old)) as raw:
            assert schema.version_of(raw) == schema.NEWEST


async def test_the_fields_of_a_job_in_an_old_database_are_converted(old: Path) -> None:
    async with open_store(old) as store:
        job = await store.load("52c0ffee1a9b")
        assert job is not None
        assert job.state.outcome is Outcome.PARTIAL
        assert job.created_at == datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
        assert job.work.paths == ("cm/trace/ccm/sdl/*", "syslog/*")
        assert job.work.last == "2h"
        assert job.timeouts.command == 900
        assert job.timeouts.answer == 60  # no such timeout was kept then
        assert job.timeouts_asked is None  # which of them were asked for was not kept then
        assert job.username == "administrator"
        done, failed, cancelled = job.nodes
        assert (done.node, done.status, done.bytes_received) == ("10.10.1.1", "succeeded", 1048576)
        assert done.notes == ("no files matched syslog/*",)
        assert isinstance(failed.state, Failed)
        assert failed.state.failure.code is Code.STALLED
        assert cancelled.status == "cancelled"
        (running,) = await store.unfinished()
        assert running.nodes[0].state.phase is Phase.TRANSFER
        (file,) = await store.files("52c0ffee1a9b")
        assert (file.node, file.size, file.complete) == ("10.10.1.1", 1048576, True)


async def test_a_job_of_any_state_is_the_same_after_the_upgrade(path: Path) -> None:
    load(EVERY_STATE, path)
    expected = jobs_of_every_state()
    async with open_store(path) as store:
        assert store.notices == ()
        assert [await store.load(job.job_id) for job in expected] == expected
        assert list(await store.unfinished()) == expected[:3]
        assert list(await store.newest(9)) == [summarise(job) for job in reversed(expected)]
        assert await store.ended_but_open() == ("000000000006", "000000000007")
        assert await store.files("000000000004") == (
            ReceivedFile("a", "a/files/sdl.txt", 9000, "30" * 32, closed=True, complete=True),
        )


async def test_a_job_after_the_upgrade_is_changed_as_one_of_today(path: Path) -> None:
    load(EVERY_STATE, path)
    async with open_store(path) as store:
        running = await store.load("000000000003")
        assert running is not None
        cancelled = running.cancel(LATER)
        await store.save(running, cancelled)
        assert await store.load("000000000003") == cancelled


@pytest.mark.parametrize(
    "damaged", ["cut off: {", '{"job_id": "000000000003"}', '{"collection": [1]}', "7", ""]
)
async def test_a_damaged_job_is_left_alone_by_the_upgrade(
    path: Path, damaged: str, caplog: pytest.LogCaptureFixture
) -> None:
    load(EVERY_STATE, path)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE job SET detail = ? WHERE job_id = '000000000003'", (damaged,))
    async with open_store(path) as store:
        assert list(await store.unfinished()) == jobs_of_every_state()[:2]
        assert "000000000003 cannot be read" in caplog.text
        with pytest.raises(StoreFailed):
            await store.load("000000000003")
    with closing(sqlite3.connect(path)) as raw:
        (kept,) = raw.execute("SELECT detail FROM job WHERE job_id = '000000000003'").fetchone()
    assert kept == damaged


async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(FIXTURES / "v2.sql", path)
    step = "CREATE TABLE extra (x); DELETE FROM job; INSERT INTO nowhere VALUES (1);"
    monkeypatch.setitem(schema.UPGRADES, 2, step)
    with pytest.raises(StoreFailed, match="nowhere"):
        async with open_store(path):
            pass
    monkeypatch.undo()
    async with open_store(path) as store:
        assert store.notices == ()
        assert len(await store.newest(9)) == 2


async def test_a_database_of_today_is_not_migrated_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(FIXTURES / "v2.sql", path)
    for _ in range(2):
        async with open_store(path) as store:
            assert len(await store.newest(9)) == 2
        monkeypatch.setattr(schema, "UPGRADES", {})


@pytest.mark.parametrize("version", [1, 3, 4, 5])
async def test_a_version_that_no_release_had_is_refused_and_left(path: Path, version: int) -> None:
    load(FIXTURES / "v6.sql", path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(StoreFailed, match="no release"):
        async with open_store(path):
            pass
    assert not list(path.parent.glob("*.damaged*"))
    with closing(sqlite3.connect(path)) as raw:
        assert schema.version_of(raw) == version


@pytest.mark.parametrize(("dump", "mark"), [("v2", None), ("v6-every-kind", 1234.5)])
async def test_the_count_of_seconds_goes_on(path: Path, dump: str, mark: float | None) -> None:
    load(FIXTURES / f"{dump}.sql", path)
    if mark is not None:
        with closing(sqlite3.connect(path)) as raw, raw:
            marked = "json_set(detail, '$.closed_after', ?)"
            raw.execute(f"UPDATE job SET closed = 1, detail = {marked}", (mark,))
    async with open_store(path, clock=lambda: 0.0) as store:
        assert max([one.ended_after for one in await store.closed_jobs()], default=0) == (mark or 0)
        assert await store.elapsed() == (mark or 0)


async def test_a_job_without_its_mark_counts_as_the_youngest(path: Path) -> None:
    load(FIXTURES / "v6-every-kind.sql", path)
    with closing(sqlite3.connect(path)) as raw, raw:
        marked = "json_set(detail, '$.closed_after', 100 + position)"
        raw.execute(f"UPDATE job SET closed = 1, detail = {marked} WHERE position > 1")
        unmarked = "json_remove(detail, '$.closed_after')"
        raw.execute(f"UPDATE job SET closed = 1, detail = {unmarked} WHERE position = 1")
        last = raw.execute("SELECT max(position) FROM job").fetchone()[0]
        (job_id,) = raw.execute("SELECT job_id FROM job WHERE position = 1").fetchone()
    async with open_store(path) as store:
        ended_after = {one.job_id: one.ended_after for one in await store.closed_jobs()}
    assert last > 1
    assert ended_after[job_id] == max(ended_after.values()) == 100 + last


async def test_what_each_kind_of_work_gives_is_kept(path: Path) -> None:
    load(FIXTURES / "v6-every-kind.sql", path)
    async with open_store(path) as store:
        assert store.notices == ()
        loaded = [await store.load(row.job_id) for row in await store.newest(9)]
        (discovery,) = await store.discoveries()
    jobs = {job.kind: job for job in loaded if job is not None}
    assert set(jobs) == {"collect", "dry_run", "discover", "run", "check", "capture"}
    results = {kind: job.nodes[0].result for kind, job in jobs.items()}
    assert results["collect"] is results["run"] is None
    assert len(jobs["collect"].work.snapshot) == 4
    assert (results["dry_run"].bytes, results["dry_run"].fits) == (600, True)
    assert [member.name for member in results["discover"].members] == [
        *("cucm-pub", "cucm-sub1", "cucm-sub2")
    ]
    assert discovery.found == results["discover"]
    assert (results["check"].host_key, results["check"].receiver) == ("known", "ok")
    assert (results["capture"].packets, results["capture"].how) == (61, "duration")
    capture = jobs["capture"]
    assert (capture.work.port, capture.work.delete) == (5060, True)
    assert capture.may_run(capture.nodes[1]) == ("cucmd_bad4cf422280",)
