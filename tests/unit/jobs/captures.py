"""Jobs that capture packets, and nodes that do it as work/capture.py does."""

import trio

from cucmd.job.capture import Capture, Captured
from cucmd.job.failure import Failure
from cucmd.job.job import Job
from cucmd.node.ports import NodeTask, Report
from rig.supervised import (
    NOW,
    Behaviour,
    SupervisorHarness,
)

NAME = "cucmd_0a1b2c3d4e5f"
WORK = Capture(NAME)


def ready_after(seconds: float, *, stops_within: float = 0.0, ignores: bool = False) -> Behaviour:
    """Makes a node behave as work/capture.py does: it begins with the others, and ends its capture
    even if it is cancelled.
    """

    async def behaviour(task: NodeTask, report: Report) -> tuple[str, ...]:
        assert task.joint_run is not None
        await trio.sleep(seconds)
        if not await task.joint_run.wait_for_start(task.node):
            return ("late",)
        captured = Captured(NAME, NOW, running=True)
        report.result(captured)
        try:
            await trio.sleep(60)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(stops_within)
                report.result(Captured(NAME, NOW, NOW, how="x", running=ignores))
        return (f"at {trio.current_time():.0f}",)

    return behaviour


async def start(harness: SupervisorHarness, *nodes: str, **fields: object) -> str:
    return await harness.start(*nodes, work=WORK, **fields)


async def captures(harness: SupervisorHarness, job_id: str) -> Job:
    return await harness.until(job_id, lambda job: all(node.result for node in job.nodes))


def still_running(job: Job) -> list[bool]:
    return [node.result is not None and node.result.running for node in job.nodes]


def failed(job: Job) -> Failure:
    """Says why its first node has failed, as it is shown."""
    shown = job.failure_of(job.nodes[0])
    assert shown is not None
    return shown


async def closed(harness: SupervisorHarness, job_id: str) -> Job:
    return await harness.until(job_id, lambda job: job.closed)
