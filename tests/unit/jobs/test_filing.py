"""A file that came is on record in store and manifest, however often it takes."""

import errno
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd.config import Limits
from cucmd.failure import Code
from cucmd.job import Job, Timeouts
from cucmd.jobs import manifest
from cucmd.node.ports import NodeTask, Report
from cucmd.received_file import ReceivedFile
from cucmd.store import Store, StoreFailed
from rig.scripted_node import Target
from rig.supervised import Behaviour, World, hang, statuses, wait_for_the_store, world


def brings(files: int, ends: trio.Event | None = None) -> Behaviour:
    """A node that pushes so many files, and ends when it may."""

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


def brings_after(seconds: float, files: int = 1) -> Behaviour:
    async def behaviour(task: NodeTask, report: Report) -> tuple[str, ...]:
        await trio.sleep(seconds)
        return await brings(files)(task, report)

    return behaviour


def shown(w: World, job_id: str) -> list[str]:
    """The nodes that the manifest names."""
    path = w.tmp_path / "jobs" / job_id / "manifest.json"
    files = json.loads(path.read_text())["files"] if path.exists() else []
    return sorted({file["node"] for file in files})


class Saves:
    """Counts what is asked of the store, and fails the next `failing` of it."""

    def __init__(self, store: Store, failing: int = 0) -> None:
        self.made: list[str] = []
        self.failing = failing
        self._save = store.save_files
        store.save_files = self

    async def __call__(self, job_id: str, files: Sequence[ReceivedFile]) -> None:
        self.made += {file.node for file in files}
        if self.failing:
            self.failing -= 1
            await trio.lowlevel.checkpoint()
            raise StoreFailed("database or disk is full")
        await self._save(job_id, files)


async def test_nodes_that_end_together_are_saved_once_each(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        saves, ends = Saves(w.store), trio.Event()
        names = [f"n{number:02}" for number in range(40)]
        w.behaviours = dict.fromkeys(names, brings(2, ends))
        job_id = await w.start(*names, concurrency=40)
        await w.running(job_id, nodes=40)
        ends.set()
        await w.ended(job_id)
        assert sorted(saves.made) == names
        assert len(await w.store.files(job_id)) == 80


async def test_what_the_store_did_not_take_is_taken_with_the_next(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        saves = Saves(w.store, failing=1)
        w.behaviours = {"a": brings(1), "b": brings(1)}
        job = await w.ended(await w.start("a", "b", concurrency=1))
        assert statuses(job) == ["failed", "succeeded"]
        assert job.nodes[0].state.failure.code is Code.INTERNAL
        assert sorted(saves.made) == ["a", "a", "b"]
        assert {row.node for row in await w.store.files(job.job_id)} == {"a", "b"}
        assert shown(w, job.job_id) == ["a", "b"]


async def test_what_the_store_takes_at_last_is_caught_up_with(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    wait_for_the_store(autojump_clock)
    async with world(tmp_path) as w:
        saves = Saves(w.store, failing=3)
        w.behaviours["a"] = brings(1)
        job_id = await w.start("a")
        run = w.supervisor._live[job_id]
        await run.over.wait()
        assert (len(saves.made), run.recorded) == (4, True)
        assert [row.node for row in await w.store.files(job_id)] == ["a"]
        assert shown(w, job_id) == ["a"]


class Writes:
    """Of the manifest: they take as long as a test says, and the next `failing` of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, take: float, small: int) -> None:
        self.at: list[float] = []
        self.failing = 0
        self._take = take
        self._replace = manifest.replace
        monkeypatch.setattr(manifest, "SMALL", small)
        monkeypatch.setattr(manifest, "replace", self)

    async def __call__(self, path: Path, job_id: str, nodes: Sequence[object]) -> None:
        self.at.append(trio.current_time())
        await trio.sleep(self._take)
        if self.failing:
            self.failing -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        await self._replace(path, job_id, nodes)


@pytest.fixture
def make_writes(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> Callable[..., Writes]:
    """In virtual time: a test that uses it names the clock as well."""
    wait_for_the_store(autojump_clock)
    monkeypatch.setattr("cucmd.jobs.run.TICK", 1000)  # a jump of the clock takes real time

    def make(*, take: float, small: int = 0) -> Writes:
        return Writes(monkeypatch, take=take, small=small)

    return make


def ended(job: Job) -> list[str]:
    return sorted(node.node for node in job.nodes if node.settled)


async def test_who_sees_a_node_of_a_small_job_end_finds_its_files(
    tmp_path: Path, autojump_clock: MockClock, make_writes: Callable[..., Writes]
) -> None:
    """However slow the disk is."""
    writes = make_writes(take=3, small=5)
    async with world(tmp_path) as w:
        names = [f"n{number}" for number in range(5)]
        w.behaviours = {name: brings_after(number * 4) for number, name in enumerate(names)}
        job_id = await w.start(*names)
        for number in range(1, 6):
            job = await w.until(job_id, lambda job, number=number: len(ended(job)) == number)
            assert shown(w, job_id) == ended(job)
    assert len(writes.at) == 5


async def test_a_large_manifest_is_written_a_fiftieth_of_the_time(
    tmp_path: Path, autojump_clock: MockClock, make_writes: Callable[..., Writes]
) -> None:
    """40 nodes in 40 seconds, and 0.2 seconds for each write."""
    writes = make_writes(take=0.2)
    async with world(tmp_path) as w:
        names = [f"n{number:03}" for number in range(40)]
        w.behaviours = {name: brings_after(number) for number, name in enumerate(names)}
        job_id = await w.start(*names, concurrency=40)
        for number in (10, 25):
            job = await w.until(job_id, lambda job, number=number: len(ended(job)) >= number)
            await trio.sleep(11)  # the pause, and a write
            assert set(ended(job)) <= set(shown(w, job_id))
        job = await w.ended(job_id)
        assert shown(w, job_id) == ended(job) == names
    assert len(writes.at) <= 40 / 10 + 2


async def test_many_nodes_that_end_together_share_the_writes(
    tmp_path: Path, autojump_clock: MockClock, make_writes: Callable[..., Writes]
) -> None:
    writes, ends = make_writes(take=0.2), trio.Event()
    async with world(tmp_path) as w:
        names = [f"n{number:03}" for number in range(100)]
        w.behaviours = dict.fromkeys(names, brings(1, ends))
        job_id = await w.start(*names, concurrency=100)
        await w.running(job_id, nodes=100)
        ends.set()
        await w.ended(job_id)
        assert shown(w, job_id) == names
    assert len(writes.at) <= 3


async def test_a_slow_write_is_not_put_off_for_longer_than_a_minute(
    tmp_path: Path, autojump_clock: MockClock, make_writes: Callable[..., Writes]
) -> None:
    writes = make_writes(take=5)
    async with world(tmp_path) as w:
        w.behaviours = {"a": brings(1), "b": brings_after(6), "c": hang}
        job_id = await w.start("a", "b", "c", concurrency=3)
        await w.until(job_id, lambda job: len(ended(job)) == 2)
        assert shown(w, job_id) == ["a"]
        await trio.sleep(66)
        assert shown(w, job_id) == ["a", "b"]
        await w.supervisor.cancel(job_id, None)
    first, second = writes.at
    assert 60 <= second - first - 5 <= 61


async def test_a_write_that_was_put_off_keeps_no_node_from_its_place(
    tmp_path: Path, autojump_clock: MockClock, make_writes: Callable[..., Writes]
) -> None:
    make_writes(take=5)
    async with world(tmp_path) as w:
        w.behaviours = dict.fromkeys("abcd", brings_after(1))
        began = trio.current_time()
        job = await w.ended(await w.start(*"abcd", concurrency=1))
        assert trio.current_time() - began < 4 + 5 + 5 + 2  # a's write, and that of the last
        assert shown(w, job.job_id) == list("abcd")


async def killed_before_the_write(
    tmp_path: Path, make_writes: Callable[..., Writes]
) -> tuple[str, Path, list[dict]]:
    """A job, its state when b's files were in no manifest, and what was written in the end."""
    make_writes(take=1)
    killed, state = tmp_path / "as a kill left it", tmp_path / "state"
    async with world(state) as w:
        w.behaviours = {"a": brings(3), "b": brings_after(2, files=2), "c": hang}
        job_id = await w.start("a", "b", "c")
        await w.until(job_id, lambda job: len(ended(job)) == 2)
        assert shown(w, job_id) == ["a"]
        await trio.to_thread.run_sync(shutil.copytree, state, killed)
        run = w.supervisor._live[job_id]
        await w.supervisor.cancel(job_id, None)
        await run.over.wait()
        assert shown(w, job_id) == ["a", "b"]
    return job_id, killed, files_in(state / "jobs" / job_id)


def files_in(folder: Path) -> list[dict]:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    return sorted(files, key=lambda file: (file["node"], file["path"]))


@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_restart_makes_the_manifest_that_a_kill_prevented(
    tmp_path: Path, autojump_clock: MockClock, make_writes: Callable[..., Writes], *, goes_on: bool
) -> None:
    job_id, killed, written = await killed_before_the_write(tmp_path, make_writes)
    async with world(killed) as again:
        await again.supervisor.recover(again.tasks if goes_on else lambda job: None)
        assert files_in(killed / "jobs" / job_id) == written
        await again.ended(job_id)
    assert files_in(killed / "jobs" / job_id) == written
    assert len(written) == 5


async def test_a_cancel_does_not_leave_to_wait_what_was_put_off(
    tmp_path: Path, autojump_clock: MockClock, make_writes: Callable[..., Writes]
) -> None:
    make_writes(take=1)
    closed = trio.Event()

    async def closes_slowly(task: NodeTask, report: Report) -> tuple[str, ...]:
        with trio.move_on_after(60, shield=True):
            await closed.wait()
        return ()

    async with world(tmp_path) as w:
        w.behaviours = {"a": brings(1), "b": brings_after(2), "c": closes_slowly}
        job_id = await w.start("a", "b", "c")
        await w.until(job_id, lambda job: len(ended(job)) == 2)
        assert shown(w, job_id) == ["a"]
        await w.supervisor.cancel(job_id, None)
        await trio.sleep(2)
        assert shown(w, job_id) == ["a", "b"]
        closed.set()


async def test_a_stop_leaves_nothing_put_off(
    tmp_path: Path, autojump_clock: MockClock, make_writes: Callable[..., Writes]
) -> None:
    make_writes(take=1)
    async with world(tmp_path) as w:
        w.behaviours = {"a": brings(1), "b": brings_after(2), "c": hang}
        job_id = await w.start("a", "b", "c", resumable=True)
        await w.until(job_id, lambda job: len(ended(job)) == 2)
        assert shown(w, job_id) == ["a"]
    assert shown(w, job_id) == ["a", "b"]


async def test_a_defect_leaves_nothing_put_off(
    tmp_path: Path,
    autojump_clock: MockClock,
    make_writes: Callable[..., Writes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_writes(take=1)

    def defect(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    async with world(tmp_path) as w:
        w.behaviours = {"a": brings(1), "b": brings_after(2), "c": brings_after(4)}
        job_id = await w.start("a", "b", "c")
        await w.until(job_id, lambda job: len(ended(job)) == 2)
        run = w.supervisor._live[job_id]
        monkeypatch.setattr("cucmd.jobs.run.NodeProgress.take_files", defect)
        await run.over.wait()
        assert shown(w, job_id) == ["a", "b"]
        assert not run.whole


async def test_a_disk_that_is_full_while_a_write_was_put_off_is_caught_up_with(
    tmp_path: Path,
    autojump_clock: MockClock,
    make_writes: Callable[..., Writes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    writes = make_writes(take=0.1)
    async with world(tmp_path) as w:
        w.behaviours = {"a": brings(1), "b": brings_after(2), "c": brings_after(60)}
        job_id = await w.start("a", "b", "c")
        await w.until(job_id, lambda job: len(ended(job)) == 2)
        writes.failing = 3
        await trio.sleep(20)
        assert (writes.failing, shown(w, job_id)) == (0, ["a", "b"])
        assert caplog.text.count("files are not on record") == 1
        assert statuses(await w.ended(job_id)) == ["succeeded"] * 3


async def test_a_job_that_waits_for_room_on_the_disk_keeps_no_other_from_its_turn(
    tmp_path: Path, autojump_clock: MockClock, make_writes: Callable[..., Writes]
) -> None:
    writes = make_writes(take=0.1)
    async with world(tmp_path, Limits(jobs=1)) as w:
        w.behaviours = {"a": brings(1), "b": brings_after(2), "c": hang, "d": hang}
        job_id = await w.start("a", "b", "c")
        await w.until(job_id, lambda job: len(ended(job)) == 2)
        writes.failing = 1_000_000
        await trio.sleep(20)
        await w.supervisor.cancel(job_id, None)
        with trio.fail_after(20):
            await w.running(await w.start("d"))


async def test_a_disk_that_is_full_at_the_end_fails_the_last_node_and_is_caught_up_with(
    tmp_path: Path, autojump_clock: MockClock, make_writes: Callable[..., Writes]
) -> None:
    writes = make_writes(take=0.1)
    async with world(tmp_path) as w:
        w.behaviours = {"a": brings(1), "b": brings_after(2)}
        job_id = await w.start("a", "b")
        run = w.supervisor._live[job_id]
        await w.until(job_id, lambda job: ended(job) == ["a"])
        writes.failing = 3
        job = await w.ended(job_id)
        assert job.nodes[1].state.failure.code is Code.DISK_FULL
        await run.over.wait()
        assert (run.recorded, shown(w, job_id)) == (True, ["a", "b"])


async def test_a_node_that_is_cancelled_last_leaves_the_files_of_the_others_to_no_later_start(
    tmp_path: Path, autojump_clock: MockClock, make_writes: Callable[..., Writes]
) -> None:
    """It brings nothing itself, and so asks for no write."""
    make_writes(take=1)
    async with world(tmp_path) as w:
        w.behaviours = {"a": brings(1), "b": brings_after(2), "c": hang}
        job_id = await w.start("a", "b", "c", timeouts=Timeouts(node=20_000))
        await w.until(job_id, lambda job: len(ended(job)) == 2)
        run = w.supervisor._live[job_id]
        await w.supervisor.cancel(job_id, ["c"])
        await run.over.wait()
        assert shown(w, job_id) == ["a", "b"]
