"""`Retry` of a job whose directory somebody has removed."""

import shutil

import pytest

from cucmd.api.job_methods import JobMethods
from cucmd.config import Config
from cucmd.failure import Code
from cucmd.node.ports import NodeTask, Report
from cucmd.plan.planner import Planner
from cucmd.protocol.jobs import RetryRequest
from cucmd.varlink import Caller, VarlinkError
from rig.scripted_target import Target
from rig.supervised import SupervisorHarness, fails_with

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)


async def sends(task: NodeTask, report: Report) -> tuple[str, ...]:
    target = Target(task.node, f"{task.folder.name}/files/")
    report.upload_target(target)
    target.store("1.txt", 1)
    report.complete_files(target.files())
    return ()


async def test_retry_without_directory_is_refused(harness: SupervisorHarness) -> None:
    harness.behaviours = {"a": sends, "b": fails_with(Code.STALLED)}
    job_id = await harness.start("a", "b")
    await harness.ended(job_id)
    await harness.supervisor.wait_closed(job_id)
    shutil.rmtree(harness.supervisor.directory(job_id))
    planner = Planner(Config(), {}, harness.supervisor.directory)
    jobs = JobMethods(harness.supervisor, harness.feed, lambda: planner)
    with pytest.raises(VarlinkError) as caught:
        await jobs.retry(CALLER, RetryRequest(job_id))
    assert caught.value.parameters.parameter == "job_id"
    assert (await harness.supervisor.find(job_id)).status == "partial"
