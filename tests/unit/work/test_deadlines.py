"""The deadline of each phase: its failure, and how the connection is closed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from cucmd import vos
from cucmd.failure import Code, NodeFailed, failure
from cucmd.job.collect import Collect
from cucmd.job.failure import Failure
from cucmd.job.timeouts import Timeouts
from cucmd.node.deadlines import PhaseClock
from cucmd.node.ports import NodeTask
from rig.scripted_node import (
    COMPLETED,
    GATHERING,
    QUESTIONS,
    Answer,
    Node,
    announce,
    appliance,
    by_path,
    collected,
    node_task,
    pushes,
    scripted,
)


async def failure_and_seconds(node: Node, task: NodeTask) -> tuple[Failure, float]:
    started = trio.current_time()
    with pytest.raises(NodeFailed) as caught:
        await collected(node, task)
    return caught.value.failure, trio.current_time() - started


async def hang(node: Node, line: str = "") -> None:
    """Answers nothing but the end of the connection."""
    while True:
        await node.read_line()


async def test_a_connect_ends_after_its_timeout(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(hang) as node:
        node.before_connection = trio.Event()
        why, seconds = await failure_and_seconds(node, node_task(tmp_path))
        assert why.code == Code.CONNECT_TIMEOUT
        assert why.message.startswith("TimeoutError: Timed out after 30s")
        assert why.hint == failure(Code.CONNECT_TIMEOUT, "").hint
        assert seconds == pytest.approx(30)


async def test_a_port_that_takes_connections_but_speaks_no_ssh_is_not_called_unreachable(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(hang) as node:
        node.before_login = trio.Event()
        why, seconds = await failure_and_seconds(node, node_task(tmp_path))
        assert why.code == Code.CONNECT_TIMEOUT
        assert why.message.startswith("TimeoutError: Timed out after 30s")
        assert "SSH" in (why.hint or "")
        assert why.hint != failure(Code.CONNECT_TIMEOUT, "").hint
        assert seconds == pytest.approx(30)


async def test_a_login_without_prompt_ends_after_its_timeout(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(hang) as node:
        why, seconds = await failure_and_seconds(node, node_task(tmp_path))
        assert why.code == Code.LOGIN_TIMEOUT
        assert seconds == pytest.approx(120, abs=6)
        assert node.closed == 1


async def test_a_command_ends_after_its_timeout_with_ctrl_c_and_quit(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def gathers_until_interrupted(node: Node, line: str) -> None:
        await node.say(GATHERING)
        while await node.read_line() != "^C":
            pass

    async with scripted(appliance(gathers_until_interrupted)) as node:
        why, seconds = await failure_and_seconds(node, node_task(tmp_path))
        assert why.code == Code.COMMAND_TIMEOUT
        assert "file get activelog cm/trace/ccm/sdl" in why.message
        assert seconds == pytest.approx(600, abs=6)
        assert node.lines[-2:] == ["^C", "quit"]
        assert (node.closed, node.target.closed) == (1, True)


async def test_a_shell_that_does_not_answer_has_no_hint_about_window_or_paths(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def greets_and_hangs(node: Node) -> None:
        await node.say("", "admin:", end="")
        await hang(node)

    async with scripted(greets_and_hangs) as node:
        why, seconds = await failure_and_seconds(node, node_task(tmp_path))
        assert why.code == Code.COMMAND_TIMEOUT
        assert "'set cli pagination off'" in why.message
        assert seconds == pytest.approx(60, abs=6)
        assert why.hint is not None
        assert "does not answer" in why.hint
        assert "window" not in why.hint


@pytest.mark.parametrize("command", [vos.PAGER_OFF, vos.SHOW_STATUS])
async def test_a_plain_command_has_a_timeout_of_its_own(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, command: str
) -> None:
    async def hangs_at(node: Node) -> None:
        await node.say("", "admin:", end="")
        while (line := await node.read_line()) != command:
            await node.say(line, "admin:", end="")
        await hang(node)

    work = Collect(("core",), since=datetime(2026, 11, 25, 9, tzinfo=UTC))
    timeouts = Timeouts(connect=5, answer=7, command=8)
    async with scripted(hangs_at) as node:
        task = node_task(tmp_path, work=work, timeouts=timeouts)
        why, seconds = await failure_and_seconds(node, task)
        assert why.code == Code.COMMAND_TIMEOUT
        assert f"'{command}'" in why.message
        assert [line for line in node.lines if line not in ("^C", "")][-1] == command
        assert seconds == pytest.approx(7, abs=6)


async def test_a_file_get_may_take_longer_than_a_plain_command(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def gathers_long(node: Node, line: str) -> None:
        await trio.sleep(500)
        await pushes(1)(node, line)

    async with scripted(appliance(gathers_long)) as node:
        await collected(node, node_task(tmp_path, timeouts=Timeouts(answer=1)))


async def test_a_node_that_hangs_is_cut_after_the_grace(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(hang)) as node:
        task = node_task(tmp_path, timeouts=Timeouts(command=100, grace=4))
        why, seconds = await failure_and_seconds(node, task)
        assert why.code == Code.COMMAND_TIMEOUT
        assert seconds == pytest.approx(102, abs=4.1)
        assert node.closed == 1


async def test_a_slow_transfer_that_moves_may_exceed_the_command_timeout(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def trickle(node: Node, line: str) -> None:
        await announce(node, 1, 50)
        for _ in range(50):
            await trio.sleep(100)
            node.target.receive(1)
        node.target.store("slow", 50)
        await node.say(COMPLETED)

    async with scripted(appliance(trickle)) as node:
        await collected(node, node_task(tmp_path))


NO_DIRECTORY = QUESTIONS[:-1]


async def comes_slowly(node: Node) -> None:
    for _ in range(20):
        await trio.sleep(100)
        node.target.receive(1)
    node.target.store("slow", 20)


async def shows_dots(node: Node) -> None:
    for _ in range(20):
        await trio.sleep(100)
        await node.say(".", end="")
    node.target.store("slow", 20)


@pytest.mark.parametrize("transfer", [comes_slowly, shows_dots])
@pytest.mark.parametrize("left_out", QUESTIONS)
async def test_a_transfer_may_exceed_the_command_timeout_whichever_question_is_left_out(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    left_out: str,
    transfer: Callable[[Node], Awaitable[None]],
) -> None:
    async def trickle(node: Node, line: str) -> None:
        questions = [question for question in QUESTIONS if question != left_out]
        await announce(node, 1, 20, questions)
        await transfer(node)
        await node.say("", COMPLETED)

    async with scripted(appliance(trickle)) as node:
        await collected(node, node_task(tmp_path))


@pytest.mark.parametrize("questions", [QUESTIONS, NO_DIRECTORY, QUESTIONS[:3]])
async def test_the_echo_of_our_last_answer_does_not_prolong_the_command(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, questions: tuple[str, ...]
) -> None:
    async def silent_after_the_questions(node: Node, line: str) -> None:
        for question in questions:
            await node.say(f"{question} ", end="")
            await trio.sleep(0.1)  # the echo comes later than our answer
            await node.read_line()
        await hang(node)

    async with scripted(appliance(silent_after_the_questions)) as node:
        task = node_task(tmp_path, timeouts=Timeouts(connect=8, command=8, grace=1))
        why, seconds = await failure_and_seconds(node, task)
        assert why.code == Code.COMMAND_TIMEOUT
        assert why.message.startswith("TimeoutError: Timed out after 8s")
        assert "(command timeout)" in why.message
        assert seconds == pytest.approx(9, abs=2)


async def test_the_stall_timeout_is_never_longer_than_that_of_the_command(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(stalls_in_the_middle)) as node:
        task = node_task(tmp_path, timeouts=Timeouts(command=70, stall=120))
        why, seconds = await failure_and_seconds(node, task)
        assert why.code == Code.STALLED
        assert why.message.startswith("TimeoutError: Timed out after 70s")
        assert "stall timeout" in why.message
        assert "command" in why.message.partition("stall timeout")[2]
        assert seconds == pytest.approx(60 + 70, abs=8)


async def test_a_second_command_without_a_login_is_not_taken_for_the_first_ones_transfer(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    answers = by_path(syslog=pushes(5), core=stalls)
    async with scripted(appliance(answers)) as node:
        why, _ = await failure_and_seconds(node, node_task(tmp_path, "syslog", "core"))
        assert why.code == Code.RECEIVER_UNREACHABLE
        assert "no login came in" in why.message
        assert "(stall timeout)" in why.message


async def stalls(node: Node, line: str) -> None:
    await announce(node, 1, 50)
    await trio.sleep(500)
    await hang(node)


async def is_turned_away(node: Node, line: str) -> None:
    node.target.refused, node.target.refused_why = 1, "too many others are logging in"
    await announce(node, 1, 50)
    await hang(node)


async def test_a_stall_after_our_own_limit_kept_the_node_out_says_so(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted(appliance(is_turned_away)) as node:
        why, _ = await failure_and_seconds(node, node_task(tmp_path))
        assert why.code == Code.RECEIVER_UNREACHABLE
        assert "too many others are logging in" in why.message


async def stalls_in_the_middle(node: Node, line: str) -> None:
    await announce(node, 1, 50)
    await trio.sleep(60)
    node.target.receive(1)
    await hang(node)


@pytest.mark.parametrize(
    ("file_get", "code", "seconds"),
    [(stalls, Code.RECEIVER_UNREACHABLE, 120), (stalls_in_the_middle, Code.STALLED, 180)],
    ids=["no connection came", "bytes stopped"],
)
async def test_a_transfer_without_a_byte_ends_after_the_stall_timeout(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    file_get: Answer,
    code: Code,
    seconds: float,
) -> None:
    async with scripted(appliance(file_get)) as node:
        why, took = await failure_and_seconds(node, node_task(tmp_path))
        assert why.code is code
        assert took == pytest.approx(seconds, abs=8)
        assert node.target.revoked


async def test_dots_of_the_node_are_progress_of_a_transfer(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def dots(node: Node, line: str) -> None:
        await announce(node, 1, 5)
        for _ in range(10):
            await trio.sleep(100)
            await node.say(".", end="")
        node.target.store("a", 5)
        await node.say("", COMPLETED)

    async with scripted(appliance(dots)) as node:
        await collected(node, node_task(tmp_path))


async def test_a_file_that_is_never_closed_is_not_waited_for_without_end(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def never_closed(node: Node, line: str) -> None:
        await announce(node, 1, 5)
        node.target.receive(5)
        node.target.files_closed = trio.Event()
        await node.say(COMPLETED)

    async with scripted(appliance(never_closed)) as node:
        why, _ = await failure_and_seconds(node, node_task(tmp_path))
        assert why.code == Code.STALLED


async def test_each_command_has_the_whole_command_timeout(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    slow = pushes(1)

    async def gathers_long(node: Node, line: str) -> None:
        await trio.sleep(500)
        await slow(node, line)

    async with scripted(appliance(gathers_long)) as node:
        task = node_task(tmp_path, "a", "b", "c")
        await collected(node, task)


async def test_a_clock_that_has_run_out_stays_the_reason(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def connect_and_begin_late_to_log_in() -> None:
        with PhaseClock() as clock:
            clock.start(Code.CONNECT_TIMEOUT, 30, "connecting")
            try:
                await trio.sleep_forever()
            finally:
                clock.start(Code.LOGIN_TIMEOUT, 120, "logging in")

    with pytest.raises(NodeFailed, match=" 30s connecting") as caught:
        await connect_and_begin_late_to_log_in()
    assert caught.value.failure.code == Code.CONNECT_TIMEOUT


@pytest.mark.parametrize(
    "said", ["Which protocol shall be used (SFTP or FTPS): ", "not now\r\n", "why *****? "]
)
async def test_a_command_that_ends_at_a_question_nobody_knows_quotes_it(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, said: str
) -> None:
    async def asks_something_else(node: Node, line: str) -> None:
        await announce(node, 1, 50, QUESTIONS[:2])
        await node.say(said.replace("*****", "PlatformSecret"), end="")
        await hang(node)

    async with scripted(appliance(asks_something_else)) as node:
        why, _ = await failure_and_seconds(node, node_task(tmp_path))
        assert why.code == Code.COMMAND_TIMEOUT
        assert why.message.startswith("TimeoutError: Timed out after 600s")
        assert repr(said.strip()) in why.message
