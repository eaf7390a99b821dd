"""Processes that read files for what they cover: one that ends, and one that never does."""

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from cucmd.cases.coverage import has_coverage
from cucmd.job.coverage import MOST_GAPS, Covered, Gap
from cucmd.job.job import Job
from cucmd.reading.node import NodeReading
from cucmd.worker.process import Cause, WorkerEnded
from unit.cases.coverages import WHOLE, ForEver, log4j, opened, succeeded


async def test_a_job_that_is_going_to_change_is_read_no_further(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        endless = ForEver(cases)
        await cases.job(succeeded("pub"))
        await cases.file("pub/a.log", log4j("12:00"))
        cases.coverage.want("0a1b2c3d4e5f")
        await endless.begun.wait()
        job = await cases.load()
        cases.coverage.drop(job.job_id)
        await endless.ended.wait()
        assert await cases.coverage.with_coverage(job, 0) == job
        cases.coverage.drop("0a1b2c3d4e5f")  # also one that is not read


async def test_a_job_that_stays_as_it_was_after_all_is_waited_for_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        endless = ForEver(cases)
        await cases.job(succeeded("pub"))
        await cases.file("pub/a.log", log4j("12:00", "15:10"))
        cases.coverage.want("0a1b2c3d4e5f")
        await endless.begun.wait()
        job = await cases.load()
        cases.processes.before = None
        cases.coverage.drop(job.job_id)
        cases.coverage.want(job.job_id)
        after = await cases.coverage.with_coverage(job, 30)
    assert after.nodes[0].extent == WHOLE


async def test_what_of_one_node_never_ends_holds_up_no_other_node_and_no_other_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cucmd.cases.coverage._SAVED_EVERY", 0.2)
    names = ("a", "b", "c", "d", "e", "f")
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("other"), job_id="ffffffffffff")
        other = await cases.store.load("ffffffffffff")
        assert other is not None
        others_are_known = trio.Event()

        def publish(job: Job) -> None:
            if job.job_id == "0a1b2c3d4e5f" and sum(n.coverage is not None for n in job.nodes) == 5:
                others_are_known.set()

        monkeypatch.setattr(cases.store, "tell", publish)
        ForEver(cases, "hostile")
        await cases.job(*map(succeeded, names))
        for node in names:
            await cases.file(f"{node}/a.log", log4j("12:00", "15:10"))
        await cases.file("a/hostile.log", log4j("12:00"))
        cases.coverage.want("0a1b2c3d4e5f")
        assert has_coverage(await cases.coverage.with_coverage(other, 10))
        with trio.fail_after(10):
            await others_are_known.wait()
        hostile, *others = (await cases.load()).nodes
    assert hostile.coverage is None
    assert [node.extent for node in others] == [WHOLE] * 5


async def test_the_last_node_is_known_too_where_it_was_read_while_the_others_were_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cucmd.cases.coverage._SAVED_EVERY", 0.01)
    async with opened(tmp_path) as cases:
        saving, last_was_read = trio.Event(), trio.Event()

        async def read(names: list[str]) -> None:
            if "last.log" in names[0]:
                await saving.wait()
                last_was_read.set()

        change = cases.store.change

        async def change_once_the_last_was_read(*arguments: Any) -> Job | None:
            saving.set()
            await last_was_read.wait()
            await trio.testing.wait_all_tasks_blocked()
            return await change(*arguments)

        cases.processes.before = read
        monkeypatch.setattr(cases.store, "change", change_once_the_last_was_read)
        await cases.job(succeeded("first"), succeeded("last"))
        for name in ("first", "last"):
            await cases.file(f"{name}/{name}.log", log4j("12:00", "15:10"))
        said = await cases.looked_at()
    assert [node.extent for node in said.values()] == [WHOLE] * 2


@pytest.mark.parametrize("how", Cause)
async def test_a_process_that_ends_costs_no_other_node_its_coverage(
    tmp_path: Path, how: Cause
) -> None:
    async with opened(tmp_path) as cases:

        async def end(names: list[str]) -> None:
            if "odd.log" in "".join(names):
                raise WorkerEnded(how, "it has ended")

        cases.processes.before = end
        await cases.job(succeeded("odd"), succeeded("pub"), succeeded("sub"))
        for path in ("odd/odd.log", "pub/a.log", "sub/b.log"):
            await cases.file(path, log4j("12:00", "15:10"))
        said = await cases.looked_at()
        assert (said["odd"].coverage or "").startswith("coverage unknown: ")
        assert said["pub"].extent == said["sub"].extent == WHOLE
        begun = cases.processes.begun
        assert begun == (4 if how is Cause.LOST else 3)
        assert await cases.looked_at() == said
        assert cases.processes.begun == begun, "what failed is not read again"


async def test_a_process_may_take_time_in_proportion_to_what_its_node_has_sent(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as cases:
        sizes = {"a": 0, "b": 10**9, "c": 2 * 10**9}
        nodes = [replace(succeeded(name), bytes_received=size) for name, size in sizes.items()]
        await cases.job(*nodes)
        await cases.looked_at()
        none, once, twice = sorted(one.seconds for one in cases.processes.limits)
    assert 0 < none < once < twice
    assert twice - once == once - none


async def test_many_files_with_the_longest_names_are_read_as_others_are(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:
        node = f"{'n' * 63}.{'e' * 63}.example"
        longest = "/".join(("x" * 200, "y" * 200, "z" * 70))
        await cases.job(succeeded(node), succeeded("sub"))
        many = (f"{node}/{longest}{number:04}.log" for number in range(1000))
        await cases.files(many, log4j("12:00", "15:10"))
        await cases.file("sub/b.log", log4j("12:00", "15:10"))
        said = await cases.looked_at()
    assert said[node].extent == said["sub"].extent == WHOLE


async def test_a_process_that_was_killed_is_followed_by_another(tmp_path: Path) -> None:
    async with opened(tmp_path) as cases:

        async def be_killed(_names: list[str]) -> None:
            cases.processes.before = None
            raise WorkerEnded(Cause.LOST, "its process was ended")

        cases.processes.before = be_killed
        await cases.job(succeeded("pub"))
        await cases.file("pub/a.log", log4j("12:00", "15:10"))
        assert (await cases.looked_at())["pub"].extent == WHOLE


@pytest.mark.parametrize(
    "answer",
    [Covered("x" * 5000), Covered("x", (Gap("x", "all"),) * (MOST_GAPS + 1))],
)
async def test_an_answer_that_is_too_long_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Covered
) -> None:
    monkeypatch.setattr(NodeReading, "covered", lambda _self: answer)
    async with opened(tmp_path) as cases:
        await cases.job(succeeded("pub"))
        said = (await cases.looked_at())["pub"].coverage
        assert said is not None
        assert said.startswith("coverage unknown: ")
