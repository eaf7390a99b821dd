"""The start of a session: what is typed before the first prompt, and the pauses of retries."""

import random
from pathlib import Path

import pytest
import trio

from cucmd.failure import Code, failure
from cucmd.job.timeouts import Timeouts
from cucmd.node.dialogue import EMPTY_LINE_AFTER
from cucmd.node.ports import Retry
from cucmd.node.session_start import retry_delay
from rig.scripted_node import (
    GREETING,
    Node,
    RecordedReport,
    Script,
    appliance,
    collected,
    failed,
    node_task,
    pushes,
    scripted,
)
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
async def test_types_nothing_into_question(
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


async def test_short_login_timeout_shortens_silence(tmp_path: Path, autojump_clock: Clock) -> None:
    async with scripted(stops_at("Current password: ")) as node:
        why = await failed(node, node_task(tmp_path, timeouts=Timeouts(login=10)))
        assert why.code == Code.LOGIN_QUESTION
        assert trio.current_time() == pytest.approx(5, abs=1)


async def test_waits_at_unfinished_line(tmp_path: Path, autojump_clock: Clock) -> None:
    async with scripted(stops_at("please wait ")) as node:
        why = await failed(node, node_task(tmp_path))
        assert why.code == Code.LOGIN_TIMEOUT
        assert "'please wait'" in why.message
        assert node.lines == []


async def test_types_empty_line_after_silence(tmp_path: Path, autojump_clock: Clock) -> None:
    async with scripted(stops_at("")) as node:
        why = await failed(node, node_task(tmp_path, timeouts=Timeouts(login=21)))
        assert why.code == Code.LOGIN_TIMEOUT
        assert node.lines == ["", "", "", ""]


async def test_banner_stops_within_line(tmp_path: Path, autojump_clock: Clock) -> None:
    """Busy nodes of release 11.5 stop so, and nodes whose resolver does not answer."""

    async def slow(node: Node) -> None:
        for piece in ("Checking DNS:", " none", "\r\nVMware Installation:", "\r\n"):
            await node.say(piece, end="")
            await trio.sleep(12 if piece.endswith(":") else 1)
        await appliance(file_get)(node)

    async with scripted(slow) as node:
        why = await failed(node, node_task(tmp_path))
        assert why.code == Code.NO_FILES_MATCHED
        assert "" not in node.lines


async def test_question_while_loop_stood_still(tmp_path: Path, autojump_clock: Clock) -> None:
    async def asks_late(node: Node) -> None:
        await node.say(*GREETING)
        await trio.sleep(EMPTY_LINE_AFTER)  # the silence ends in the same turn of the loop
        await node.say("Current password: ", end="")
        await hang(node)

    async with scripted(asks_late) as node:
        why = await failed(node, node_task(tmp_path))
        assert why.code == Code.LOGIN_QUESTION
        assert node.lines == []


RETRY = Retry(attempts=6, base=10, cap=100)
MIDDLE = 0.5  # the random number for a pause that is neither shorter nor longer


def test_delay_doubles_up_to_cap() -> None:
    pauses = [retry_delay(RETRY, failed, MIDDLE) for failed in range(1, 7)]
    assert pauses == [10, 20, 40, 80, 100, 100]


@pytest.mark.parametrize("failed", [1, 3, 6])
def test_delay_is_spread(failed: int) -> None:
    middle = retry_delay(RETRY, failed, MIDDLE)
    spread = [retry_delay(RETRY, failed, fraction) for fraction in (0, 1)]
    assert spread == [0.5 * middle, 1.5 * middle]


async def test_each_delay_is_random(tmp_path: Path, autojump_clock: Clock) -> None:
    """Otherwise all jobs would connect to a recovering cluster at the same moment."""
    times: list[float] = []

    class Timed(RecordedReport):
        def attempt(self, number: int) -> None:
            times.append(trio.current_time())

    random.seed(7)
    expected = [retry_delay(RETRY, failed, random.random()) for failed in (1, 2)]
    random.seed(7)
    async with scripted(appliance(pushes(1))) as node:
        node.refusals = [failure(Code.CONNECTION_REFUSED, "cucm-pub:22 refused")] * 2
        task = node_task(tmp_path, retry=RETRY)
        await collected(node, task, Timed())
    first, second, third = times
    assert [second - first, third - second] == pytest.approx(expected)
