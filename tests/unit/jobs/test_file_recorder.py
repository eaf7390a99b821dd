"""Received files are put on record in the store, after failures too."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd.config import Limits
from cucmd.failure import Code
from cucmd.job.job import Job
from cucmd.node.ports import NodeTask, Report
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed
from rig.scripted_target import DefectiveTarget, Target
from rig.supervised import Behaviour, SupervisorHarness, hang, statuses, supervisor_harness


def brings(files: int, ends: trio.Event | None = None) -> Behaviour:
    """Lets a node push so many files, and end once `ends` is set."""

    async def behaviour(task: NodeTask, report: Report) -> tuple[str, ...]:
        target = Target(task.node, f"{task.folder.name}/files/")
        report.upload_target(target)
        for number in range(files):
            target.store(f"192.0.2.9/core.{number}", 4)
        report.complete_files(target.files())
        if ends is not None:
            await ends.wait()
        return ()

    return behaviour


async def recorded(harness: SupervisorHarness, job_id: str) -> list[str]:
    """Returns the nodes that the store has files of."""
    return sorted({file.node for file in await harness.store.files(job_id)})


def ended(job: Job) -> list[str]:
    return sorted(node.node for node in job.nodes if node.settled)


class Saves:
    """Counts the saves of the store. The next `failing` of them fail."""

    def __init__(self, store: Store, failing: int = 0) -> None:
        self.made: list[str] = []
        self.failing = failing
        self._save = store.save_files
        store.save_files = self

    async def __call__(self, job_id: str, files: Sequence[ReceivedFile]) -> None:
        self.made += sorted({file.node for file in files})
        if self.failing:
            self.failing -= 1
            await trio.lowlevel.checkpoint()
            raise StoreFailed("database or disk is full")
        await self._save(job_id, files)


async def test_each_node_is_saved_once(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        saves, ends = Saves(harness.store), trio.Event()
        names = [f"n{number:02}" for number in range(40)]
        harness.behaviours = dict.fromkeys(names, brings(2, ends))
        job_id = await harness.start(*names, concurrency=40)
        await harness.running(job_id, nodes=40)
        ends.set()
        await harness.ended(job_id)
        assert sorted(saves.made) == names
        assert len(await harness.store.files(job_id)) == 80


async def test_next_node_saves_unsaved_files(
    tmp_path: Path,
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        saves = Saves(harness.store, failing=1)
        harness.behaviours = {"a": brings(1), "b": brings(1)}
        job = await harness.ended(await harness.start("a", "b", concurrency=1))
        assert statuses(job) == ["failed", "succeeded"]
        assert job.nodes[0].state.failure.code == Code.INTERNAL
        assert sorted(saves.made) == ["a", "a", "b"]
        assert {file.node for file in await harness.store.files(job.job_id)} == {"a", "b"}
        assert await recorded(harness, job.job_id) == ["a", "b"]


async def test_full_disk_is_retried_at_end(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        saves = Saves(harness.store, failing=4)
        harness.behaviours["a"] = brings(1)
        job_id = await harness.start("a")
        assert await harness.closed() == ()
        assert (saves.failing, await recorded(harness, job_id)) == (0, ["a"])
        assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1


async def test_full_disk_delays_no_other_job(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with supervisor_harness(tmp_path, Limits(jobs=1)) as harness:
        Saves(harness.store, failing=1_000_000)
        harness.behaviours = {"a": brings(1), "d": hang}
        job_id = await harness.start("a")
        await harness.ended(job_id)
        assert harness.supervisor.live_count == 1
        with trio.fail_after(20):
            await harness.running(await harness.start("d"))


async def test_stop_does_not_wait_for_space(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with supervisor_harness(tmp_path) as harness:
        Saves(harness.store, failing=1_000_000)
        harness.behaviours["a"] = brings(1)
        job_id = await harness.start("a")
        await harness.ended(job_id)
        with trio.fail_after(20):
            await harness.supervisor.drain()
        assert await recorded(harness, job_id) == []
    left = tmp_path / "jobs" / job_id / "a" / "files" / "core.0"
    left.write_bytes(b"part")
    async with supervisor_harness(tmp_path) as again:
        assert await again.store.unclosed_jobs() == (job_id,)
        await again.supervisor.recover(again.tasks)
        assert await recorded(again, job_id) == ["a"]
        assert await again.store.unclosed_jobs() == ()


async def test_defect_leaves_job_unclosed(tmp_path: Path) -> None:
    ends = trio.Event()

    async def work(task: NodeTask, report: Report) -> tuple[str, ...]:
        report.upload_target(DefectiveTarget())
        await ends.wait()
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": brings(1), "b": work}
        job_id = await harness.start("a", "b")
        await harness.until(job_id, lambda job: ended(job) == ["a"])
        ends.set()
        assert await harness.closed() == (job_id,)
        assert await recorded(harness, job_id) == ["a"]
