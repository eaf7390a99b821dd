"""Packet captures: their requests, their jobs, and `Stop`."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import trio
from msgspec.structs import asdict

from cucmd.api.job_methods import JobMethods
from cucmd.api.wire import changed_to_wire, job_to_wire
from cucmd.config import Config, InvalidValue
from cucmd.job import work_request
from cucmd.job.capture import Capture, Captured, CaptureSettings
from cucmd.job.job import Job
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, How, Login, Packets
from cucmd.node.ports import NodeTask, Report
from cucmd.plan.planner import Planner
from cucmd.protocol.jobs import RetryRequest
from cucmd.protocol.requests import StopRequest
from cucmd.varlink import Caller, VarlinkError
from rig.asking import plan as planned_by
from rig.asking import plan_retry
from rig.supervised import NOW, SupervisorHarness, hang, supervisor_harness

LOGIN = Login(username="administrator", password="secret")
CALLER = Caller(1000, 1000, frozenset(), 1)
PLANNER = Planner(Config(), {}, Path("/x").joinpath)


def request(*nodes: str, **fields: object) -> StartRequest:
    how = {name: fields.pop(name) for name in How.__struct_fields__ if name in fields}
    return StartRequest(nodes or ("a", "b"), LOGIN, capture=Packets(**fields), **how)


def planned(*nodes: str, **fields: object) -> Job:
    return planned_by(PLANNER, request(*nodes, **fields))[0]


def test_capture_defaults() -> None:
    job, tasks = planned_by(PLANNER, request())
    name = f"cucmd_{job.job_id}"
    assert job.work == Capture(name, "eth0", None, None, 100_000, None, 60.0, delete=False)
    assert (job.kind, job.concurrency, job.survives_restart) == ("capture", 2, False)
    assert [task and task.work for task in tasks] == [job.work, job.work]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("interface", ("", "eth0 count 5", "eth0;reboot", "-w", "ETH0", "e" * 16)),
        ("host", ("", "pub", "10.0.0", "10.0.0.1 port 1", "fd00::1", "10.0.0.1\n")),
        ("port", (0, -1, 65536)),
        ("count", (0, -1, 100_001)),
        ("size", (0, -1, 65536)),
        ("duration", (0, 0.5, -1.0, 1200.1, float("nan"), float("inf"))),
    ],
)
def test_wrong_capture_field_is_named(field: str, values: tuple[object, ...]) -> None:
    for value in values:
        with pytest.raises(InvalidValue) as refused:
            planned(**{field: value})
        assert refused.value.parameter == f"capture.{field}", value


def test_capture_needs_all_nodes_at_once() -> None:
    nodes = [f"n{number}" for number in range(9)]
    assert planned(*nodes[:8]).concurrency == 8
    with pytest.raises(InvalidValue, match="concurrency is 8") as refused:
        planned(*nodes)
    assert refused.value.parameter == "nodes"
    assert planned(*nodes, concurrency=20).concurrency == 9
    with pytest.raises(InvalidValue):
        planned("a", "b", concurrency=1)


@pytest.mark.parametrize("name", ["node", "job"])
def test_duration_beyond_deadline_is_refused(name: str) -> None:
    timeouts = work_request.Timeouts(**{name: 120.0})
    assert planned(timeouts=timeouts, duration=119).work.duration == 119
    with pytest.raises(InvalidValue) as refused:
        planned(timeouts=timeouts, duration=120)
    assert refused.value.parameter == "capture.duration"


def test_capture_is_not_resumed() -> None:
    job = msgspec.structs.replace(planned(), resumable=True, credential="ops")
    assert PLANNER.replan(job) is None


def test_capture_and_result_are_shown() -> None:
    job = planned("a")
    captured = Captured("cucmd_x", NOW, NOW, 7, "stop", running=False)
    node = msgspec.structs.replace(job.nodes[0], result=captured)
    shown = job_to_wire(msgspec.structs.replace(job, nodes=(node,)), Path("/x"))
    assert shown.kind == "capture"
    assert shown.capture == CaptureSettings(**asdict(job.work))
    assert shown.nodes[0].capture == captured
    assert shown.collection == Collection()
    after = msgspec.structs.replace(job, nodes=(node,))
    assert changed_to_wire(job, after, None).nodes[0].capture is not None


# Calls


class Opened:
    def __init__(self, harness: SupervisorHarness) -> None:
        self.harness = harness
        plan = Planner(Config(), {}, harness.supervisor.directory)
        self.jobs = JobMethods(harness.supervisor, harness.feed, lambda: plan)

    async def start(self, *nodes: str, **fields: object) -> str:
        # A node that does not log in would hold back the others.
        call = request(*nodes, try_all=True, **fields)
        return (await self.jobs.start(CALLER, call)).job.job_id


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with supervisor_harness(tmp_path) as harness:
        yield Opened(harness)


async def captures(task: NodeTask, report: Report) -> tuple[str, ...]:
    """Reports what `work/capture.py` reports."""
    assert task.joint_run is not None
    assert await task.joint_run.wait_for_start(task.node)
    now = NOW
    report.result(Captured("cucmd_x", now, running=True))
    with task.joint_run.working(task.node), task.joint_run.until_stopped():
        await trio.sleep_forever()
    how = "stop" if task.joint_run.stopped else "duration"
    report.result(Captured("cucmd_x", now, now, 0, how))
    return ()


def running(job: Job) -> bool:
    return all(node.result is not None and node.result.running for node in job.nodes)


async def test_stop_ends_capture_on_all_nodes(opened: Opened) -> None:
    opened.harness.behaviours = {"a": captures, "b": captures}
    job_id = await opened.start("a", "b")
    await opened.harness.until(job_id, running)
    reply = await opened.jobs.stop(CALLER, StopRequest(job_id[:6], "mine"))
    assert (reply.job.job_id, reply.request_id) == (job_id, "mine")
    assert "2 nodes" in reply.message
    job = await opened.harness.ended(job_id)
    assert job.status == "succeeded"
    assert [node.result and node.result.how for node in job.nodes] == ["stop", "stop"]


async def refused(opened: Opened, job_id: str) -> VarlinkError:
    with pytest.raises(VarlinkError) as caught:
        await opened.jobs.stop(CALLER, StopRequest(job_id, "mine"))
    return caught.value


def is_refusal_of_job_id(error: VarlinkError) -> bool:
    parameters = error.parameters
    assert parameters.request_id == "mine"
    return error.name.endswith(".InvalidRequest") and parameters.parameter == "job_id"


async def test_collection_cannot_be_stopped(opened: Opened) -> None:
    opened.harness.behaviours = {"a": hang}
    job_id = await opened.harness.start("a")
    await opened.harness.running(job_id)
    assert is_refusal_of_job_id(await refused(opened, job_id))
    assert not (await opened.harness.supervisor.find(job_id)).ended


@pytest.mark.parametrize(
    ("captured", "may_run"),
    [
        (None, ()),
        (Captured("cucmd_x", NOW, NOW, 3, "duration"), ()),
        (Captured("cucmd_x", NOW, NOW, how="cancelled", running=True), ("cucmd_x",)),
        (Captured("cucmd_x", NOW, running=True), ("cucmd_x",)),  # the daemon was killed
    ],
)
def test_retry_names_captures_that_may_run(
    captured: Captured | None, may_run: tuple[str, ...]
) -> None:
    job = planned("a").cancel(NOW)
    job = msgspec.structs.replace(
        job, nodes=(msgspec.structs.replace(job.nodes[0], result=captured),)
    )
    login = RetryRequest(job_id=job.job_id, login=LOGIN)
    again, (task,) = plan_retry(PLANNER, job, login)
    assert task is not None
    assert task.may_run == may_run
    (shown,) = job_to_wire(again, "/x").nodes
    assert (shown.capture, shown.may_run) == (None, may_run)
