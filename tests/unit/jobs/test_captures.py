"""A job that captures packets: its nodes begin together; where one may still run is on record."""

from pathlib import Path, PurePath

import trio
from trio.testing import MockClock

from cucmd.failure import Code
from cucmd.job.capture import Captured
from cucmd.job.node import Failed
from cucmd.node.ports import READY_WITHIN, NodeTask, Report
from cucmd.received_file import ReceivedFile
from rig.supervised import (
    NOW,
    fail_calls,
    statuses,
    supervisor_harness,
)
from unit.jobs.captures import (
    NAME,
    captures,
    closed,
    ready_after,
    start,
    still_running,
)


async def test_node_with_two_names_captures_once(tmp_path: Path, autojump_clock: MockClock) -> None:
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


async def test_cancel_returns_before_capture_ends(
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


async def test_unsaved_capture_is_not_begun(tmp_path: Path, autojump_clock: MockClock) -> None:
    typed: list[str] = []

    async def begins(task: NodeTask, report: Report) -> tuple[str, ...]:
        fail_calls(harness.store, "save")
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


async def test_complete_files_are_recorded_early(tmp_path: Path) -> None:
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
