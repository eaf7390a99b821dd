"""Jobs that run commands: their requests, their jobs, and `Output`."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from shutil import rmtree

import msgspec
import pytest
import trio

from cucmd.api.case_methods import CaseMethods
from cucmd.api.job_methods import JobMethods
from cucmd.config import Config, InvalidValue
from cucmd.failure import Code, fail
from cucmd.job.run import Run
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Commands, Login
from cucmd.node.ports import NodeTask, Report
from cucmd.plan.planner import Planner
from cucmd.plan.resolve import MOST_COMMANDS
from cucmd.protocol.cases import CommandOutput, OutputRequest
from cucmd.received_file import ReceivedFile
from cucmd.varlink import Caller
from cucmd.varlink.interface import VarlinkError
from rig.asking import plan as planned_by
from rig.supervised import SupervisorHarness, supervisor_harness

RUN = Run(("show date", "utils service list"))
LOGIN = Login(username="administrator", password="secret")
SERVICES = "Requesting service status, please wait...\nCisco Tomcat[STARTED]\n"
CALLER = Caller(1000, 1000, frozenset(), 1)
PLANNER = Planner(Config(), {}, Path("/x").joinpath)


def request(*lines: str, **fields: object) -> StartRequest:
    values = {"nodes": ("a", "b"), "login": LOGIN, **fields}
    return StartRequest(commands=Commands(lines), **values)


def test_job_that_runs_commands() -> None:
    job, tasks = planned_by(
        PLANNER, request("  show   status", "utils diagnose test", concurrency=1, try_all=True)
    )
    assert job.work == Run(("show status", "utils diagnose test"))
    assert (job.kind, job.concurrency, job.try_all) == ("run", 1, True)
    assert [task and task.work for task in tasks] == [job.work, job.work]
    assert not job.survives_restart


async def test_late_start_is_refused(harness: SupervisorHarness) -> None:
    planner = Planner(Config(), {}, harness.supervisor.directory)
    jobs = JobMethods(harness.supervisor, harness.feed, lambda: planner)
    with pytest.raises(VarlinkError) as refused:
        await jobs.start(CALLER, request("show status", not_after="2020-01-01T00:00:00Z"))
    assert refused.value.parameters.parameter == "not_after"
    reply = await jobs.start(CALLER, request("show status", not_after="2099-01-01T00:00:00Z"))
    await harness.ended(reply.job.job_id)


async def test_only_hub_takes_upload(harness: SupervisorHarness) -> None:
    planner = Planner(Config(), {}, harness.supervisor.directory)
    jobs = JobMethods(harness.supervisor, harness.feed, lambda: planner)
    with pytest.raises(VarlinkError) as refused:
        await jobs.start(CALLER, request("show status", upload="archive"))
    assert refused.value.parameters.parameter == "upload"


@pytest.mark.parametrize(
    ("commands", "field"),
    [
        ((), "commands.lines"),
        (("show status",) * (MOST_COMMANDS + 1), "commands.lines"),
        (("show status", "utils system restart"), "commands.lines[1]"),
        (("show status; utils system restart",), "commands.lines[0]"),
        (("show status\n",), "commands.lines[0]"),
        (("",), "commands.lines[0]"),
    ],
)
def test_wrong_command_is_refused(commands: tuple[str, ...], field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        planned_by(PLANNER, request(*commands))
    assert refused.value.parameter == field


def test_commands_are_not_resumed() -> None:
    job, _ = planned_by(PLANNER, request("show status"))
    assert PLANNER.replan(msgspec.structs.replace(job, resumable=True, credential="ops")) is None


class Opened:
    def __init__(self, harness: SupervisorHarness) -> None:
        self.harness = harness
        self.cases = CaseMethods(harness.supervisor, harness.store, None)

    async def job(self, *nodes: str, work: object = None) -> str:
        work = work or RUN
        for node in nodes:
            self.harness.behaviours[node] = prints
        return (await self.harness.ended(await self.harness.start(*nodes, work=work))).job_id

    async def output(self, job_id: str, *nodes: str) -> list[CommandOutput]:
        calls = self.cases.output(CALLER, OutputRequest(job_id, nodes or None))
        async with aclosing(calls) as replies:
            got = [reply async for reply in replies]
        assert [reply.continues for reply in got] == [True] * (len(got) - 1) + [False]
        assert got[-1].parameters.output is None
        return [reply.parameters.output for reply in got[:-1]]


async def prints(task: NodeTask, report: Report) -> tuple[str, ...]:
    """Writes and reports outputs, as `work/run.py` does."""
    assert isinstance(task.work, Run)
    for number, text in ((1, f"it is {task.node}\n" * 20_000), (2, SERVICES)):
        name = task.work.output_of(number, task.first_attempt)
        path = task.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        file = ReceivedFile(
            task.node, f"{task.folder.name}/{name}", len(text), "0" * 64, complete=number == 2
        )
        report.add_own_file(file)
    return ()


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with supervisor_harness(tmp_path) as harness:
        yield Opened(harness)


async def test_output_is_sent_node_by_node(opened: Opened) -> None:
    pieces = await opened.output(await opened.job("b", "a"))
    assert list(dict.fromkeys((one.node, one.number) for one in pieces)) == [
        ("b", 1),
        ("b", 2),
        ("a", 1),
        ("a", 2),
    ]
    first = [one for one in pieces if (one.node, one.number) == ("b", 1)]
    assert len(first) > 1
    assert "".join(one.text for one in first) == "it is b\n" * 20_000
    assert [one.ended for one in first] == [False] * (len(first) - 1) + [True]
    assert {one.complete for one in first} == {False}
    assert {(one.parsed, one.unparsed) for one in first} == {(None, None)}
    (services,) = [one for one in pieces if (one.node, one.number) == ("a", 2)]
    assert (services.command, services.complete, services.text) == (
        "utils service list",
        True,
        SERVICES,
    )
    assert msgspec.to_builtins(services.parsed) == {
        "services": ({"name": "Cisco Tomcat", "state": "STARTED", "note": None},),
        "primary": None,
        "others": ("Requesting service status, please wait...",),
    }


async def test_long_output_is_not_parsed(opened: Opened) -> None:
    async def prints_much(task: NodeTask, report: Report) -> tuple[str, ...]:
        for number, lines in ((1, 5), (2, 1025)):
            name = task.work.output_of(number, task.first_attempt)
            (task.folder / name).parent.mkdir(exist_ok=True)
            (task.folder / name).write_text("x\n" * lines)
            path = f"{task.folder.name}/{name}"
            report.add_own_file(ReceivedFile(task.node, path, 2 * lines, "0" * 64, complete=True))
        return ()

    opened.harness.behaviours["a"] = prints_much
    work = Run(("show status", "utils service list"))
    job_id = (await opened.harness.ended(await opened.harness.start("a", work=work))).job_id
    first, second = await opened.output(job_id)
    assert (first.parsed is None, first.unparsed) == (False, None)
    assert (second.parsed, second.unparsed) == (None, "the output is too long to be parsed")


async def test_output_is_readable_during_next_command(opened: Opened) -> None:
    wait = trio.Event()

    async def prints_and_waits(task: NodeTask, report: Report) -> tuple[str, ...]:
        report.attempt(1)
        notes = await prints(task, report)
        await wait.wait()
        return notes

    harness = opened.harness
    harness.behaviours["a"] = prints_and_waits
    work = Run(("show date", "utils service list", "show status"))
    job_id = await harness.start("a", work=work)
    seen = await harness.until(job_id, lambda job: job.nodes[0].bytes_received > 0)
    assert (seen.nodes[0].status, seen.nodes[0].files_received) == ("running", 1)
    before = await opened.output(job_id)
    assert [(one.number, one.complete) for one in before if one.ended] == [(1, False), (2, True)]
    wait.set()
    assert (await harness.ended(job_id)).nodes[0].files_received == 1
    assert await opened.output(job_id) == before


async def test_failed_retry_hides_no_output(opened: Opened) -> None:
    async def breaks_off(task: NodeTask, report: Report) -> tuple[str, ...]:
        report.attempt(task.first_attempt)
        for number in (1, 2) if task.first_attempt == 1 else (1,):
            name = task.work.output_of(number, task.first_attempt)
            (task.folder / name).parent.mkdir(exist_ok=True)
            (task.folder / name).write_text(f"{number} in {task.first_attempt}\n")
            path, complete = f"{task.folder.name}/{name}", task.first_attempt == number == 1
            report.add_own_file(ReceivedFile(task.node, path, 7, "0" * 64, complete=complete))
        raise fail(Code.COMMAND_TIMEOUT, "silent")

    opened.harness.behaviours["a"] = breaks_off
    job_id = (await opened.harness.ended(await opened.harness.start("a", work=RUN))).job_id
    before = await opened.output(job_id)
    assert [(one.text, one.complete) for one in before] == [("1 in 1\n", True), ("2 in 1\n", False)]
    supervisor = opened.harness.supervisor
    await supervisor.retry(job_id, opened.harness.again(0))
    await opened.harness.ended(job_id)
    assert await opened.output(job_id) == before


async def test_deleted_output_is_refused(opened: Opened) -> None:
    job_id = await opened.job("a")
    run = opened.harness.supervisor.run_of(job_id)
    if run is not None:
        await run.released.wait()
    rmtree(opened.harness.supervisor.directory(job_id))
    with pytest.raises(VarlinkError, match="InvalidRequest"):
        await opened.output(job_id)
