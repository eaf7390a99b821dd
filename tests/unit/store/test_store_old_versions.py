"""Databases of every version that was ever released still open, with all that is in them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cucmd.failure import Code
from cucmd.job import Failed, Outcome, Phase
from cucmd.store import StoreFailed, open_store, schema, summarise

FIXTURES = Path(__file__).parent / "fixtures"


def load(dump: Path, path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(dump.read_text(encoding="utf-8"))


@pytest.fixture(params=range(1, schema.newest_version() + 1))
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
            assert schema.version_of(raw) == schema.newest_version()


async def test_what_an_old_database_says_of_a_job_is_understood(old: Path) -> None:
    async with open_store(old) as store:
        job = await store.load("52c0ffee1a9b")
        assert job is not None
        assert job.state.outcome is Outcome.PARTIAL
        assert job.created_at == datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
        assert job.collection.paths == ("cm/trace/ccm/sdl/*", "syslog/*")
        assert job.collection.last == "2h"
        assert job.timeouts.command == 900
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


async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(FIXTURES / "v1.sql", path)
    step = "CREATE TABLE extra (x); DELETE FROM job; INSERT INTO nowhere VALUES (1);"
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS[:1], step))
    with pytest.raises(StoreFailed, match="nowhere"):
        async with open_store(path):
            pass
    monkeypatch.undo()
    async with open_store(path) as store:
        assert store.notices == ()
        assert len(await store.newest(9)) == 2


async def test_a_migration_brings_an_old_database_up_to_date_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(FIXTURES / "v1.sql", path)
    steps = (*schema.STEPS[:1], "CREATE TABLE extra (x);", "INSERT INTO extra VALUES (1);")
    monkeypatch.setattr(schema, "STEPS", steps)
    for _ in range(2):
        async with open_store(path) as store:
            assert len(await store.newest(9)) == 2
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT x FROM extra").fetchall() == [(1,)]
        assert schema.version_of(raw) == 3
