"""A restart resumes or ends each job, independent of others, and puts its files on record."""

import errno
import gc
import os
import shutil
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from cucmd.failure import Code
from cucmd.job.collect import Collect
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
from cucmd.store import open_store
from rig.inspection import manifest
from rig.supervised import NOW, fail_calls, statuses, supervisor_harness


async def stored(tmp_path: Path, *nodes: str, change: Callable[[Job], Job] | None = None) -> Job:
    """Stores a job as a stop of the daemon has left it, with `change` saved last."""
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, tuple(map(Node, nodes)))
    async with open_store(tmp_path / "cucmd.db") as store:
        await store.add_job(job)
        if change is not None:
            await store.save(job, change(job))
    return job


async def test_job_without_password_is_interrupted(tmp_path: Path) -> None:
    done = Node("a").begin(NOW, 1).succeed(NOW)
    job = await stored(
        tmp_path, "a", "b", change=lambda job: job.begin(NOW).replace_node(0, done, NOW)
    )
    async with supervisor_harness(tmp_path) as harness:
        await harness.supervisor.recover(lambda job: None)
        job = await harness.ended(job.job_id)
        assert statuses(job) == ["succeeded", "failed"]
        assert job.nodes[1].state.failure.code == Code.INTERRUPTED
        assert (job.status, harness.contacted) == ("partial", [])


async def test_other_nodes_go_on(tmp_path: Path) -> None:
    job = await stored(tmp_path, "a", "b")
    async with supervisor_harness(tmp_path) as harness:
        await harness.supervisor.recover(lambda job: [None, harness.task(job, job.nodes[1])])
        job = await harness.ended(job.job_id)
        assert (statuses(job), harness.contacted) == (["failed", "succeeded"], ["b"])
        assert job.nodes[0].state.failure == recovery.NO_LOGIN


async def test_only_complete_files_are_counted(tmp_path: Path) -> None:
    """The figures that were saved last may count a file whose command did not end."""
    counted = replace(Node("a").begin(NOW, 1), files_received=2, bytes_received=9)
    job = await stored(
        tmp_path, "a", change=lambda job: job.begin(NOW).replace_node(0, counted, NOW)
    )
    push(tmp_path / "jobs" / job.job_id / "a")
    async with open_store(tmp_path / "cucmd.db") as store:
        whole = ReceivedFile("a", "a/files/whole", 5, complete=True, attempt=1)
        await store.save_files(job.job_id, [whole])
    async with supervisor_harness(tmp_path) as harness:
        await harness.supervisor.recover(lambda job: None)
        (node,) = (await harness.ended(job.job_id)).nodes
    assert (node.files_received, node.bytes_received) == (1, 5 + len("part"))


async def test_unsaved_files_are_tried_again(
    tmp_path: Path,
) -> None:
    job = await stored(tmp_path, "a", "b")
    folder = tmp_path / "jobs" / job.job_id
    push(folder / "a")

    async with supervisor_harness(tmp_path) as harness:
        fail_calls(harness.store, "save_files")
        await harness.supervisor.recover(harness.tasks)
        await harness.ended(job.job_id)
        closed = await harness.supervisor.wait_closed(job.job_id)
    assert (closed.status, closed.closed) == ("succeeded", True)
    assert [file["path"] for file in manifest(folder)] == ["a/files/192.0.2.9/core.1"]


@pytest.mark.long
async def test_one_node_is_in_memory(tmp_path: Path) -> None:
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


def push(folder: Path) -> None:
    part = folder / "files" / "192.0.2.9" / "core.1"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"part")


async def test_files_of_job_killed_in_grace(
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


async def test_unreadable_folder_is_read_next_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await cut_off(tmp_path)
    files = tmp_path / "jobs" / job_id / "a" / "files"
    kept = files.rename(files.with_name("kept"))
    files.symlink_to(files)
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        (record,) = [one for one in caplog.records if f"job {job_id}: " in one.getMessage()]
        assert os.strerror(errno.ELOOP) in record.getMessage()
    files.unlink()
    kept.rename(files)
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        assert len(await again.store.files(job_id)) == 1


async def cut_off(tmp_path: Path) -> str:
    """Stores a job that was stopped with its end saved and a file that is not on record."""
    job = await stored(tmp_path, "a", change=lambda job: job.cancel(NOW))
    push(tmp_path / "jobs" / job.job_id / "a")
    return job.job_id


async def test_damaged_row_stops_no_other_job(
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
async def test_store_that_fails_at_start(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, errors: int
) -> None:
    """If the error stays, the job ends, and its files are looked at then or at the next start."""
    job = await stored(tmp_path, "a", change=lambda job: job.begin(NOW))
    push(tmp_path / "jobs" / job.job_id / "a")
    async with supervisor_harness(tmp_path) as harness:
        fail_calls(harness.store, "files", errors)
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


async def test_unplannable_job_is_interrupted(tmp_path: Path) -> None:
    job = await stored(tmp_path, "a")

    def damaged(_job: Job) -> list[NodeTask]:
        raise InvalidNode("no name of a node")

    async with supervisor_harness(tmp_path) as harness:
        await harness.supervisor.recover(damaged)
        found = await harness.ended(job.job_id)
    assert found.nodes[0].state.failure.code == Code.INTERRUPTED
