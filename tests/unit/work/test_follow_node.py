"""Following a file on one node: what is kept as it comes, how it ends, and a cancel at any step."""

import hashlib
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from cucmd import vos
from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code, NodeFailed
from cucmd.job.failure import Failure
from cucmd.job.follow import Follow
from cucmd.job.node import Phase
from cucmd.jobs.joint_run import JointRun
from cucmd.node.ports import NodeTask
from cucmd.work import follow as work_follow
from cucmd.work.follow import ENDED_WITHIN, follow
from rig.scripted_node import Node, RecordedReport, Script, answers, node_task, scripted
from unit.work.capture_node import Act, until_ctrl_c
from unit.work.test_cancel_anywhere import cancel_at_every_step

WORK = Follow("syslog/messages", duration=600.0)
LINE = "file tail activelog syslog/messages"
OUTPUT = "output/001-file-tail-activelog-syslog-messages.txt"
LINES = [f"line {number}" for number in range(1, 8)]  # more than a refusal has


def follow_task(folder: Path, work: Follow = WORK, **fields: object) -> NodeTask:
    task = node_task(folder / "cucm-pub", work=work, **fields)
    return replace(task, joint_run=JointRun((task.node,)))


def node_that(act: Act, line: str = LINE) -> Script:
    async def answer(node: Node, line: str) -> None:
        await act(node)

    return answers({line: answer})


async def grows(node: Node) -> None:
    """Prints a line a minute, until Ctrl-C."""
    await node.say(*LINES)
    async with trio.open_nursery() as nursery:

        async def write() -> None:
            for minute in range(1, 1000):
                await trio.sleep(60)
                await node.say(f"minute {minute}")

        nursery.start_soon(write)
        await until_ctrl_c(node)
        nursery.cancel_scope.cancel()


def says(*lines: str) -> Act:
    async def act(node: Node) -> None:
        if lines:  # nothing at all would be the end of the connection
            await node.say(*lines)

    return act


async def followed(script: Script, task: NodeTask) -> tuple[tuple[str, ...], Node, RecordedReport]:
    report = RecordedReport()
    async with scripted(script) as node:
        notes = await follow(task, task.work, node, report)
    assert node.closed == node.opened
    return notes, node, report


async def failed(script: Script, task: NodeTask) -> tuple[Failure, Node, RecordedReport]:
    report = RecordedReport()
    async with scripted(script) as node:
        with pytest.raises(NodeFailed) as caught:
            await follow(task, task.work, node, report)
    assert node.closed == node.opened
    return caught.value.failure, node, report


def kept(task: NodeTask) -> list[str]:
    return (task.folder / OUTPUT).read_text().splitlines()


async def test_it_ends_at_its_duration_and_a_file_that_rests_is_no_stall(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def rests(node: Node) -> None:
        await node.say("the last line")
        await until_ctrl_c(node)

    task, began = follow_task(tmp_path), trio.current_time()
    notes, node, report = await followed(node_that(rests), task)
    assert node.lines == [vos.PAGER_OFF, LINE, "^C", "quit"]
    assert 600 <= trio.current_time() - began < 610
    assert kept(task) == ["the last line"]
    assert len(notes) == 1
    assert "600 s" in notes[0]
    assert report.phases[-3:] == [Phase.PREPARE, Phase.COMMAND, Phase.CLOSE]
    (file,) = report.written
    assert (file.path, file.complete, file.size) == (f"cucm-pub/{OUTPUT}", True, 14)
    assert file.sha256 == hashlib.sha256(b"the last line\n").hexdigest()


async def test_its_lines_are_on_disk_as_they_come(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task = follow_task(tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(followed, node_that(grows), task)
        for minutes in (1, 2, 3):
            await trio.sleep(61)
            assert kept(task)[-1] == f"minute {minutes}"
        task.joint_run.stop()
    assert kept(task) == [*LINES, "minute 1", "minute 2", "minute 3"]


async def test_a_stop_ends_it_at_once_and_nothing_is_said_of_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task = follow_task(tmp_path)

    async def stop() -> None:
        await trio.sleep(125)
        assert task.joint_run.stop() == 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        notes, node, report = await followed(node_that(grows), task)
    assert 125 <= trio.current_time() < 130
    assert (notes, node.lines[-2:]) == ((), ["^C", "quit"])
    assert report.written[0].complete


async def test_what_was_on_its_way_at_ctrl_c_is_kept(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def act(node: Node) -> None:
        await node.say(*LINES)
        await until_ctrl_c(node)
        await node.say("late", "Control-C pressed")

    task = follow_task(tmp_path)
    await followed(node_that(act), task)
    assert kept(task) == [*LINES, "late"]


async def test_the_line_that_is_typed(tmp_path: Path, autojump_clock: MockClock) -> None:
    work = Follow("cm/trace/ccm/sdl/", recent=True, regexp="SIP.*INVITE")
    line = "file tail activelog cm/trace/ccm/sdl/ recent regexp SIP.*INVITE"
    _, node, report = await followed(node_that(grows, line), follow_task(tmp_path, work))
    assert line in node.lines
    assert report.written[0].path.startswith("cucm-pub/output/001-file-tail-activelog-cm-trace")


async def test_no_line_of_a_log_is_a_question_a_prompt_or_a_refusal(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    lines = ("Continue (y/n)?", "admin:", "x admin:", "No valid command entered", "Password:")

    async def act(node: Node) -> None:
        for line in lines:
            await node.say(line)
            await trio.sleep(30)
        await node.say("Overwrite (y/n)? ", end="")
        await trio.sleep(30)
        await node.say("login: admin:", end="")
        await until_ctrl_c(node)

    task = follow_task(tmp_path)
    _, node, _ = await followed(node_that(act), task)
    assert node.lines == [vos.PAGER_OFF, LINE, "^C", "quit"]
    assert kept(task) == [*lines, "Overwrite (y/n)? login: admin:"]


async def test_a_password_is_masked_and_escapes_are_gone(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task = follow_task(tmp_path)
    said = (*LINES, "it is PlatformSecret", "\x1b[2J\x1b]0;owned\x07red\x07")
    await followed(node_that(says(*said)), task)
    assert kept(task) == [*LINES, "it is *****", "red"]


async def test_a_node_that_ends_it_by_itself_succeeds_with_a_note(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task = follow_task(tmp_path)
    notes, node, report = await followed(node_that(says(*LINES)), task)
    assert kept(task) == LINES
    (note,) = notes
    assert "ended it by itself" in note
    assert "^C" not in node.lines
    assert report.written[0].complete


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (["Executed command unsuccessfully"], Code.COMMAND_REFUSED),
        (["No valid command entered"], Code.COMMAND_REFUSED),
        (["This needs privilege level 1"], Code.COMMAND_REFUSED),
        ([], Code.COMMAND_REFUSED),
        (
            ["no such file or directory can be found", "Executed command unsuccessfully"],
            Code.INVALID_PATH,
        ),
    ],
)
async def test_a_node_that_refuses_it_fails_and_is_quoted(
    tmp_path: Path, autojump_clock: MockClock, said: list[str], code: Code
) -> None:
    task = follow_task(tmp_path)
    failure, _, report = await failed(node_that(says(*said)), task)
    assert failure.code is code
    assert " / ".join(said) in failure.message
    assert ("level 1" in failure.hint) == (code == Code.COMMAND_REFUSED)
    assert kept(task) == said
    assert not report.written[0].complete


async def test_a_refusal_just_before_a_stop_is_one(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def act(node: Node) -> None:
        await trio.sleep(10)
        await node.say("This needs privilege level 1")

    task = follow_task(tmp_path)

    async def stop() -> None:
        await trio.sleep(11.5)
        task.joint_run.stop()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        failure, node, _ = await failed(node_that(act), task)
    assert failure.code == Code.COMMAND_REFUSED
    assert "^C" not in node.lines
    assert kept(task) == ["This needs privilege level 1"]


async def test_a_line_like_the_prompt_delays_a_stop_a_little(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def act(node: Node) -> None:
        await node.say(*LINES)
        await node.say("admin:", end="")
        await trio.sleep(1)
        await node.say(" has come")
        await until_ctrl_c(node)

    task = follow_task(tmp_path, replace(WORK, duration=0.5))
    notes, node, _ = await followed(node_that(act), task)
    assert (len(notes), node.lines[-2:]) == (1, ["^C", "quit"])
    assert kept(task) == [*LINES, "admin: has come"]


async def test_a_node_that_ignores_ctrl_c_is_left_and_the_note_says_so(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def act(node: Node) -> None:
        await node.say(*LINES)
        await trio.sleep_forever()

    task = follow_task(tmp_path)
    notes, _, report = await followed(node_that(act), task)
    assert ENDED_WITHIN + 600 <= trio.current_time() < ENDED_WITHIN + 615
    assert len(notes) == 2
    assert "Ctrl-C" in notes[1]
    assert report.written[0].complete


async def test_a_node_that_does_not_take_the_command_fails_within_the_answer_timeout(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def script(node: Node) -> None:
        await node.say("Command Line Interface is starting up, please wait ...")
        await node.prompt()
        await node.read_line()
        await node.prompt()
        await trio.sleep_forever()

    task = follow_task(tmp_path)
    failure, _, report = await failed(script, task)
    assert failure.code == Code.COMMAND_TIMEOUT
    assert trio.current_time() < 100
    assert not report.written[0].complete


async def test_a_connection_that_is_lost_fails_the_node_and_what_came_is_kept(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def act(node: Node) -> None:
        await node.say(*LINES)
        await node.say("half a li", end="")
        await trio.sleep(5)
        node.hang_up()
        await trio.sleep_forever()

    task = follow_task(tmp_path)
    failure, _, report = await failed(node_that(act), task)
    assert failure.code == Code.CONNECTION_LOST
    assert kept(task) == [*LINES, "half a li"]
    assert not report.written[0].complete


async def without_end(node: Node) -> None:
    """Faster than a session reads, as far as its window lets it."""
    async with trio.open_nursery() as nursery:

        async def write() -> None:
            while True:
                await node.say(*["x" * 79] * 100)
                await trio.sleep(0.05)

        nursery.start_soon(write)
        await until_ctrl_c(node)
        nursery.cancel_scope.cancel()


async def test_a_node_that_prints_without_end_is_ended_at_the_limit(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_follow, "MOST", 3_000_000)
    task = follow_task(tmp_path)
    notes, _, report = await followed(node_that(without_end), task)
    assert trio.current_time() < 60
    assert len(notes) == 1
    (file,) = report.written
    assert file.complete
    content = (task.folder / OUTPUT).read_bytes()
    assert 3_000_000 - 80 < len(content) == file.size <= 3_000_000
    assert hashlib.sha256(content).hexdigest() == file.sha256
    assert set(content.decode().splitlines()) == {"x" * 79}


async def test_its_share_of_the_job_is_counted(tmp_path: Path, autojump_clock: MockClock) -> None:
    task = follow_task(tmp_path, quota=Quota(node=Allowance(40)))
    failure, _, report = await failed(node_that(grows), task)
    assert failure.code == Code.QUOTA_EXCEEDED
    assert report.written[0].size <= 40


async def test_a_disk_that_is_nearly_full_fails_the_node(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Node, "shortage", lambda node, descriptor: "no space")
    failure, node, report = await failed(node_that(grows), follow_task(tmp_path))
    assert failure.code == Code.DISK_FULL
    assert "^C" in node.lines
    assert report.written[0].size == 0


async def test_a_cancel_keeps_what_came_as_not_whole(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    task, report = follow_task(tmp_path), RecordedReport()
    async with scripted(node_that(grows)) as node:
        with trio.move_on_after(130):
            await follow(task, task.work, node, report)
    assert node.lines[-2:] == ["^C", "quit"]
    assert node.closed == node.opened
    assert kept(task) == [*LINES, "minute 1", "minute 2"]
    assert [file.complete for file in report.written] == [False]
    assert trio.current_time() < 132


@pytest.mark.parametrize("act", [grows, says(*LINES), says("Executed command unsuccessfully")])
async def test_a_cancel_at_any_step_leaves_nothing_open(
    tmp_path: Path, autojump_clock: MockClock, act: Act
) -> None:
    runs = 0

    async def work(node: Node) -> None:
        nonlocal runs
        runs += 1
        task = follow_task(tmp_path / str(runs), replace(WORK, duration=5.0))
        report = RecordedReport()
        try:
            await follow(task, task.work, node, report)
        except NodeFailed:
            pass
        finally:
            assert len(report.written) <= 1
            assert task.joint_run.stop() == 0  # nothing is said to run
            if report.written:
                content = (task.folder / OUTPUT).read_bytes()
                assert hashlib.sha256(content).hexdigest() == report.written[0].sha256

    await cancel_at_every_step(node_that(act), work)
