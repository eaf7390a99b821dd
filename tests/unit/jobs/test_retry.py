"""Nodes of a job that has ended are tried again, in the same job."""

from functools import partial
from pathlib import Path

import pytest

from cucmd.failure import Code
from cucmd.job.job import Job
from cucmd.job.node import ImpossibleTransition
from cucmd.node.ports import NodeTask, Report
from cucmd.received_file import ReceivedFile
from cucmd.store import StartKey, StoreFailed
from rig.scripted_target import Target
from rig.supervised import (
    SupervisorHarness,
    fail_calls,
    fails_with,
    hang,
    statuses,
    supervisor_harness,
)


async def failed_job(harness: SupervisorHarness, **fields: object) -> str:
    """Makes a job in which a has succeeded and b has failed."""
    harness.behaviours = {"b": fails_with(Code.CONNECTION_LOST)}
    job_id = await harness.start("a", "b", **fields)
    job = await harness.ended(job_id)
    assert statuses(job) == ["succeeded", "failed"]
    return job_id


async def retry(
    harness: SupervisorHarness, job_id: str, *positions: int, key: StartKey | None = None
) -> Job:
    return await harness.supervisor.retry(job_id, harness.again(*positions or (1,)), key)


async def test_only_failed_nodes_are_tried(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await failed_job(harness)
        before = await harness.supervisor.wait_closed(job_id)
        harness.contacted.clear()
        harness.behaviours = {}
        again = await retry(harness, job_id)
        assert (again.status, statuses(again)) == ("queued", ["succeeded", "pending"])
        job = await harness.ended(job_id)
        assert (job.status, harness.contacted) == ("succeeded", ["b"])
        assert job.nodes[0] == before.nodes[0]
        assert (job.nodes[1].attempt, job.nodes[1].retries, job.retries) == (2, 1, 1)
        assert job.revision > before.revision
        closed = await harness.supervisor.wait_closed(job_id)
        assert (await harness.store.load(job_id)) == closed


async def test_key_retries_once(tmp_path: Path) -> None:
    key = StartKey(1000, "again", "d")
    async with supervisor_harness(tmp_path) as harness:
        job_id = await failed_job(harness)
        await retry(harness, job_id, key=key)
        assert (await retry(harness, job_id, key=key)).job_id == job_id
        job = await harness.ended(job_id)
        await harness.supervisor.wait_closed(job_id)
        assert (await retry(harness, job_id, key=key)).retries == job.retries == 1


async def test_refused_retry_announces_close(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await failed_job(harness)
        await harness.supervisor.wait_closed(job_id)
        closed: list[str] = []
        harness.supervisor.on_closed = closed.append
        with pytest.raises(ImpossibleTransition):
            await retry(harness, job_id, 0)
        assert closed == [job_id]


async def test_unsaved_retry_has_no_effect(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await failed_job(harness)
        before = await harness.supervisor.wait_closed(job_id)
        fail_calls(harness.store, "reopen_job")
        with pytest.raises(StoreFailed):
            await retry(harness, job_id)
        assert await harness.supervisor.find(job_id) == before
        await retry(harness, job_id)
        await harness.ended(job_id)


@pytest.mark.parametrize("resumable", [True, False])
async def test_stop_during_retry(tmp_path: Path, resumable: bool) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await failed_job(harness, resumable=resumable)
        harness.behaviours = {"b": hang}
        await retry(harness, job_id)
        await harness.running(job_id)
    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(lambda job: again.tasks(job) if job.resumable else None)
        job = await again.ended(job_id)
        assert statuses(job) == ["succeeded", "succeeded" if resumable else "failed"]
        assert (await again.supervisor.wait_closed(job_id)).retries == 1


async def test_files_have_their_attempt(tmp_path: Path) -> None:
    async def sends(task: NodeTask, report: Report) -> tuple[str, ...]:
        path = f"{task.node}/files/{task.first_attempt}.txt"
        file = ReceivedFile(task.node, path, 1, "00", closed=True)
        target = Target()
        target.came = [file]
        report.upload_target(target)
        report.complete_files([file])
        if task.first_attempt == 1 and task.node == "b":
            return await fails_with(Code.STALLED)(task, report)
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": sends, "b": sends}
        job_id = await harness.start("a", "b")
        await harness.ended(job_id)
        await retry(harness, job_id)
        await harness.ended(job_id)
        files = await harness.store.files(job_id)
        assert [(file.path, file.attempt) for file in files] == [
            ("a/files/1.txt", 1),
            ("b/files/1.txt", 1),
            ("b/files/2.txt", 2),
        ]


async def test_restart_counts_bytes_of_retry(
    tmp_path: Path,
) -> None:
    async def sends(task: NodeTask, report: Report) -> tuple[str, ...]:
        name, size = f"{task.first_attempt}.txt", 10**task.first_attempt
        (task.folder / "files" / name).write_bytes(b"x" * size)
        target = Target(task.node, f"{task.folder.name}/files/")
        report.upload_target(target)
        target.store(name, size)
        return await (hang if task.first_attempt == 3 else fails_with(Code.STALLED))(task, report)

    figures: list[list[int]] = []

    def counted(harness: SupervisorHarness, job: Job) -> list[NodeTask | None]:
        figures.append([node.bytes_received for node in job.nodes])
        return harness.tasks(job)

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"b": sends}
        job_id = await harness.start("a", "b", resumable=True)
        await harness.ended(job_id)
        await retry(harness, job_id)
        await harness.ended(job_id)
        await retry(harness, job_id)
        await harness.running(job_id)
    for _ in range(2):
        async with supervisor_harness(tmp_path) as again:
            again.behaviours = {"b": hang}
            await again.supervisor.recover(partial(counted, again))
            await again.running(job_id)
    assert figures == [[0, 1000], [0, 1000]]
