"""A job that captures packets: its nodes begin together; where one may still run is on record."""

from pathlib import Path, PurePath

import trio
from trio.testing import MockClock

from cucmd.cases.archive import Archive
from cucmd.failure import Code
from cucmd.job.capture import Captured
from cucmd.job.job import Job
from cucmd.job.node import Failed
from cucmd.job.timeouts import Timeouts
from cucmd.node.ports import READY_WITHIN, NodeTask, Report
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed
from rig.supervised import (
    NOW,
    fails_with,
    statuses,
    supervisor_harness,
)
from unit.jobs.captures import (
    FILE,
    NAME,
    captures,
    closed,
    ready_after,
    start,
    still_running,
)


async def test_all_nodes_begin_with_the_last(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0), "b": ready_after(40), "c": ready_after(7)}
        began = trio.current_time()
        job = await harness.ended(await start(harness, "a", "b", "c"))
    assert job.status == "succeeded"
    assert {node.notes for node in job.nodes} == {(f"at {began + 100:.0f}",)}


async def test_nodes_that_fail_or_are_cancelled_hold_nobody(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {
            "a": ready_after(0),
            "b": fails_with(Code.AUTH_FAILED),
            "c": ready_after(1000),
        }
        began = trio.current_time()
        job_id = await start(harness, "a", "b", "c")
        await harness.until(job_id, lambda job: statuses(job) == ["running", "failed", "running"])
        await harness.supervisor.cancel(job_id, ["c"])
        job = await harness.ended(job_id)
    assert statuses(job) == ["succeeded", "failed", "cancelled"]
    assert trio.current_time() - began < READY_WITHIN


async def test_a_late_node_does_not_hold_the_others(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0), "b": ready_after(READY_WITHIN + 30)}
        job = await harness.ended(await start(harness, "a", "b"))
    assert [node.notes for node in job.nodes][1] == ("late",)
    assert still_running(job) == [False, False]


async def test_a_node_under_two_names_captures_once_and_holds_nobody(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def one_address(host: str, port: int) -> tuple[str, int]:
        return "192.0.2.9" if host in ("a", "also-a") else host, port

    async with supervisor_harness(tmp_path, locate=one_address) as harness:
        harness.behaviours = {"a": ready_after(0), "b": ready_after(5)}
        began = trio.current_time()
        job = await harness.ended(await start(harness, "a", "also-a", "b"))
    assert sorted(harness.contacted) == ["a", "b"]
    assert statuses(job) == ["succeeded", "failed", "succeeded"]
    assert trio.current_time() - began < READY_WITHIN
    refused = job.nodes[1]
    assert isinstance(refused.state, Failed)
    assert refused.state.failure.code == Code.COMMAND_REFUSED
    # A retry captures under another name: the first one's file may still be on the node.
    assert (refused.attempt, refused.result) == (1, None)


async def test_a_cancel_returns_before_the_capture_has_ended_and_its_end_is_on_record(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0, stops_within=40)}
        job_id = await start(harness, "a")
        await captures(harness, job_id)
        began = trio.current_time()
        job, _ = await harness.supervisor.cancel(job_id, None)
        assert trio.current_time() - began < 1
        assert (job.status, still_running(job)) == ("cancelled", [True])
        job = await closed(harness, job_id)
        assert 40 <= trio.current_time() - began < 45
        assert (job.status, still_running(job)) == ("cancelled", [False])
        stored = await harness.store.load(job_id)
        assert stored is not None
        assert still_running(stored) == [False]


async def test_the_deadline_of_the_job_ends_it_on_the_node(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0, stops_within=10)}
        job = await closed(harness, await start(harness, "a", timeouts=Timeouts(job=30)))
    assert isinstance(job.nodes[0].state, Failed)
    assert job.nodes[0].state.failure.code == Code.JOB_TIMEOUT
    assert still_running(job) == [False]


async def test_the_deadline_of_the_node_ends_it_on_the_node(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0, stops_within=10)}
        job = await harness.ended(await start(harness, "a", timeouts=Timeouts(node=30)))
    assert isinstance(job.nodes[0].state, Failed)
    assert job.nodes[0].state.failure.code == Code.NODE_TIMEOUT
    assert still_running(job) == [False]


async def test_that_it_may_run_is_in_the_store_before_it_does(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    stored: list[Job | None] = []

    async def begins(task: NodeTask, report: Report) -> tuple[str, ...]:
        report.result(Captured(NAME, NOW, running=True))
        await report.wait_saved()
        stored.append(await harness.store.load(task.job_id))
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": begins}
        await harness.ended(await start(harness, "a"))
    assert stored[0] is not None
    assert still_running(stored[0]) == [True]


async def test_a_node_whose_capture_cannot_be_saved_fails(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    typed: list[str] = []

    async def begins(task: NodeTask, report: Report) -> tuple[str, ...]:
        save = harness.store.save

        async def refuse(before: Job, after: Job) -> None:
            harness.store.save = save
            await trio.lowlevel.checkpoint()
            raise StoreFailed("database or disk is full")

        harness.store.save = refuse
        report.result(Captured(NAME, NOW, running=True))
        try:
            await report.wait_saved()
            typed.append(task.node)
        finally:
            report.result(Captured(NAME, NOW, NOW, how="failed"))
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": begins}
        job = await harness.ended(await start(harness, "a"))
    assert typed == []
    assert isinstance(job.nodes[0].state, Failed)
    assert "disk is full" in job.nodes[0].state.failure.message


async def test_a_retry_captures_anew_on_the_nodes_that_failed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0), "b": fails_with(Code.CONNECTION_LOST)}
        job_id = await start(harness, "a", "b")
        await closed(harness, job_id)
        harness.behaviours["b"] = ready_after(3)
        again = await harness.supervisor.retry(job_id, harness.again(1))
        assert again.nodes[1].result is None
        job = await closed(harness, job_id)
        attempts = [node.attempt for node in job.nodes]
    assert (job.status, attempts) == ("succeeded", [1, 2])
    assert (sorted(harness.contacted), harness.contacted[-1]) == (["a", "b", "b"], "b")


class Uploaded:
    """An upload target with the files of a capture, of which only the first was closed."""

    refusal = None
    files_received, bytes_received, last_activity = 1, 24, 0.0

    def __init__(self, task: NodeTask) -> None:
        prefix = f"{task.folder.name}/files"
        self._files = [
            ReceivedFile(task.node, f"{prefix}/{NAME}.cap", 24, "9" * 64, closed=True),
            ReceivedFile(task.node, f"{prefix}/{NAME}1.cap", 7),
        ]

    def files(self) -> list[ReceivedFile]:
        return self._files


async def test_what_is_complete_can_be_put_on_record_before_its_node_ends(tmp_path: Path) -> None:
    early: list[tuple[str, bool]] = []

    async def files_early(task: NodeTask, report: Report) -> tuple[str, ...]:
        target = Uploaded(task)
        report.upload_target(target)
        report.complete_files(target.files())
        await report.record_files()
        stored = await harness.store.files(task.job_id)
        early.extend((PurePath(file.path).name, file.complete) for file in stored)
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = files_early
        job = await closed(harness, await start(harness, "a"))
        stored = await harness.store.files(job.job_id)
    assert early == [(f"{NAME}.cap", True)]
    assert [file.complete for file in stored] == [True, False]


async def test_its_file_is_in_an_export_with_what_was_captured(tmp_path: Path) -> None:
    async def captures_one(task: NodeTask, report: Report) -> tuple[str, ...]:
        path = task.folder / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 24)
        report.result(Captured(NAME, NOW, NOW, 0, "duration"))
        report.add_own_file(
            ReceivedFile(
                task.node, f"{task.folder.name}/{FILE}", 24, "9" * 64, closed=True, complete=True
            )
        )
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = captures_one
        job = await harness.ended(await start(harness, "a"))
        directory = harness.supervisor.directory(job.job_id)
        archive = Archive(harness.store, job, directory, nodes=None, incomplete=False)
        found = await archive.measure()
        tar = b"".join([part.head async for some in archive.parts() for part in some])
    assert found.files == 1
    assert b"Packets captured by cucmd" in tar
    assert b"at most 100000 packets" in tar
    assert b"0 packets captured" in tar
    assert b'"how":"duration"' in tar
