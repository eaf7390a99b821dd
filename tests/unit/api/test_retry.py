"""`Retry` of a job whose directory somebody has removed."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from cucmd.api.export_methods import ExportMethods
from cucmd.api.job_methods import JobMethods
from cucmd.cases.coverage import Coverage
from cucmd.cases.damaged import DamagedFiles
from cucmd.config import Config
from cucmd.failure import Code
from cucmd.job.work_request import Login
from cucmd.node.ports import NodeTask, Report
from cucmd.plan.planner import Planner
from cucmd.protocol.cases import ExportRequest
from cucmd.protocol.jobs import RetryRequest
from cucmd.varlink import Caller, VarlinkError
from rig.in_process import InProcess
from rig.scripted_target import Target
from rig.supervised import SupervisorHarness, fails_with, statuses, supervisor_harness

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)
LOGIN = Login("administrator", "secret")


async def sends(task: NodeTask, report: Report) -> tuple[str, ...]:
    target = Target(task.node, f"{task.folder.name}/files/")
    report.upload_target(target)
    target.store("1.txt", 1)
    report.complete(target.files())
    return ()


async def partial_job(harness: SupervisorHarness) -> str:
    """Makes a closed job: a has succeeded with a file, b has failed. It would succeed now."""
    harness.behaviours = {"a": sends, "b": fails_with(Code.STALLED)}
    job_id = await harness.start("a", "b")
    await harness.ended(job_id)
    job = await harness.supervisor.wait_closed(job_id)
    assert (statuses(job), job.nodes[0].files_received) == (["succeeded", "failed"], 1)
    harness.behaviours = {}
    return job_id


def jobs(harness: SupervisorHarness) -> JobMethods:
    planner = Planner(Config(), {}, harness.supervisor.directory)
    return JobMethods(harness.supervisor, harness.feed, lambda: planner)


def exports(harness: SupervisorHarness) -> ExportMethods:
    supervisor, store = harness.supervisor, harness.store
    coverage, unused = Coverage(store, supervisor.directory, InProcess()), cast(Any, None)
    return ExportMethods(
        supervisor,
        store,
        coverage,
        damaged=DamagedFiles(),
        sender=unused,
        verifier=unused,
        is_operator=lambda *_: True,
    )


async def refused(call: Callable[[], Awaitable[None]]) -> tuple[str, str, str]:
    with pytest.raises(VarlinkError) as caught:
        await call()
    said = caught.value.parameters
    return caught.value.name, said.parameter, said.reason


async def test_retry_without_directory_is_refused(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await partial_job(harness)
        shutil.rmtree(harness.supervisor.directory(job_id))

        async def retry() -> None:
            await jobs(harness).retry(CALLER, RetryRequest(job_id))

        async def export() -> None:
            async with exports(harness).export(CALLER, ExportRequest(job_id)):
                pass

        assert await refused(retry) == await refused(export)
        assert (await harness.supervisor.find(job_id)).status == "partial"


async def test_repeated_retry_is_answered(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job_id = await partial_job(harness)
        request = RetryRequest(job_id, login=LOGIN, start_key="again")
        await jobs(harness).retry(CALLER, request)
        await harness.ended(job_id)
        await harness.supervisor.wait_closed(job_id)
        shutil.rmtree(harness.supervisor.directory(job_id))
        assert (await jobs(harness).retry(CALLER, request)).job.status == "succeeded"
