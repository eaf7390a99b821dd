"""A command of forms.py, from its echo to the prompt: pagers and questions; refusals."""

import pytest

from cucmd import vos
from cucmd.failure import Code
from cucmd.vos.dialogue_events import Event, Send
from cucmd.vos.forms import Command
from unit.vos.driver import ADMIN_PASSWORD, new_cli

COMMAND = vos.parse_command("utils diagnose test")
PAGER = b"\x1b[1mPress <enter> for 1 line, <space> for one page, or <q> to quit\x1b[0m"


def running(command: Command = COMMAND) -> vos.Cli:
    """Returns a command line on which the command was typed and echoed."""
    cli = new_cli()
    cli.receive(cli.run(command) + b"\n")
    return cli


def test_answers_pager_within_output() -> None:
    cli = running()
    (send,) = cli.receive(b"one\r\n" + PAGER)
    assert (type(send), send.data) == (Send, b" ")
    assert cli.quiet_after is None  # a pager is no question that ends the command
    cli.receive(b"\r\x1b[Ktwo\r\nthr")
    assert (cli.output, cli.last_line) == (("one", "two"), "thr")
    cli.receive(b"ee\r\nadmin:")
    assert cli.quiet() == [vos.CommandDone(("one", "two", "three"))]


@pytest.mark.parametrize(
    "question",
    [
        "Continue (y/n)?",
        "Are you sure you want to continue (yes/no)? ",
        "Please answer 'y' for <yes> or 'n' for <no>: ",
        "Enter the security password: ",
        "Password for admin:",
        "Press any key to continue",
    ],
)
def test_question_ends_command_after_silence(question: str) -> None:
    cli = running()
    assert cli.receive(f"before\r\n{question}".encode()) == []
    assert cli.quiet_after is not None
    assert cli.quiet() == [vos.StoppedAtQuestion(("before",), question.strip())]
    assert not cli.at_prompt
    assert cli.interrupt() == b"\x03"
    assert cli.receive(b"^C\r\nadmin:") == [vos.Prompted()]
    assert cli.at_prompt


@pytest.mark.parametrize(
    "unfinished",
    [
        "test - disk_space          : ",  # the test runs
        "Searching file: /var/log/active/syslog/messages",
        "waiting",
        "",
    ],
)
def test_unfinished_line_is_no_question(unfinished: str) -> None:
    cli = running()
    cli.receive(f"before\r\n{unfinished}".encode())
    assert cli.quiet_after is None
    assert cli.quiet() == []


def test_question_in_finished_line_is_output() -> None:
    cli = running()
    cli.receive(b"10:00 |sdl| Continue (y/n)?\r\nadmin:")
    assert cli.quiet() == [vos.CommandDone(("10:00 |sdl| Continue (y/n)?",))]


def test_question_shows_no_secret() -> None:
    cli = running()
    cli.receive(f"Is {ADMIN_PASSWORD} right?".encode())
    (asked,) = cli.quiet()
    assert isinstance(asked, vos.StoppedAtQuestion)
    assert ADMIN_PASSWORD not in asked.question


def test_too_much_output_ends_command() -> None:
    cli = running()
    events: list[Event] = []
    while not events:
        events = cli.receive(b"x" * 79 + b"\r\n")
    (broken,) = events
    assert isinstance(broken, vos.Broken)
    assert broken.failure.code == Code.QUOTA_EXCEEDED


def test_types_only_forms() -> None:
    cli = running()
    cli.receive(b"admin:")
    cli.quiet()
    with pytest.raises(vos.InvalidArgument):
        cli.run(Command("utils system restart", "show status", 1))
    assert cli.at_prompt


@pytest.mark.parametrize(
    "lines",
    [
        ("No valid command entered",),
        ("% Invalid command 'show x'",),
        ("Expected 0 mandatory and up to 1 non-mandatory parameter(s)", ""),
        ("no such file or directory can be found",),
        ("some reason", "Executed command unsuccessfully"),
        (*(["a line"] * 50), "Executed command unsuccessfully"),
    ],
)
def test_is_refusal(lines: tuple[str, ...]) -> None:
    assert vos.is_refusal(lines)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Control-C pressed",),
        (*(["a line"] * 9), "No valid command entered", "Search completed"),
    ],
)
def test_is_no_refusal(lines: tuple[str, ...]) -> None:
    assert not vos.is_refusal(lines)
