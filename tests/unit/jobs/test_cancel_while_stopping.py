"""A cancel while the daemon stops is durable, or it is refused; there is no third."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd.jobs.job_errors import Draining
from cucmd.node.ports import NodeTask, Report
from rig.supervised import SupervisorHarness, hang, supervisor_harness

STEPS = 60  # a stop of a job without connections has about 40


async def closes_slowly(task: NodeTask, report: Report) -> tuple[str, ...]:
    """Behaves as a connection that needs its grace period."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
    raise AssertionError


async def stored_status(harness: SupervisorHarness, job_id: str) -> str:
    job = await harness.store.load(job_id)
    assert job is not None
    return job.status


async def test_a_cancel_after_the_stop_is_refused(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = hang
        job_id = await harness.start("a", resumable=True)
        await harness.running(job_id)
        await harness.supervisor.drain()
        with pytest.raises(Draining):
            await harness.supervisor.cancel(job_id, None)
        with pytest.raises(Draining):
            await harness.supervisor.cancel(job_id, ["a"])
        assert await stored_status(harness, job_id) == "running"


async def test_a_cancel_while_connections_close_is_durable(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness, trio.open_nursery() as nursery:
        harness.behaviours["a"] = closes_slowly
        job_id = await harness.start("a", resumable=True)
        await harness.running(job_id)
        nursery.start_soon(harness.supervisor.drain)
        await trio.sleep(1)
        job, changed = await harness.supervisor.cancel(job_id, None)
        assert (job.status, changed) == ("cancelled", True)
        assert await stored_status(harness, job_id) == "cancelled"


async def test_a_job_that_had_ended_can_be_asked_about_until_the_end(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await harness.start("a")
        await harness.ended(job_id)
        await harness.supervisor.drain()
        job, changed = await harness.supervisor.cancel(job_id, None)
        assert (job.status, changed) == ("succeeded", False)


@pytest.mark.parametrize("queued", [False, True], ids=["running", "queued"])
async def test_at_each_moment_of_a_stop_a_cancel_is_durable_or_refused(
    tmp_path: Path, queued: bool
) -> None:
    outcomes = set()
    for steps in range(STEPS):
        async with (
            supervisor_harness(tmp_path / str(steps)) as harness,
            trio.open_nursery() as nursery,
        ):
            harness.behaviours["a"] = hang
            job_id = await harness.start("a", resumable=True)
            if not queued:
                await harness.running(job_id)
            nursery.start_soon(harness.supervisor.drain)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            try:
                job, changed = await harness.supervisor.cancel(job_id, None)
            except Draining:
                outcomes.add("refused")
                expected = {"queued", "running"}
            else:
                outcomes.add("durable")
                expected = {"cancelled"}
                assert (job.status, changed) == ("cancelled", True)
            assert await stored_status(harness, job_id) in expected
    assert outcomes == {"durable", "refused"}
