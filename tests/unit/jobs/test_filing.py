"""Received files are put on record in the store and in the manifest, after failures too.

Time is real here, because the store and the manifest work in threads: a clock that jumps while all
tasks are blocked would jump while they write.
"""

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from cucmd.config import Limits
from cucmd.failure import Code
from cucmd.job.job import Job
from cucmd.jobs import filing
from cucmd.jobs.filing import Manifest
from cucmd.node.ports import NodeTask, Report
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed
from rig import inspection
from rig.scripted_target import Target
from rig.supervised import Behaviour, SupervisorHarness, hang, statuses, supervisor_harness


def brings(files: int, ends: trio.Event | None = None) -> Behaviour:
    """Lets a node push so many files, and end once `ends` is set."""

    async def behaviour(task: NodeTask, report: Report) -> tuple[str, ...]:
        target = Target(task.node, f"{task.folder.name}/files/")
        report.upload_target(target)
        for number in range(files):
            target.store(f"192.0.2.9/core.{number}", 4)
        report.complete(target.files())
        if ends is not None:
            await ends.wait()
        return ()

    return behaviour


def listed(harness: SupervisorHarness, job_id: str) -> list[str]:
    """Returns the nodes that the manifest names."""
    found = inspection.manifest(harness.tmp_path / "jobs" / job_id)
    return sorted({file["node"] for file in found})


def ended(job: Job) -> list[str]:
    return sorted(node.node for node in job.nodes if node.settled)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that could not be put on record are tried again at once."""
    monkeypatch.setattr(filing, "CATCH_UP_AFTER", 0.01)


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


class Appends:
    """Appends to the manifest. The next `failing` of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[list[str]] = []
        self.failing = 0
        self.error = OSError(errno.ENOSPC, "No space left on device")
        self.go = trio.Event()
        self.go.set()
        self.waiting = trio.Event()
        append = Manifest.append

        async def counted(manifest: Manifest, files: Sequence[ReceivedFile]) -> None:
            self.waiting.set()
            await self.go.wait()
            if self.failing:
                self.failing -= 1
                raise self.error
            self.made.append(sorted({file.node for file in files}))
            await append(manifest, files)

        monkeypatch.setattr(Manifest, "append", counted)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lets those that are made meanwhile wait until its end, also where a test fails."""
        self.go, self.waiting = trio.Event(), trio.Event()
        try:
            yield
        finally:
            self.go.set()


@pytest.fixture
def appends(monkeypatch: pytest.MonkeyPatch) -> Appends:
    return Appends(monkeypatch)


async def test_nodes_that_end_together_are_saved_once_each(tmp_path: Path) -> None:
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


async def until_saved(harness: SupervisorHarness, job_id: str, files: int) -> None:
    with trio.fail_after(20):
        while len(await harness.store.files(job_id)) < files:
            pass


async def test_nodes_that_end_while_another_is_listed_share_the_next_append(
    tmp_path: Path, appends: Appends
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        ends = trio.Event()
        names = [f"n{number:02}" for number in range(40)]
        harness.behaviours = {"first": brings(1)} | dict.fromkeys(names, brings(2, ends))
        with appends.held():
            job_id = await harness.start("first", *names, concurrency=41)
            await appends.waiting.wait()
            await harness.running(job_id, nodes=41)
            ends.set()
            await until_saved(harness, job_id, 81)
        await harness.ended(job_id)
        assert [made for made in appends.made if made] == [["first"], names]
        assert listed(harness, job_id) == ["first", *names]


async def test_when_a_node_is_shown_as_ended_its_files_are_on_record(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        names = [f"n{number}" for number in range(5)]
        harness.behaviours = dict.fromkeys(names, brings(3))
        job_id = await harness.start(*names, concurrency=1)
        for number in range(5):
            job = await harness.until(job_id, lambda job, number=number: len(ended(job)) > number)
            assert set(ended(job)) <= set(listed(harness, job_id))


async def test_a_node_is_not_shown_as_ended_before_its_files_are_listed(
    tmp_path: Path, appends: Appends
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = brings(1)
        with appends.held():
            job_id = await harness.start("a")
            await appends.waiting.wait()
            assert len(await harness.store.files(job_id)) == 1
            with trio.fail_after(20):
                await harness.running(job_id)
        assert statuses(await harness.ended(job_id)) == ["succeeded"]


async def test_files_that_could_not_be_saved_are_saved_with_those_of_the_next_node(
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
        assert listed(harness, job.job_id) == ["a", "b"]


async def test_files_that_could_not_be_saved_are_saved_after_the_last_node(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        saves = Saves(harness.store, failing=3)
        harness.behaviours["a"] = brings(1)
        job_id = await harness.start("a")
        assert await harness.closed() == ()
        assert len(saves.made) == 4
        assert [file.node for file in await harness.store.files(job_id)] == ["a"]
        assert listed(harness, job_id) == ["a"]


async def test_a_full_disk_fails_the_node_and_the_next_node_records_its_files(
    tmp_path: Path, appends: Appends
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        appends.failing = 1
        harness.behaviours = {"a": brings(1), "b": brings(1)}
        job = await harness.ended(await harness.start("a", "b", concurrency=1))
        assert statuses(job) == ["failed", "succeeded"]
        assert job.nodes[0].state.failure.code == Code.DISK_FULL
        assert appends.made == [["a", "b"]]
        assert listed(harness, job.job_id) == ["a", "b"]


async def test_files_of_a_full_disk_are_recorded_once_it_has_space(
    tmp_path: Path, appends: Appends, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        appends.failing = 4
        harness.behaviours["a"] = brings(1)
        job_id = await harness.start("a")
        assert await harness.closed() == ()
        assert (appends.failing, listed(harness, job_id)) == (0, ["a"])
        assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1
        assert (await harness.store.load(job_id)).nodes[0].state.failure.code == Code.DISK_FULL


async def test_a_job_that_waits_for_disk_space_does_not_delay_the_next_job(
    tmp_path: Path, appends: Appends
) -> None:
    async with supervisor_harness(tmp_path, Limits(jobs=1)) as harness:
        appends.failing = 1_000_000
        harness.behaviours = {"a": brings(1), "d": hang}
        job_id = await harness.start("a")
        await harness.ended(job_id)
        assert harness.supervisor.live == 1
        with trio.fail_after(20):
            await harness.running(await harness.start("d"))


async def test_a_stop_does_not_wait_for_disk_space_and_the_next_start_records_the_files(
    tmp_path: Path, appends: Appends
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        appends.failing = 1_000_000
        harness.behaviours["a"] = brings(1)
        job_id = await harness.start("a")
        await harness.ended(job_id)
        with trio.fail_after(20):
            await harness.supervisor.drain()
        assert listed(harness, job_id) == []
    appends.failing = 0
    async with supervisor_harness(tmp_path) as again:
        assert await again.store.ended_but_open() == (job_id,)
        await again.supervisor.recover(again.tasks)
        assert listed(again, job_id) == ["a"]
        assert await again.store.ended_but_open() == ()


async def test_a_removed_directory_is_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        ends = trio.Event()
        harness.behaviours["a"] = brings(1, ends)
        job_id = await harness.start("a")
        await harness.running(job_id)
        shutil.rmtree(tmp_path / "jobs" / job_id)
        ends.set()
        with trio.fail_after(20):
            assert await harness.closed() == (job_id,)
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert f"job {job_id}: " in record.getMessage()
    assert "No such file or directory" in record.getMessage()


async def test_the_files_of_a_cancelled_node_are_on_record_once_its_connection_is_closed(
    tmp_path: Path,
) -> None:
    closed = trio.Event()

    async def closes_slowly(task: NodeTask, report: Report) -> tuple[str, ...]:
        await brings(1)(task, report)
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await closed.wait()
        raise AssertionError

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = closes_slowly
        job_id = await harness.start("a")
        await harness.running(job_id)
        await harness.supervisor.cancel(job_id, None)
        seen = statuses(await harness.supervisor.find(job_id))
        closed.set()
        await harness.closed()
        assert seen == ["cancelled"]
        assert listed(harness, job_id) == ["a"]


async def test_after_a_defect_the_files_do_not_count_as_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    async with supervisor_harness(tmp_path) as harness:
        ends = trio.Event()
        harness.behaviours = {"a": brings(1), "b": brings(1, ends)}
        job_id = await harness.start("a", "b")
        await harness.until(job_id, lambda job: ended(job) == ["a"])
        monkeypatch.setattr("cucmd.jobs.run.NodeProgress.take_files", defect)
        ends.set()
        assert await harness.closed() == (job_id,)
        assert listed(harness, job_id) == ["a"]


@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_restart_adds_to_the_manifest_what_a_kill_left_in_the_store_only(
    tmp_path: Path, appends: Appends, *, goes_on: bool
) -> None:
    killed, state = tmp_path / "as a kill left it", tmp_path / "state"
    async with supervisor_harness(state) as harness:
        ends = trio.Event()
        harness.behaviours = {"a": brings(3), "b": brings(2, ends), "c": hang}
        job_id = await harness.start("a", "b", "c")
        await harness.until(job_id, lambda job: ended(job) == ["a"])
        with appends.held():
            ends.set()
            await until_saved(harness, job_id, 5)
            await trio.to_thread.run_sync(shutil.copytree, state, killed)
        await harness.until(job_id, lambda job: ended(job) == ["a", "b"])
        written = files_in(state, job_id)
        await harness.supervisor.cancel(job_id, None)
    async with supervisor_harness(killed) as again:
        again.behaviours["b"] = brings(0)
        await again.supervisor.recover(again.tasks if goes_on else lambda job: None)
        assert files_in(killed, job_id) == written
        await again.ended(job_id)
    assert files_in(killed, job_id) == written
    assert len(written) == 5


def files_in(state: Path, job_id: str) -> list[dict]:
    files = inspection.manifest(state / "jobs" / job_id)
    return sorted(files, key=lambda file: file["path"])
