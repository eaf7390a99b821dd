"""What a node that refuses is said to have done: a cause is named only where there is evidence."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from cucmd.failure import Code, NodeFailed
from rig.scripted_node import (
    GATHERING,
    NO_SUCH_FILE,
    QUESTIONS,
    Answer,
    Node,
    RecordedReport,
    announce,
    appliance,
    by_path,
    collected,
    failed,
    node_task,
    pushes,
    scripted,
)


def refuses(*words: str, questions: Sequence[str] = ()) -> Answer:
    async def file_get(node: Node, line: str) -> None:
        await node.say(GATHERING)
        for question in questions:
            await node.ask(question)
        await node.say("", *words)

    return file_get


@pytest.mark.parametrize(
    ("file_get", "says"),
    [
        (refuses("% Invalid command 'file get'"), "% Invalid command 'file get'"),
        (refuses("PAM: 'OneTimeSecret' is locked"), "PAM: '*****' is locked"),
        (refuses(), "no reason"),
        (refuses(questions=QUESTIONS[:1]), "proceed"),
        (refuses("too busy", questions=QUESTIONS[:4]), "too busy"),
    ],
)
async def test_a_node_that_refuses_is_not_called_unable_to_reach_the_receiver(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, file_get: Answer, says: str
) -> None:
    async with scripted(appliance(file_get)) as node:
        why = await failed(node, node_task(tmp_path, "core"))
    assert why.code == Code.COMMAND_REFUSED
    assert why.message.startswith("core: ")
    assert says in why.message


def gives_up_at_the_password(*words: str, turned_away: int = 0, logins: int = 0) -> Answer:
    """Writes all of it at once: nothing of it answers what is typed at the question."""

    async def file_get(node: Node, line: str) -> None:
        await announce(node, 1, 5, QUESTIONS[:4])
        node.target.refused += turned_away
        node.target.refused_why = "too many others are logging in"
        node.target.logins += logins
        await node.say("\r\n".join(["Password: ", *words, "admin:"]), end="")
        await node.read_line()

    return file_get


@pytest.mark.parametrize(
    ("file_get", "code", "says"),
    [
        (gives_up_at_the_password("sftp is off"), Code.COMMAND_REFUSED, "sftp is off"),
        (gives_up_at_the_password("'OneTimeSecret' is wrong"), Code.COMMAND_REFUSED, "'*****'"),
        (
            gives_up_at_the_password(
                "ssh: connect to host 192.0.2.1 port 2222: Connection refused"
            ),
            Code.RECEIVER_UNREACHABLE,
            "Connection refused",
        ),
        (
            gives_up_at_the_password("Connection closed", turned_away=2),
            Code.RECEIVER_UNREACHABLE,
            "2 connections",
        ),
        (gives_up_at_the_password("Lost", logins=1), Code.TRANSFER_INCOMPLETE, "Lost"),
    ],
)
async def test_words_at_the_password_are_judged_by_evidence(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, file_get: Answer, code: Code, says: str
) -> None:
    async with scripted(appliance(file_get)) as node:
        why = await failed(node, node_task(tmp_path))
    assert why.code is code
    assert says in why.message


async def test_connections_turned_away_in_an_earlier_path_explain_no_later_one(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def turned_away_and_back(node: Node, line: str) -> None:
        node.target.refused, node.target.refused_why = 1, "too many others are logging in"
        await pushes(5)(node, line)

    answers = by_path(first=turned_away_and_back, second=gives_up_at_the_password("sftp is off"))
    async with scripted(appliance(answers)) as node:
        why = await failed(node, node_task(tmp_path, "first", "second"))
    assert why.code == Code.COMMAND_REFUSED


@pytest.mark.parametrize("at", range(len(QUESTIONS)))
async def test_an_answer_that_the_shell_runs_says_nothing_of_the_node(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, at: int
) -> None:
    async def goes_back(node: Node, line: str) -> None:
        await announce(node, 1, 5, QUESTIONS[:at])
        await node.say(f"{QUESTIONS[at]} ", "admin:", end="")
        await node.read_line()
        await node.say("No valid command entered")

    async with scripted(appliance(goes_back)) as node:
        why = await failed(node, node_task(tmp_path))
    last = at == len(QUESTIONS) - 1  # a login does not need the directory
    assert why.code is (Code.RECEIVER_UNREACHABLE if last else Code.COMMAND_REFUSED)
    assert "No valid command" not in why.message


async def test_a_path_that_is_refused_stops_no_other_but_fails_the_node(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    answers = by_path(core=refuses("Not now"), syslog=pushes(5), nowhere=refuses(NO_SUCH_FILE))
    async with scripted(appliance(answers)) as node:
        report = RecordedReport()
        with pytest.raises(NodeFailed) as caught:
            await collected(node, node_task(tmp_path, "nowhere", "core", "syslog"), report)
    assert caught.value.failure.code == Code.COMMAND_REFUSED
    assert caught.value.failure.message.startswith("core: ")
    assert len(report.counted) == 1


async def test_what_a_node_said_stands_in_the_failure_of_its_transfer(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def says_why(node: Node, line: str) -> None:
        await announce(node, 1, 5)
        node.target.store("a", 3, closed=False)
        await node.say("sftp: write: No space left on device", "Connection closed")

    async with scripted(appliance(says_why)) as node:
        why = await failed(node, node_task(tmp_path))
    assert why.code == Code.TRANSFER_INCOMPLETE
    assert "No space left on device / Connection closed" in why.message


@pytest.mark.parametrize("words", ["No files matched filter criteria", "Not now", NO_SUCH_FILE])
async def test_what_comes_of_a_node_that_refuses_is_incomplete(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, words: str
) -> None:
    async def sends_and_refuses(node: Node, line: str) -> None:
        node.target.store("a", 5)
        await node.say(GATHERING, words)

    async with scripted(appliance(sends_and_refuses)) as node:
        why = await failed(node, node_task(tmp_path))
    assert why.code == Code.TRANSFER_INCOMPLETE


async def test_a_wrong_login_is_the_cause_where_the_dialogue_does_not_show_one(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The node echoes no password and asks for no directory: nothing says that it read it."""

    async def logs_in_wrongly(node: Node, line: str) -> None:
        await announce(node, 1, 5, QUESTIONS[:4])
        await node.say("Password: ")
        node.target.wrong_logins += 1

    async with scripted(appliance(logs_in_wrongly)) as node:
        why = await failed(node, node_task(tmp_path))
    assert why.code == Code.RECEIVER_REJECTED
