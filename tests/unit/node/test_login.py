"""From the shell to the first prompt: when an empty line is typed, and when nothing is."""

from pathlib import Path

import pytest
import trio

from cucmd.failure import Code
from cucmd.job.timeouts import Timeouts
from cucmd.node.dialogue import EMPTY_LINE_AFTER
from rig.scripted_node import GREETING, Node, Script, appliance, failed, node_task, scripted
from rig.scripted_node import matches_nothing as file_get

Clock = trio.testing.MockClock


async def hang(node: Node) -> None:
    while True:
        await node.read_line()


def stops_at(text: str) -> Script:
    async def script(node: Node) -> None:
        await node.say(*GREETING)
        if text:
            await node.say(text, end="")
        await hang(node)

    return script


@pytest.mark.parametrize("question", ["Current password: ", "Password for admin:"])
async def test_nothing_is_typed_into_a_question(
    tmp_path: Path, autojump_clock: Clock, question: str
) -> None:
    async with scripted(stops_at(question)) as node:
        why = await failed(node, node_task(tmp_path))
        assert why.code == Code.LOGIN_QUESTION
        assert not why.retryable
        assert repr(question.strip()) in why.message
        assert trio.current_time() == pytest.approx(15, abs=1), "of the 120 s that a login may take"
        assert (node.lines, node.opened, node.closed) == ([], 1, 1)
    assert " > " not in (tmp_path / "transcript.log").read_text()


async def test_a_short_login_timeout_shortens_the_silence(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with scripted(stops_at("Current password: ")) as node:
        why = await failed(node, node_task(tmp_path, timeouts=Timeouts(login=10)))
        assert why.code == Code.LOGIN_QUESTION
        assert trio.current_time() == pytest.approx(5, abs=1)


async def test_an_unfinished_line_that_is_no_question_is_waited_for(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with scripted(stops_at("please wait ")) as node:
        why = await failed(node, node_task(tmp_path))
        assert why.code == Code.LOGIN_TIMEOUT
        assert "'please wait'" in why.message
        assert node.lines == []


async def test_an_empty_line_is_typed_after_each_5_s_of_silence(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with scripted(stops_at("")) as node:
        why = await failed(node, node_task(tmp_path, timeouts=Timeouts(login=21)))
        assert why.code == Code.LOGIN_TIMEOUT
        assert node.lines == ["", "", "", ""]


async def test_a_banner_that_stops_for_seconds_in_the_middle_of_a_line(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    """It stops so on a busy node of release 11.5, and with a resolver that does not answer."""

    async def slow(node: Node) -> None:
        for piece in ("Checking DNS:", " none", "\r\nVMware Installation:", "\r\n"):
            await node.say(piece, end="")
            await trio.sleep(12 if piece.endswith(":") else 1)
        await appliance(file_get)(node)

    async with scripted(slow) as node:
        why = await failed(node, node_task(tmp_path))
        assert why.code == Code.NO_FILES_MATCHED
        assert "" not in node.lines


async def test_a_question_that_came_while_the_loop_stood_still_is_given_no_empty_line(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async def asks_late(node: Node) -> None:
        await node.say(*GREETING)
        await trio.sleep(EMPTY_LINE_AFTER)  # the loop finds both in one turn: this, and the silence
        await node.say("Current password: ", end="")
        await hang(node)

    async with scripted(asks_late) as node:
        why = await failed(node, node_task(tmp_path))
        assert why.code == Code.LOGIN_QUESTION
        assert node.lines == []
