"""A job that runs commands: its output is on record, and a restart does not run them twice."""

from pathlib import Path

from msgspec.structs import replace

from cucmd.failure import Code
from cucmd.job.node import Failed
from cucmd.job.run import Run
from cucmd.node.ports import NodeTask, Report
from cucmd.received_file import ReceivedFile
from rig.supervised import SupervisorHarness, hang, statuses, supervisor_harness

WORK = Run(("show status", "utils service list"))
NAME = "output/001-show-status.txt"


async def one_output(task: NodeTask, report: Report) -> tuple[str, ...]:
    """Writes the output of the first command, as work/run.py does."""
    path = task.folder / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("Host Name : x\n")
    digest = "9" * 64
    report.add_own_file(
        ReceivedFile(
            task.node, f"{task.folder.name}/{NAME}", 14, digest, closed=True, complete=True
        )
    )
    return ()


async def one_output_and_hang(task: NodeTask, report: Report) -> tuple[str, ...]:
    await one_output(task, report)
    return await hang(task, report)


async def run_job(harness: SupervisorHarness, *nodes: str) -> str:
    return await harness.start(*nodes, work=WORK, credential="ops", resumable=True)


async def test_stop_interrupts_commands(
    tmp_path: Path,
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": one_output, "b": one_output_and_hang}
        job_id = await run_job(harness, "a", "b")
        await harness.until(job_id, lambda job: statuses(job) == ["succeeded", "running"])
        # The end of the block stops the supervisor.

    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        job = await again.ended(job_id)
        files = await again.store.files(job_id)
        assert again.contacted == []
    assert (job.status, statuses(job)) == ("partial", ["succeeded", "failed"])
    state = job.nodes[1].state
    assert isinstance(state, Failed)
    assert state.failure.code == Code.INTERRUPTED
    assert {file.path: file.complete for file in files} == {f"a/{NAME}": True, f"b/{NAME}": True}


async def test_kill_runs_no_command_again(
    tmp_path: Path,
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job = harness.job("a", work=WORK, credential="ops", resumable=True)
        await harness.store.add_job(job)
        path = harness.supervisor.directory(job.job_id) / "a" / NAME
        path.parent.mkdir(parents=True)
        path.write_text("Host Name : x\n")
        path.with_name(f".{path.name}.7.new").write_text("half")

        def replan(_: object) -> None:
            return None  # as the planner does, see test_plan.py

        await harness.supervisor.recover(replan)
        ended = await harness.ended(job.job_id)
        (file,) = await harness.store.files(job.job_id)
        assert harness.contacted == []
    assert statuses(ended) == ["failed"]
    assert (file.path, file.size, file.complete) == (f"a/{NAME}", 14, False)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


async def test_kill_changes_no_recorded_output(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job = harness.job("a", work=WORK, retries=1)
        tried = replace(job.nodes[0], attempt=2, attempts_before=1, retries=1)
        await harness.store.add_job(replace(job, nodes=(tried,)))
        folder = harness.supervisor.directory(job.job_id) / "a"
        (folder / "output").mkdir(parents=True)
        again = WORK.output_of(1, 2)
        (folder / NAME).write_text("before\n")
        (folder / again).write_text("now\n")
        file = ReceivedFile("a", f"a/{NAME}", 7, "9" * 64, complete=True, attempt=1)
        await harness.store.save_files(job.job_id, [file])
        await harness.supervisor.recover(lambda job: None)
        await harness.ended(job.job_id)
        found = await harness.store.files(job.job_id)
    expected = [(f"a/{again}", 4, False, 2), (f"a/{NAME}", 7, True, 1)]
    assert [(one.path, one.size, one.complete, one.attempt) for one in found] == expected
