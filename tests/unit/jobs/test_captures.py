"""A job that captures packets: its nodes begin together; where one may still run is on record."""

from pathlib import Path, PurePath

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cucmd.cases.archive import Archive
from cucmd.failure import Code, Failure, fail, failure
from cucmd.job import READY_WITHIN, Capture, Captured, Failed, Job, Node, Timeouts
from cucmd.node.ports import NodeTask, Report
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed
from rig.supervised import (
    NOW,
    Behaviour,
    SupervisorHarness,
    fails_with,
    statuses,
    supervisor_harness,
)

NAME = "cucmd_0a1b2c3d4e5f"
WORK = Capture(NAME)
FILE = f"files/192.0.2.9/1/platform/cli/{NAME}.cap"


def ready_after(seconds: float, *, stops_within: float = 0.0, ignores: bool = False) -> Behaviour:
    """As work/capture.py: begins with the others, and ends the capture also if cancelled."""

    async def behaviour(task: NodeTask, report: Report) -> tuple[str, ...]:
        assert task.together is not None
        await trio.sleep(seconds)
        if not await task.together.begin(task.node):
            return ("late",)
        captured = Captured(NAME, NOW, running=True)
        report.captured(captured)
        try:
            await trio.sleep(60)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(stops_within)
                report.captured(Captured(NAME, NOW, NOW, how="x", running=ignores))
        return (f"at {trio.current_time():.0f}",)

    return behaviour


async def start(harness: SupervisorHarness, *nodes: str, **fields: object) -> str:
    return await harness.start(*nodes, work=WORK, **fields)


async def captures(harness: SupervisorHarness, job_id: str) -> Job:
    return await harness.until(job_id, lambda job: all(node.captured for node in job.nodes))


def still_running(job: Job) -> list[bool]:
    return [node.captured is not None and node.captured.running for node in job.nodes]


def failed(job: Job) -> Failure:
    """Why its first node has failed, as it is shown."""
    shown = job.failure_of(job.nodes[0])
    assert shown is not None
    return shown


async def closed(harness: SupervisorHarness, job_id: str) -> Job:
    return await harness.until(job_id, lambda job: job.closed)


async def test_all_nodes_begin_with_the_last(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0), "b": ready_after(40), "c": ready_after(7)}
        began = trio.current_time()
        job = await harness.ended(await start(harness, "a", "b", "c"))
    assert job.status == "succeeded"
    assert {node.notes for node in job.nodes} == {(f"at {began + 100:.0f}",)}


async def test_nodes_that_fail_or_are_cancelled_hold_nobody(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {
            "a": ready_after(0),
            "b": fails_with(Code.AUTH_FAILED),
            "c": ready_after(1000),
        }
        began = trio.current_time()
        job_id = await start(harness, "a", "b", "c")
        await harness.until(job_id, lambda job: statuses(job) == ["running", "failed", "running"])
        await harness.supervisor.cancel(job_id, ["c"])
        job = await harness.ended(job_id)
    assert statuses(job) == ["succeeded", "failed", "cancelled"]
    assert trio.current_time() - began < READY_WITHIN


async def test_a_late_node_does_not_hold_the_others(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0), "b": ready_after(READY_WITHIN + 30)}
        job = await harness.ended(await start(harness, "a", "b"))
    assert [node.notes for node in job.nodes][1] == ("late",)
    assert still_running(job) == [False, False]


async def test_a_node_under_two_names_captures_once_and_holds_nobody(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def one_address(host: str, port: int) -> tuple[str, int]:
        return "192.0.2.9" if host in ("a", "also-a") else host, port

    async with supervisor_harness(tmp_path, locate=one_address) as harness:
        harness.behaviours = {"a": ready_after(0), "b": ready_after(5)}
        began = trio.current_time()
        job = await harness.ended(await start(harness, "a", "also-a", "b"))
    assert sorted(harness.contacted) == ["a", "b"]
    assert statuses(job) == ["succeeded", "failed", "succeeded"]
    assert trio.current_time() - began < READY_WITHIN
    refused = job.nodes[1]
    assert isinstance(refused.state, Failed)
    assert refused.state.failure.code is Code.COMMAND_REFUSED
    # A retry captures under another name: the first one's file may still be on the node.
    assert (refused.attempt, refused.captured) == (1, None)


async def test_a_cancel_returns_before_the_capture_has_ended_and_its_end_is_on_record(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0, stops_within=40)}
        job_id = await start(harness, "a")
        await captures(harness, job_id)
        began = trio.current_time()
        job, _ = await harness.supervisor.cancel(job_id, None)
        assert trio.current_time() - began < 1
        assert (job.status, still_running(job)) == ("cancelled", [True])
        job = await closed(harness, job_id)
        assert 40 <= trio.current_time() - began < 45
        assert (job.status, still_running(job)) == ("cancelled", [False])
        stored = await harness.store.load(job_id)
        assert stored is not None
        assert still_running(stored) == [False]


async def test_the_deadline_of_the_job_ends_it_on_the_node(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0, stops_within=10)}
        job = await closed(harness, await start(harness, "a", timeouts=Timeouts(job=30)))
    assert isinstance(job.nodes[0].state, Failed)
    assert job.nodes[0].state.failure.code is Code.JOB_TIMEOUT
    assert still_running(job) == [False]


async def test_the_deadline_of_the_node_ends_it_on_the_node(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0, stops_within=10)}
        job = await harness.ended(await start(harness, "a", timeouts=Timeouts(node=30)))
    assert isinstance(job.nodes[0].state, Failed)
    assert job.nodes[0].state.failure.code is Code.NODE_TIMEOUT
    assert still_running(job) == [False]


async def test_that_it_may_run_is_in_the_store_before_it_does(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    stored: list[Job | None] = []

    async def begins(task: NodeTask, report: Report) -> tuple[str, ...]:
        report.captured(Captured(NAME, NOW, running=True))
        await report.saved()
        stored.append(await harness.store.load(task.job_id))
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": begins}
        await harness.ended(await start(harness, "a"))
    assert stored[0] is not None
    assert still_running(stored[0]) == [True]


async def test_a_node_whose_capture_cannot_be_saved_fails(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    typed: list[str] = []

    async def begins(task: NodeTask, report: Report) -> tuple[str, ...]:
        save = harness.store.save

        async def refuse(before: Job, after: Job) -> None:
            harness.store.save = save
            await trio.lowlevel.checkpoint()
            raise StoreFailed("database or disk is full")

        harness.store.save = refuse
        report.captured(Captured(NAME, NOW, running=True))
        try:
            await report.saved()
            typed.append(task.node)
        finally:
            report.captured(Captured(NAME, NOW, NOW, how="failed"))
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": begins}
        job = await harness.ended(await start(harness, "a"))
    assert typed == []
    assert isinstance(job.nodes[0].state, Failed)
    assert "disk is full" in job.nodes[0].state.failure.message


async def lost(task: NodeTask, report: Report) -> tuple[str, ...]:
    report.captured(Captured(NAME, NOW, NOW, how="failed", running=True))
    raise fail(Code.CONNECTION_LOST, "it was lost")


@pytest.mark.parametrize("seconds", [30, 3600])
async def test_a_node_that_fails_while_it_may_run_is_named(
    tmp_path: Path, autojump_clock: MockClock, seconds: float
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0, ignores=True) if seconds < 60 else lost}
        job = await harness.ended(await start(harness, "a", timeouts=Timeouts(node=seconds)))
    shown = failed(job)
    assert shown.code is (Code.NODE_TIMEOUT if seconds < 60 else Code.CONNECTION_LOST)
    assert "may still run" in shown.message
    assert NAME in (shown.hint or "")


@pytest.mark.parametrize("ignores", [False, True])
async def test_a_stop_of_the_daemon_ends_it_and_says_what_is_known(
    tmp_path: Path, autojump_clock: MockClock, ignores: bool
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0, stops_within=5, ignores=ignores)}
        job_id = await start(harness, "a", credential="ops", resumable=True)
        await captures(harness, job_id)
        # The end of the block stops the supervisor.

    async with supervisor_harness(tmp_path) as again:
        await again.supervisor.recover(again.tasks)
        job = await again.ended(job_id)
        assert again.contacted == []
    assert failed(job).code is Code.INTERRUPTED
    assert ("may still run" in failed(job).message) is ignores
    assert still_running(job) == [ignores]


def killed(job: Job, captured: Captured | None) -> Job:
    """As the store has it after a kill."""
    job = job.begin(NOW)
    node = job.nodes[0].begin(NOW, 1)
    fields = {name: getattr(node, name) for name in node.__struct_fields__}
    return job.replace_node(0, type(node)(**{**fields, "captured": captured}), NOW)


@pytest.mark.parametrize(
    ("captured", "named"),
    [
        (None, False),
        (Captured(NAME, NOW, running=True), True),
        (Captured(NAME, NOW, NOW, 3, "duration"), False),
    ],
)
async def test_after_a_kill_a_node_on_which_it_may_run_is_named(
    tmp_path: Path, captured: Captured | None, named: bool
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job = harness.job("a", work=WORK, credential="ops", resumable=True)
        await harness.store.add_job(job)
        await harness.store.save(job, killed(job, captured).revised(job))

        def replan(_: object) -> None:
            return None  # as the planner does, see unit/api/test_captures.py

        await harness.supervisor.recover(replan)
        ended = await harness.ended(job.job_id)
        assert harness.contacted == []
    shown = failed(ended)
    assert shown.code is Code.INTERRUPTED
    assert ("may still run" in shown.message) is named
    assert (NAME in (shown.hint or "")) is named
    assert still_running(ended) == [named]


async def test_a_retry_captures_anew_on_the_nodes_that_failed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ready_after(0), "b": fails_with(Code.CONNECTION_LOST)}
        job_id = await start(harness, "a", "b")
        await closed(harness, job_id)
        harness.behaviours["b"] = ready_after(3)
        again = await harness.supervisor.retry(
            job_id, lambda job: (after := job.retry(frozenset({1})), harness.tasks(after))
        )
        assert again.nodes[1].captured is None
        job = await closed(harness, job_id)
        attempts = [node.attempt for node in job.nodes]
    assert (job.status, attempts) == ("succeeded", [1, 2])
    assert (sorted(harness.contacted), harness.contacted[-1]) == (["a", "b", "b"], "b")


class Uploaded:
    """An upload target with the files of a capture, of which only the first was closed."""

    refusal = None
    files_received, bytes_received, last_activity = 1, 24, 0.0

    def __init__(self, task: NodeTask) -> None:
        prefix = f"{task.folder.name}/files"
        self._files = [
            ReceivedFile(task.node, f"{prefix}/{NAME}.cap", 24, "9" * 64, closed=True),
            ReceivedFile(task.node, f"{prefix}/{NAME}1.cap", 7),
        ]

    def files(self) -> list[ReceivedFile]:
        return self._files


async def test_what_is_complete_can_be_put_on_record_before_its_node_ends(tmp_path: Path) -> None:
    early: list[tuple[str, bool]] = []

    async def files_early(task: NodeTask, report: Report) -> tuple[str, ...]:
        target = Uploaded(task)
        report.upload_target(target)
        report.complete(target.files())
        await report.filed()
        stored = await harness.store.files_after(task.job_id, ("", ""), 9)
        early.extend((PurePath(file.path).name, file.complete) for file in stored)
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = files_early
        job = await closed(harness, await start(harness, "a"))
        stored = await harness.store.files_after(job.job_id, ("", ""), 9)
        lines = (harness.supervisor.directory(job.job_id) / "manifest.jsonl").read_text()
    assert early == [(f"{NAME}.cap", True)]
    assert [file.complete for file in stored] == [True, False]
    assert lines.count("\n") == 2  # each once


async def test_its_file_is_in_an_export_with_what_was_captured(tmp_path: Path) -> None:
    async def captures_one(task: NodeTask, report: Report) -> tuple[str, ...]:
        path = task.folder / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 24)
        report.captured(Captured(NAME, NOW, NOW, 0, "duration"))
        report.kept(
            ReceivedFile(
                task.node, f"{task.folder.name}/{FILE}", 24, "9" * 64, closed=True, complete=True
            )
        )
        return ()

    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours["a"] = captures_one
        job = await harness.ended(await start(harness, "a"))
        directory = harness.supervisor.directory(job.job_id)
        archive = Archive(harness.store, job, directory, nodes=None, incomplete=False)
        found = await archive.measure()
        tar = b"".join([piece async for piece in archive.stream()])
    assert (found.files, len(tar)) == (1, found.length)
    assert b"Packets captured by cucmd" in tar
    assert b"at most 100000 packets" in tar
    assert b"0 packets captured" in tar
    assert b'"how":"duration"' in tar


async def retried(harness: SupervisorHarness, job_id: str, behaviour: Behaviour) -> Job:
    """The job once its only node was tried again, as the store has it."""
    harness.behaviours["a"] = behaviour
    await harness.supervisor.retry(
        job_id, lambda job: (after := job.retry(frozenset({0})), harness.tasks(after))
    )
    await closed(harness, job_id)
    stored = await harness.store.load(job_id)
    assert stored is not None
    return stored


def ends_as(name: str, *, running: bool) -> Behaviour:
    """The node fails, with a capture of that name; `running`: nothing shows that it has ended."""

    async def behaviour(task: NodeTask, report: Report) -> tuple[str, ...]:
        report.attempt(task.first_attempt)
        report.captured(Captured(name, NOW, NOW, how="failed", running=running))
        raise fail(Code.CONNECTION_LOST, "it was lost")

    return behaviour


async def test_a_retry_that_does_not_come_to_capture_names_the_one_of_before(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": lost}
        job_id = await start(harness, "a")
        await closed(harness, job_id)
        job = await retried(harness, job_id, fails_with(Code.CONNECT_TIMEOUT))
    shown = failed(job)
    assert shown.code is Code.CONNECT_TIMEOUT
    assert NAME in (shown.hint or "")
    assert job.may_run(job.nodes[0]) == (NAME,)


async def test_the_captures_of_all_tries_that_may_run_are_named(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with supervisor_harness(tmp_path) as harness:
        harness.behaviours = {"a": ends_as(NAME, running=True)}
        job_id = await start(harness, "a")
        await closed(harness, job_id)
        second = await retried(harness, job_id, ends_as(f"{NAME}_2", running=True))
        third = await retried(harness, job_id, ends_as(f"{NAME}_3", running=False))
        fourth = await retried(harness, job_id, fails_with(Code.CONNECT_TIMEOUT))
        fifth = await retried(harness, job_id, ready_after(0))
    both = (NAME, f"{NAME}_2")
    for job in (second, third, fourth, fifth):
        assert job.may_run(job.nodes[0]) == both
    for job in (second, third, fourth):
        assert all(f"/{name}.cap" in failed(job).message for name in both)
        assert f"{NAME}_3" not in failed(job).message
        assert f"{NAME}* " in (failed(job).hint or "")
    assert fifth.status == "succeeded"


async def test_a_kill_in_a_retry_leaves_both_named(tmp_path: Path) -> None:
    async with supervisor_harness(tmp_path) as harness:
        job = harness.job("a", work=WORK)
        left = killed(job, Captured(NAME, NOW, running=True))
        again = left.fail_unsettled(NOW, failure(Code.INTERRUPTED, "x")).retry(frozenset({0}))
        await harness.store.add_job(again)
        running = killed(again, Captured(f"{NAME}_2", NOW, running=True)).revised(again)
        await harness.store.save(again, running)
        await harness.supervisor.recover(lambda _: None)
        ended = await harness.ended(job.job_id)
    assert ended.may_run(ended.nodes[0]) == (NAME, f"{NAME}_2")
    assert all(f"/{name}.cap" in failed(ended).message for name in (NAME, f"{NAME}_2"))


def test_a_failure_names_a_capture_once_it_is_given_up() -> None:
    job = job_with(Captured(NAME, NOW, running=True))
    assert (job.may_run(job.nodes[0]), failed(job).message) == ((), "late")
    # It was cut off by a kill while it was being ended, and the next start has closed the job.
    closed = replace(job, closed=True)
    assert closed.may_run(job.nodes[0]) == (NAME,)
    job = job_with(Captured(NAME, NOW, NOW, running=True))
    assert f"/{NAME}.cap" in failed(job).message
    assert failed(job_with(Captured(NAME, NOW, NOW))).message == "late"


def job_with(captured: Captured, said: str = "late") -> Job:
    """A job whose node has failed, and that was not closed."""
    job = Job("0a1b2c3d4e5f", NOW, WORK, Timeouts(), 1, (Node("a"),))
    return killed(job, captured).fail_unsettled(NOW, failure(Code.JOB_TIMEOUT, said))


def test_a_failure_that_an_older_version_has_stored_says_it_once() -> None:
    said = "late; the capture may still run there"
    shown = failed(job_with(Captured(NAME, NOW, NOW, running=True), said))
    assert shown.message.count("may still run") == 1
    assert f"/{NAME}.cap" in shown.message
