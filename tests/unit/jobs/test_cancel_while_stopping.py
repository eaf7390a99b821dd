"""A cancel while the daemon stops is durable, or it is refused; there is no third."""

from pathlib import Path

import pytest
import trio

from cucmd.jobs.job_errors import Draining
from rig.supervised import SupervisorHarness, hang, supervisor_harness

STEPS = 60  # a stop of a job without connections has about 40


async def stored_status(harness: SupervisorHarness, job_id: str) -> str:
    job = await harness.store.load(job_id)
    assert job is not None
    return job.status


@pytest.mark.parametrize("queued", [False, True], ids=["running", "queued"])
async def test_cancel_at_each_moment_of_stop(tmp_path: Path, queued: bool) -> None:
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
