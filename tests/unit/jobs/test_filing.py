"""A file that came is on record in store and manifest, however often it takes."""

import json
from collections.abc import Sequence
from pathlib import Path

import trio
from trio.testing import MockClock

from cucmd.collect.doors import NodeTask, Report
from cucmd.failure import Code
from cucmd.store import Store, StoreFailed
from rig.scripted_node import Box
from rig.supervised import Behaviour, World, statuses, wait_for_the_store, world


def brings(files: int, ends: trio.Event | None = None) -> Behaviour:
    """A node that pushes so many files, and ends when it may."""

    async def behaviour(task: NodeTask, report: Report) -> tuple[str, ...]:
        box = Box()
        report.drop_box(box)
        for number in range(files):
            box.store(f"192.0.2.9/core.{number}", 4)
        report.whole(box.files())
        if ends is not None:
            await ends.wait()
        return ()

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

    async def __call__(self, job_id: str, node: str, files: Sequence[object]) -> None:
        self.made.append(node)
        if self.failing:
            self.failing -= 1
            await trio.lowlevel.checkpoint()
            raise StoreFailed("database or disk is full")
        await self._save(job_id, node, files)


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
