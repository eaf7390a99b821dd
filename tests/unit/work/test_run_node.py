"""Running commands on one node: what is kept, what ends a command, and what fails the node."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from cucmd import vos
from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code, NodeFailed
from cucmd.job.failure import Failure
from cucmd.job.node import Phase
from cucmd.job.run import Run
from cucmd.node.ports import NodeTask
from cucmd.vos.questions import QUIET_KNOWN
from cucmd.work.run import run
from rig.scripted_node import Answer, Node, RecordedReport, Script, answers, node_task, scripted
from unit.work.test_cancel_anywhere import CancelAtStep

STATUS = "show status"
SERVICES = "utils service list"
DIAGNOSE = "utils diagnose test"


def run_task(
    folder: Path, *commands: str, seconds: float | None = None, **fields: object
) -> NodeTask:
    return node_task(folder, work=Run(commands, seconds), **fields)


async def ran(node: Node, task: NodeTask) -> RecordedReport:
    report = RecordedReport()
    assert await run(task, task.work, node, report) == ()
    return report


async def failed(node: Node, task: NodeTask) -> tuple[Failure, RecordedReport]:
    report = RecordedReport()
    with pytest.raises(NodeFailed) as caught:
        await run(task, task.work, node, report)
    return caught.value.failure, report


def asks(*before: str, question: str) -> Answer:
    """Prints lines and asks. Only Ctrl-C leads back to the prompt."""

    async def answer(node: Node, line: str) -> None:
        await node.say(*before)
        while (typed := await node.ask(question)) != "^C":
            assert typed == "", f"{typed!r} was typed into a question"

    return answer


async def hangs(node: Node, line: str) -> None:
    await node.say("the first line")
    while True:
        await node.read_line()


def kept(report: RecordedReport) -> list[tuple[str, bool]]:
    return [(file.path, file.complete) for file in report.written]


async def test_what_came_while_the_loop_stood_still_is_no_silence_behind_a_prompt(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def prints_a_log_of_commands(node: Node, line: str) -> None:
        await node.say("admin:", end="")
        await trio.sleep(QUIET_KNOWN)  # the loop finds both in one turn: this, and that it is over
        await node.say("set cli pagination off", "the end")

    async with scripted(answers({STATUS: prints_a_log_of_commands})) as node:
        report = await ran(node, run_task(tmp_path / "cucm-pub", STATUS, SERVICES))
    said = (tmp_path / "cucm-pub/output/001-show-status.txt").read_text()
    assert said == "admin:set cli pagination off\nthe end\n"
    assert [complete for _, complete in kept(report)] == [True, True]


async def test_each_command_is_run_in_its_turn_and_its_output_is_kept(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    folder = tmp_path / "cucm-pub"
    said = {STATUS: ["Host Name : x", "", "Uptime:"], SERVICES: ["System SSH [STARTED]"]}
    async with scripted(answers(said)) as node:
        report = await ran(node, run_task(folder, STATUS, SERVICES))
    assert node.lines == [vos.PAGER_OFF, STATUS, SERVICES, "quit"]
    assert (folder / "output/001-show-status.txt").read_text() == "Host Name : x\n\nUptime:\n"
    assert (folder / "output/002-utils-service-list.txt").read_text() == "System SSH [STARTED]\n"
    assert kept(report) == [
        ("cucm-pub/output/001-show-status.txt", True),
        ("cucm-pub/output/002-utils-service-list.txt", True),
    ]
    assert report.written[1].size == 21
    assert len(report.written[1].sha256) == 64
    assert report.phases[-3:] == [Phase.PREPARE, Phase.COMMAND, Phase.CLOSE]
    assert node.closed == node.opened == 1


async def test_a_failed_retry_keeps_the_output(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with scripted(answers({STATUS: ["Host Name : x"]})) as node:
        before = await ran(node, run_task(tmp_path / "n", STATUS))
    async with scripted(answers({STATUS: hangs})) as node:
        _, after = await failed(node, run_task(tmp_path / "n", STATUS, first_attempt=2))
    assert kept(before) == [("n/output/001-show-status.txt", True)]
    assert kept(after) == [("n/output/001-show-status.attempt-2.txt", False)]
    assert (tmp_path / "n/output/001-show-status.txt").read_text() == "Host Name : x\n"
    assert (tmp_path / "n/output/001-show-status.attempt-2.txt").read_text() == "the first line\n"


async def test_an_output_shows_no_password(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with scripted(answers({STATUS: ["it is PlatformSecret"]})) as node:
        await ran(node, run_task(tmp_path / "n", STATUS))
    assert (tmp_path / "n/output/001-show-status.txt").read_text() == "it is *****\n"


async def test_the_name_of_an_output_is_safe(tmp_path: Path, autojump_clock: MockClock) -> None:
    line = "file search activelog /cm/trace/../x"
    with pytest.raises(vos.InvalidArgument):
        vos.parse_command(line)
    line = "file search activelog cm/trace/ccm/sdl/* [Ee]rror.* reltime hours 2 ignorecase"
    async with scripted(answers({line: ["x"]})) as node:
        await ran(node, run_task(tmp_path / "n", line))
    (file,) = (tmp_path / "n/output").iterdir()
    assert file.name == "001-file-search-activelog-cm-trace-ccm-sdl-Ee-rror.-reltime-hour.txt"


async def test_a_question_is_not_answered_and_the_next_command_runs(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {DIAGNOSE: asks("Starting", question="Continue (y/n)?"), STATUS: ["Host Name : x"]}
    async with scripted(answers(said)) as node:
        failure, report = await failed(node, run_task(tmp_path / "n", DIAGNOSE, STATUS))
    assert failure.code == Code.COMMAND_REFUSED
    assert "Continue (y/n)?" in failure.message
    assert node.lines == [vos.PAGER_OFF, DIAGNOSE, "^C", STATUS, "quit"]
    assert kept(report) == [
        ("n/output/001-utils-diagnose-test.txt", False),
        ("n/output/002-show-status.txt", True),
    ]
    assert (tmp_path / "n/output/001-utils-diagnose-test.txt").read_text() == "Starting\n"


async def test_a_question_that_ctrl_c_does_not_end_fails_the_node(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def for_ever(node: Node, line: str) -> None:
        while True:
            await node.ask("Continue (y/n)?")

    async with scripted(answers({DIAGNOSE: for_ever})) as node:
        began = trio.current_time()
        failure, _ = await failed(node, run_task(tmp_path / "n", DIAGNOSE, STATUS))
        assert trio.current_time() - began < 60
    assert failure.code == Code.COMMAND_REFUSED
    assert STATUS not in node.lines
    assert set(node.lines[2:]) <= {"^C", "", "quit"}  # nothing is typed that answers
    assert node.closed == 1


async def test_a_pager_in_the_middle_is_answered(tmp_path: Path, autojump_clock: MockClock) -> None:
    async def pages(node: Node, line: str) -> None:
        await node.say("one")
        await node.say("Press <enter> for 1 line, <space> for one page, or <q> to quit", end="")
        assert await node.read_keys() == b" "
        await node.say("\r\x1b[Ktwo")

    async with scripted(answers({STATUS: pages})) as node:
        await ran(node, run_task(tmp_path / "n", STATUS))
    assert (tmp_path / "n/output/001-show-status.txt").read_text() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("line", "seconds", "after"),
    [(STATUS, None, 60), (DIAGNOSE, None, 900), (STATUS, 7.0, 7), (DIAGNOSE, 7.0, 7)],
)
async def test_a_command_that_hangs_ends_the_node_at_its_own_time(
    tmp_path: Path, autojump_clock: MockClock, line: str, seconds: float | None, after: float
) -> None:
    async with scripted(answers({line: hangs})) as node:
        began = trio.current_time()
        task = run_task(tmp_path / "n", line, SERVICES, seconds=seconds)
        failure, report = await failed(node, task)
        assert after <= trio.current_time() - began < after + 10
    assert failure.code == Code.COMMAND_TIMEOUT
    assert failure.message.startswith(f"TimeoutError: Timed out after {after}s in '{line}'")
    assert SERVICES not in node.lines
    assert [complete for _, complete in kept(report)] == [False]
    (file,) = (tmp_path / "n/output").iterdir()
    assert file.read_text() == "the first line\n"
    assert "^C" in node.lines  # it is told to stop before the connection is closed


async def test_a_refused_command_fails_the_node_after_the_others_have_run(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    said = {"show memory size": ["Executed command unsuccessfully"], STATUS: ["Host Name : x"]}
    async with scripted(answers(said)) as node:
        task = run_task(tmp_path / "n", "show memory size", STATUS)
        failure, report = await failed(node, task)
    assert failure.code == Code.COMMAND_REFUSED
    assert failure.message.startswith("1 of 2 ")
    assert "'show memory size'" in failure.message
    assert failure.message.endswith(": Executed command unsuccessfully")
    assert [complete for _, complete in kept(report)] == [True, True]


async def test_output_counts_as_what_a_node_may_send(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    quota = Quota(Allowance(10), Allowance(0))
    async with scripted(answers({STATUS: ["x" * 20]})) as node:
        failure, report = await failed(node, run_task(tmp_path / "n", STATUS, quota=quota))
    assert (failure.code, report.written) == (Code.QUOTA_EXCEEDED, [])
    assert "limits.node_bytes" in failure.message


async def test_a_full_disk_fails_the_node_before_anything_is_written(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Node, "shortage", lambda self, descriptor: "1 MiB of the disk is free")
    async with scripted(answers({STATUS: ["x"]})) as node:
        failure, _ = await failed(node, run_task(tmp_path / "n", STATUS))
    assert failure.code == Code.DISK_FULL
    assert list((tmp_path / "n/output").iterdir()) == []


async def test_a_connection_that_is_lost_in_the_middle(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def cuts(node: Node, line: str) -> None:
        await node.say("one")
        raise trio.BrokenResourceError

    async with scripted(answers({STATUS: ["x"], SERVICES: cuts})) as node:
        failure, report = await failed(node, run_task(tmp_path / "n", STATUS, SERVICES))
    assert failure.code == Code.CONNECTION_LOST
    assert kept(report) == [("n/output/001-show-status.txt", True)]


async def run_and_cancel(
    folder: Path, script: Script, commands: Sequence[str], step: int
) -> tuple[Node, bool, float]:
    async with trio.open_nursery() as nursery:
        node = Node(script, nursery)
        with trio.CancelScope() as scope:
            instrument = CancelAtStep(trio.lowlevel.current_task(), scope, step)
            trio.lowlevel.add_instrument(instrument)
            began = trio.current_time()
            try:
                with pytest.raises(NodeFailed) if DIAGNOSE in commands else trio.CancelScope():
                    await ran(node, run_task(folder, *commands))
            finally:
                trio.lowlevel.remove_instrument(instrument)
        seconds = trio.current_time() - began
        nursery.cancel_scope.cancel()
    return node, scope.cancelled_caught, seconds


@pytest.mark.parametrize("commands", [(STATUS, SERVICES), (DIAGNOSE, STATUS)])
async def test_a_cancel_at_any_step_leaves_nothing_open(
    tmp_path: Path, autojump_clock: MockClock, commands: tuple[str, ...]
) -> None:
    said = {
        STATUS: ["Host Name : x"],
        SERVICES: ["System SSH [STARTED]"],
        DIAGNOSE: asks("Starting", question="Continue (y/n)?"),
    }
    step, cancelled = 0, True
    while cancelled:
        step += 1
        folder = tmp_path / str(step)
        node, cancelled, seconds = await run_and_cancel(folder, answers(said), commands, step)
        assert node.closed == node.opened, f"step {step}"
        # The question counts after 5 s of silence.
        assert seconds < 20, f"step {step}"
        assert set(node.lines) <= {vos.PAGER_OFF, *commands, "^C", "", "quit"}
        written = list((folder / "output").glob("*")) if (folder / "output").exists() else []
        assert all(file.suffix == ".txt" for file in written), f"step {step}"
    assert step > 20  # it went through the whole dialogue
