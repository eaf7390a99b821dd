"""A restart resumes or ends each job, independent of others, and puts its files on record."""

import gc
import os
import shutil
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
import trio

from cucmd.cases import files as case_files
from cucmd.failure import Code
from cucmd.job.collect import Collect
from cucmd.job.discover import Discover
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.timeouts import Timeouts
from cucmd.jobs import recovery
from cucmd.jobs.job_errors import UnknownJob
from cucmd.jobs.manifest import write_manifest
from cucmd.jobs.recovery import recover_files
from cucmd.node.ports import NodeTask, Report
from cucmd.node_name import InvalidNode
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed, open_store
from rig.inspection import manifest
from rig.scripted_target import Target
from rig.supervised import NOW, hang, statuses, supervisor_harness


async def test_recovery_interrupts_a_job_without_its_password(tmp_path: Path) -> None:
    async with open_store(tmp_path / "cucmd.db") as store:
        job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, (Node("a"), Node("b")))
        await store.add_job(job)
        after = job.begin(NOW).replace_node(0, Node("a").begin(NOW, 1).succeed(NOW), NOW)
        await store.save(job, after)
    async with supervisor_harness(tmp_path) as harness:
        await harness.supervisor.recover(lambda job: None)
        job = await harness.ended(job.job_id)
        assert statuses(job) == ["succeeded", "failed"]
        assert job.nodes[1].state.failure.code == Code.INTERRUPTED
        assert (job.status, harness.contacted) == ("partial", [])


async def test_recovery_records_the_files_of_a_job_that_ended_just_before_the_stop(
    tmp_path: Path,
) -> None:
    job_id = await cut_off(tmp_path)
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        (row,) = await again.store.files(job_id)
    assert (row.path, row.size, row.complete) == ("a/files/192.0.2.9/core.1", 4, False)
    assert "core.1" in (tmp_path / "jobs" / job_id / "manifest.json").read_text()


async def test_a_job_that_was_stopped_has_all_of_its_files_in_the_manifest(
    tmp_path: Path,
) -> None:
    """It ran when the daemon was stopped for an upgrade."""
    job_id = "0a1b2c3d4e5f"
    job = Job(job_id, NOW, Collect(("x",)), Timeouts(), 8, (Node("a"), Node("b"), Node("c")))
    listed, unlisted = (
        ReceivedFile(node, f"{node}/files/core.1", 4, "00", closed=True, complete=True)
        for node in ("a", "b")
    )
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)
        after = job.begin(NOW).replace_node(0, Node("a").begin(NOW, 1).succeed(NOW), NOW)
        await store.save(job, after)
        await store.save_files(job_id, [listed, unlisted])
    folder = tmp_path / "jobs" / job_id
    folder.mkdir(parents=True)
    line = {"node": "a", "path": listed.path, "size": 4, "sha256": "00", "complete": True}

    async def brings_one(task: NodeTask, report: Report) -> tuple[str, ...]:
        target = Target(task.node, f"{task.folder.name}/files/")
        report.upload_target(target)
        target.store("core.2", 4)
        report.complete_files(target.files())
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"c": brings_one}
        await harness.supervisor.recover(harness.tasks)
        assert (await harness.ended(job_id)).status == "succeeded"
    assert [file["path"] for file in manifest(folder)] == [
        "a/files/core.1",
        "b/files/core.1",
        "c/files/core.2",
    ]
    assert manifest(folder)[0] == line


async def test_what_a_restart_could_not_put_on_record_is_tried_again_at_the_end(
    tmp_path: Path,
) -> None:
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, (Node("a"), Node("b")))
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)
    folder = tmp_path / "jobs" / job.job_id
    push(folder / "a")

    async with supervisor_harness(tmp_path) as harness:
        save, failures = harness.store.save_files, [StoreFailed("the disk is full")]

        async def fails_once(*arguments: object) -> None:
            if failures:
                raise failures.pop()
            await save(*arguments)

        harness.store.save_files = fails_once
        await harness.supervisor.recover(harness.tasks)
        await harness.ended(job.job_id)
        closed = await harness.supervisor.wait_closed(job.job_id)
    assert (closed.status, closed.closed) == ("succeeded", True)
    assert [file["path"] for file in manifest(folder)] == ["a/files/192.0.2.9/core.1"]


@pytest.mark.long
async def test_a_restart_has_one_page_and_one_node_in_memory(tmp_path: Path) -> None:
    """The job has 25 nodes; all names together were 2 GB for a large one."""
    nodes = tuple(Node(f"n{number:02}") for number in range(25))
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, nodes)

    def files_of(node: str) -> list[ReceivedFile]:
        paths = [f"{node}/files/{number:06}{'x' * 400}" for number in range(1000)]
        return [ReceivedFile(node, path, 4, path[:64], complete=True) for path in paths]

    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)
        for node in nodes:
            await store.save_files(job.job_id, files_of(node.node))
            push(tmp_path / node.node)
        names = sum(len(file.path) for node in nodes for file in files_of(node.node))
        gc.collect()
        tracemalloc.start()
        try:
            recovered = await recover_files(store, job, tmp_path)
            await write_manifest(store, job.job_id, tmp_path)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(await store.files(job.job_id, limit=99_999)) == 25 * 1001
    assert recovered.recorded
    assert recovered.received == {node.node: 4 * 1001 for node in nodes}
    assert len(manifest(tmp_path)) == 25 * 1001
    assert most < names


@pytest.mark.parametrize("page", [1, 2, 3, 4, 5, 100])
async def test_files_are_recovered_alike_whatever_the_size_of_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(case_files, "PAGE", page)
    nodes = tuple(Node(name) for name in ("b", "a", "c", "d"))
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, nodes)
    stored = [
        ReceivedFile(node, f"{node}/files/{name}", 4, "00", complete=True)
        for node in ("a", "c")
        for name in ("0", "z")
    ]
    for node in ("a", "b", "c"):
        push(tmp_path / node)
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)
        await store.save_files(job.job_id, stored)
        recovered = await recover_files(store, job, tmp_path)
        rows = await store.files(job.job_id)
        again = await recover_files(store, job, tmp_path)
    assert recovered == again == ({"a": 12, "b": 4, "c": 12}, True)
    assert [(row.path[0], row.complete) for row in rows] == [
        *(("a", done) for done in (True, False, True)),
        ("b", False),
        *(("c", done) for done in (True, False, True)),
    ]


def push(folder: Path) -> None:
    part = folder / "files" / "192.0.2.9" / "core.1"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"part")


async def test_the_files_of_every_job_that_was_stopped_in_its_grace_are_recorded(
    tmp_path: Path,
) -> None:
    """However many others have ended since."""
    killed = tmp_path / "as a kill left it"
    closed = trio.Event()

    async def closes_slowly(task: NodeTask, report: Report) -> tuple[str, ...]:
        push(task.folder)
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await closed.wait()
        raise AssertionError

    async with supervisor_harness(tmp_path / "state") as harness:
        harness.behaviours = {"slow": closes_slowly}
        slow = await harness.start("slow")
        await harness.running(slow)
        await harness.supervisor.cancel(slow, None)
        for _ in range(20):
            await harness.ended(await harness.start("a"))
        shutil.copytree(tmp_path / "state", killed)
        closed.set()
    async with supervisor_harness(killed) as again:
        await again.supervisor.recover(again.tasks)
        (row,) = await again.store.files(slow)
        assert await again.store.unclosed_jobs() == ()
    assert (row.path, row.complete) == ("slow/files/192.0.2.9/core.1", False)


async def test_a_file_that_appears_after_a_job_was_closed_is_not_recorded(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await harness.start("a")
        await harness.ended(job_id)
    push(tmp_path / "jobs" / job_id / "a")
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        assert await again.store.files(job_id) == ()


async def test_a_folder_that_cannot_be_read_is_read_again_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await cut_off(tmp_path)
    forbid_looking(monkeypatch)
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        (record,) = [one for one in caplog.records if f"job {job_id}: " in one.getMessage()]
        assert "Permission denied" in record.getMessage()
    monkeypatch.undo()
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        assert len(await again.store.files(job_id)) == 1


def forbid_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: str) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", forbidden)


async def cut_off(tmp_path: Path) -> str:
    """Stores a job that was stopped with its end saved and a file that is not on record."""
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, (Node("a"),))
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)
        await store.save(job, job.cancel(NOW))
    push(tmp_path / "jobs" / job.job_id / "a")
    return job.job_id


async def test_a_resumed_job_stays_open_if_its_directory_could_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, (Node("a"), Node("b")))
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)
        await store.save(job, job.cancel(NOW, frozenset({0})))
    push(tmp_path / "jobs" / job.job_id / "a")
    forbid_looking(monkeypatch)
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        await again.ended(job.job_id)
    monkeypatch.undo()
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        (row,) = await again.store.files(job.job_id)
        assert (row.node, row.complete) == ("a", False)
        assert await again.store.unclosed_jobs() == ()


async def test_a_job_whose_row_contradicts_itself_is_left_alone(tmp_path: Path) -> None:
    job = Job("bad1", NOW, Collect(("x",)), Timeouts(), 8, (Node("a"),))
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)
        await store.save(job, job.cancel(NOW))
    with closing(sqlite3.connect(tmp_path / "cucmd.db")) as raw, raw:
        raw.execute("UPDATE job SET status = 'queued'")
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        assert (again.supervisor.live_count, again.contacted) == (0, [])


async def test_a_damaged_row_of_one_job_does_not_prevent_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended = await cut_off(tmp_path)
    async with open_store(tmp_path / "cucmd.db") as store:
        for name in ("bad1", "good1"):
            await store.add_job(Job(name, NOW, Collect(("x",)), Timeouts(), 8, (Node("a"),)))
    with closing(sqlite3.connect(tmp_path / "cucmd.db")) as raw, raw:
        raw.execute("UPDATE job SET detail = '{' WHERE job_id IN ('bad1', ?)", (ended,))
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        assert (await again.ended("good1")).status == "succeeded"
        with pytest.raises(UnknownJob):
            await again.supervisor.find("bad1")
    errors = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    for name in ("bad1", ended):
        assert any(f"job {name} " in said for said in errors)


@pytest.mark.parametrize("errors", [1, 2, 3, 9])
async def test_a_job_whose_files_the_store_cannot_read_is_looked_at_again_and_else_ends(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, errors: int
) -> None:
    """One error is none; where it stays, the job ends, and its files are looked at then; if that
    fails too, the next start does.
    """
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, (Node("a"),))
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)
        await store.save(job, job.begin(NOW))
    push(tmp_path / "jobs" / job.job_id / "a")
    async with supervisor_harness(tmp_path) as harness:
        read, failures = harness.store.files, [StoreFailed("disk I/O error")] * errors

        async def fails(*arguments: object) -> tuple[ReceivedFile, ...]:
            if failures:
                raise failures.pop()
            return await read(*arguments)

        harness.store.files = fails
        await harness.supervisor.recover(harness.tasks)
        ended = await harness.ended(job.job_id)
        while harness.supervisor.live_count:
            await trio.testing.wait_all_tasks_blocked(0.01)
        kept = errors <= len(recovery.PAUSES)
        assert (ended.status, harness.contacted) == (
            ("succeeded", ["a"]) if kept else ("failed", [])
        )
        closed = errors <= len(recovery.PAUSES) + 1
        assert await harness.store.unclosed_jobs() == (() if closed else (job.job_id,))
        if not kept:
            assert ended.nodes[0].state.failure.code == Code.INTERRUPTED
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        assert await again.store.unclosed_jobs() == ()
        (row,) = await again.store.files(job.job_id)
        assert (row.node, row.complete) == ("a", False)


async def test_a_job_that_cannot_be_planned_ends_as_interrupted(tmp_path: Path) -> None:
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, (Node("a"),))
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)

    def damaged(_job: Job) -> list[NodeTask]:
        raise InvalidNode("no name of a node")

    async with supervisor_harness(tmp_path) as harness:
        await harness.supervisor.recover(damaged)
        found = await harness.ended(job.job_id)
    assert found.nodes[0].state.failure.code == Code.INTERRUPTED


async def test_after_a_restart_each_job_goes_on_with_its_own_kind_of_work(tmp_path: Path) -> None:
    works: dict[str, object] = {}

    async def note(task: NodeTask, report: Report) -> tuple[str, ...]:
        works[task.node] = task.work
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": hang, "b": hang}
        asking = await harness.start("a", work=Discover(), credential="ops", resumable=True)
        collecting = await harness.start("b", credential="ops", resumable=True)
        await harness.running(asking)
        await harness.running(collecting)
    async with supervisor_harness(tmp_path) as again:
        again.behaviours = {"a": note, "b": note}
        await again.supervisor.recover(again.tasks)
        assert statuses(await again.ended(asking)) == ["succeeded"]
        assert statuses(await again.ended(collecting)) == ["succeeded"]
    assert works == {"a": Discover(), "b": Collect(("syslog",))}
