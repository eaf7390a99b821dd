"""A start that is asked for twice with one key makes one job."""

import gc
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from cucmd.job.job import Job
from cucmd.jobs.job_errors import KeyReused
from cucmd.store import StartKey, StoreFailed
from rig.supervised import SupervisorHarness, fail_calls, hang, planned, supervisor_harness


def key(owner: int = 1000, name: str = "k", digest: str = "d") -> StartKey:
    return StartKey(owner, name, digest)


async def started(harness: SupervisorHarness, with_key: StartKey | None) -> str:
    job = harness.job("a")
    return (await harness.supervisor.start(planned(job, harness.tasks(job)), with_key)).job_id


def locks() -> int:
    gc.collect()
    return sum(isinstance(one, trio.Lock) for one in gc.get_objects())


async def test_concurrent_calls_get_same_job(tmp_path: Path) -> None:
    got: list[str] = []
    async with supervisor_harness(tmp_path) as harness:
        before = locks()

        async def start() -> None:
            got.append(await started(harness, key()))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(start)
        assert len(got) == 5
        assert len(set(got)) == 1
        assert len(await harness.supervisor.newest(9)) == 1
        await harness.closed()
        assert locks() == before


async def test_key_survives_restart(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await started(harness, key())
        await harness.ended(job_id)
    async with supervisor_harness(tmp_path) as again:
        again.numbers = 7
        assert await started(again, key()) == job_id


async def test_key_with_other_parameters(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        await started(harness, key())
        with pytest.raises(KeyReused):
            await started(harness, key(digest="x"))


async def test_refused_label_is_not_set_later(tmp_path: Path) -> None:
    """And one that is set in the turn after the refusal is kept."""

    async def label(name: str) -> None:
        def change(job: Job) -> Job:
            return msgspec.structs.replace(job, labels={**job.labels, name: "1"})

        await harness.supervisor.relabel(job_id, change)

    async def another() -> None:
        nursery.start_soon(label, "b")
        await trio.testing.wait_all_tasks_blocked()

    async with supervisor_harness(tmp_path) as harness, trio.open_nursery() as nursery:
        harness.behaviours["a"] = hang
        job_id = await harness.start("a", labels={"case": "1"})
        await harness.running(job_id)
        fail_calls(harness.store, "save", meanwhile=another)
        with pytest.raises(StoreFailed):
            await label("a")
        await harness.until(job_id, lambda job: "b" in job.labels)
        await harness.supervisor.cancel(job_id, None)
        assert (await harness.supervisor.wait_closed(job_id)).labels == {"case": "1", "b": "1"}
