"""The cost of a write or a list does not depend on how many jobs are stored."""

import sqlite3
import weakref
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from cucmd.job.job import Job
from cucmd.received_file import ReceivedFile
from cucmd.store import JobFilter, job_sql, open_store
from cucmd.store.list_sql import list_parameters, list_statement

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
FILTERS = {
    "all": JobFilter(),
    "status": JobFilter(status="running"),
    "before": JobFilter(before="a1"),
    "target": JobFilter(target="cucm-pub"),
    "labels": JobFilter(labels={"case": "1", "site": "berlin"}),
}


async def test_transition_writes_two_rows(path: Path, disk, make_job: Callable[..., Job]) -> None:
    queued = make_job(nodes=400)
    running = queued.begin(NOW)
    after = running.replace_node(7, running.nodes[7].begin(NOW, 1), NOW)
    after = replace(after, revision=1)
    async with open_store(path, connect=disk.connect) as store:
        await store.add_job(queued)
        await store.save(queued, running)
        disk.statements.clear()
        await store.save(running, after)
    # Each step of a trigger is traced as the same statement again; another row would be a new one.
    written = [text.split()[0] for text, _ in groupby(disk.statements)]
    assert written == ["BEGIN", "SAVEPOINT", "SELECT", "UPDATE", "INSERT", "RELEASE", "COMMIT"]


async def test_one_statement_writes_all_nodes(
    path: Path, disk, make_job: Callable[..., Job]
) -> None:
    """After each statement, the thread lets others run and has to wait for its turn."""
    running = make_job(nodes=400).begin(NOW)
    async with open_store(path, connect=disk.connect) as store:
        await store.add_job(running)
        await store.save(running, running.cancel(NOW))
    written = set(disk.statements)
    assert len([text for text in written if "INTO target" in text]) == 1
    assert len([text for text in written if "INSERT INTO node" in text]) == 2


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        *((list_statement(which), list_parameters(which, 20)) for which in FILTERS.values()),
        (job_sql.IDS_WITH_PREFIX, ("a", "b")),
        (job_sql.UNCLOSED, ()),
        (job_sql.UNFINISHED, ()),
    ],
)
async def test_lists_use_an_index(path: Path, statement: str, parameters: object) -> None:
    async with open_store(path):
        pass
    with closing(sqlite3.connect(path)) as raw:
        plan = " ".join(
            row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        )
    # The list of all jobs scans the primary key from its end, and LIMIT ends the scan.
    ends_early = statement == list_statement(JobFilter())
    assert "SCAN job" not in plan or "INDEX job_open" in plan or ends_early, plan
    assert ("ORDER BY" in plan) == (statement == job_sql.UNFINISHED), plan


async def test_write_is_not_kept_in_memory(path: Path, make_job: Callable[..., Job]) -> None:
    """The next write can be hours away, and the files of a node take megabytes."""

    class Name(str):
        pass

    gone, token = trio.Event(), trio.lowlevel.current_trio_token()
    async with open_store(path) as store:
        await store.add_job(make_job("1"))
        name = Name("10.0.0.1/files/a")
        kept = weakref.ref(name, lambda _: token.run_sync_soon(gone.set))
        await store.save_files("1", [ReceivedFile("10.0.0.1", name, 4)])
        del name
        with trio.fail_after(5):  # the thread forgets the write after its answer
            await gone.wait()
        assert kept() is None
