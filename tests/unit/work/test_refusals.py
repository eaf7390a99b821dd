"""What a node that refuses has done: a cause is named only if there is evidence for it."""

import pytest

from cucmd.failure import Code
from cucmd.job.collect import Collect
from rig.scripted_node import (
    GATHERING,
    NO_SUCH_FILE,
    QUESTIONS,
    announce,
    appliance,
    by_path,
    pushes,
)


def refuses(*words, questions=()):
    async def file_get(node, line):
        await node.say(GATHERING)
        for question in questions:
            await node.ask(question)
        await node.say("", *words)

    return file_get


def gives_up_at_the_password(*words, turned_away=0, logins=0):
    """Writes all of it at once: nothing of it answers what is typed at the question."""

    async def file_get(node, line):
        await announce(node, 1, 5, QUESTIONS[:4])
        node.target.refused += turned_away
        node.target.refused_why = "too many others are logging in"
        node.target.logins += logins
        await node.say("\r\n".join(["Password: ", *words, "admin:"]), end="")
        await node.read_line()

    return file_get


async def logs_in_wrongly(node, line):
    """Echoes no password and asks for no directory: nothing says that the node read it."""
    await announce(node, 1, 5, QUESTIONS[:4])
    await node.say("Password: ")
    node.target.wrong_logins += 1


async def cuts_its_file(node, line):
    await announce(node, 1, 5)
    node.target.store("a", 3, closed=False)
    await node.say("sftp: write: No space left on device", "Connection closed")


REFUSED, UNREACHABLE = Code.COMMAND_REFUSED, Code.RECEIVER_UNREACHABLE
SSH_REFUSED = "ssh: connect to host 192.0.2.1 port 2222: Connection refused"


@pytest.mark.parametrize(
    ("file_get", "code", "words"),
    [
        (refuses("% Invalid command 'file get'"), REFUSED, "% Invalid command 'file get'"),
        (refuses("PAM: 'OneTimeSecret' is locked"), REFUSED, "PAM: '*****' is locked"),
        (refuses(), REFUSED, "no reason"),
        (refuses(questions=QUESTIONS[:1]), REFUSED, "proceed"),
        (refuses("too busy", questions=QUESTIONS[:4]), REFUSED, "too busy"),
        (gives_up_at_the_password("sftp is off"), REFUSED, "sftp is off"),
        (gives_up_at_the_password("'OneTimeSecret' is wrong"), REFUSED, "'*****'"),
        (gives_up_at_the_password(SSH_REFUSED), UNREACHABLE, "Connection refused"),
        (gives_up_at_the_password("Closed", turned_away=2), UNREACHABLE, "2 connections"),
        (gives_up_at_the_password("Lost", logins=1), Code.TRANSFER_INCOMPLETE, "Lost"),
        (logs_in_wrongly, Code.RECEIVER_REJECTED, ""),
        (
            cuts_its_file,
            Code.TRANSFER_INCOMPLETE,
            "No space left on device / Connection closed",
        ),
    ],
)
def test_a_refusal_is_judged_by_evidence(play, file_get, code, words):
    done = play(appliance(file_get), Collect(("core",)))
    assert done.code == code
    assert done.failure.message.startswith("core: ")
    assert words in done.failure.message


def test_an_earlier_path_explains_no_later_one(play):
    async def turned_away_and_back(node, line):
        node.target.refused, node.target.refused_why = 1, "too many others are logging in"
        await pushes(5)(node, line)

    file_get = by_path(first=turned_away_and_back, second=gives_up_at_the_password("sftp is off"))
    assert play(appliance(file_get), Collect(("first", "second"))).code == REFUSED


@pytest.mark.parametrize("at", range(len(QUESTIONS)))
def test_an_answer_run_by_the_shell(play, at):
    async def goes_back(node, line):
        await announce(node, 1, 5, QUESTIONS[:at])
        await node.say(f"{QUESTIONS[at]} ", "admin:", end="")
        await node.read_line()
        await node.say("No valid command entered")

    done = play(appliance(goes_back))
    last = at == len(QUESTIONS) - 1  # a login does not need the directory
    assert done.code == (UNREACHABLE if last else REFUSED)
    assert "No valid command" not in done.failure.message


def test_a_refused_path_stops_no_other(play):
    file_get = by_path(core=refuses("Not now"), syslog=pushes(5), nowhere=refuses(NO_SUCH_FILE))
    done = play(appliance(file_get), Collect(("nowhere", "core", "syslog")))
    assert (done.code, len(done.counted)) == (REFUSED, 1)
    assert done.failure.message.startswith("core: ")


@pytest.mark.parametrize("words", ["No files matched filter criteria", "Not now", NO_SUCH_FILE])
def test_files_of_a_refused_path_are_incomplete(play, words):
    async def sends_and_refuses(node, line):
        node.target.store("a", 5)
        await node.say(GATHERING, words)

    done = play(appliance(sends_and_refuses))
    assert (done.code, done.counted) == (Code.TRANSFER_INCOMPLETE, [])
