"""A command of the allow-list, from its echo to the prompt: pagers, questions, and no answer."""

import pytest

from cucmd import vos
from cucmd.failure import Code
from cucmd.vos.dialogue_events import Event, Send
from cucmd.vos.forms import Command
from unit.vos.driver import ADMIN_PASSWORD, BANNER

COMMAND = vos.parse_command("utils diagnose test")
PAGER = b"\x1b[1mPress <enter> for 1 line, <space> for one page, or <q> to quit\x1b[0m"


def running(command: Command = COMMAND) -> vos.Cli:
    """Returns it at its echo."""
    cli = vos.Cli((ADMIN_PASSWORD,))
    cli.receive(BANNER + b"admin:")
    cli.quiet()
    cli.receive(cli.run(command) + b"\n")
    return cli


def test_the_lines_of_an_answer() -> None:
    cli = running()
    cli.receive(b"\r\nStarting diagnostic test(s)\r\ntest - disk_space    : Passed\r\n\r\nadmin:")
    assert cli.quiet() == [
        vos.CommandDone(("Starting diagnostic test(s)", "test - disk_space    : Passed"))
    ]


def test_a_pager_in_the_middle_is_answered_and_is_no_line() -> None:
    cli = running()
    (send,) = cli.receive(b"one\r\n" + PAGER)
    assert (type(send), send.data) == (Send, b" ")
    assert cli.quiet_after is None  # a pager is no question that ends the command
    cli.receive(b"\r\x1b[Ktwo\r\nadmin:")
    assert cli.quiet() == [vos.CommandDone(("one", "two"))]


@pytest.mark.parametrize(
    "question",
    [
        "Continue (y/n)?",
        "Are you sure you want to continue (yes/no)? ",
        "Would you like to proceed [y/n]?",
        "Please answer 'y' for <yes> or 'n' for <no>: ",
        "Enter the security password: ",
        "Password for admin:",
        "Press any key to continue",
        "Overwrite the report?",
        "Proceed [Y/n]: ",
    ],
)
def test_a_question_ends_the_command_after_a_silence(question: str) -> None:
    cli = running()
    assert cli.receive(f"before\r\n{question}".encode()) == []
    assert cli.quiet_after is not None
    assert cli.quiet() == [vos.StoppedAtQuestion(("before",), question.strip())]
    assert not cli.at_prompt
    assert cli.interrupt() == b"\x03"
    assert cli.receive(b"^C\r\nadmin:") == [vos.Prompted()]
    assert cli.at_prompt


@pytest.mark.parametrize("split", range(1, 24))
def test_a_question_is_the_same_at_every_split(split: int) -> None:
    cli = running()
    data = b"before\r\nContinue (y/n)? "
    for part in (data[:split], data[split:]):
        assert cli.receive(part) == []
    assert cli.quiet() == [vos.StoppedAtQuestion(("before",), "Continue (y/n)?")]


@pytest.mark.parametrize(
    "unfinished",
    [
        "test - disk_space          : ",  # the test runs
        "Searching file: /var/log/active/syslog/messages",
        "Requesting service status, please wait...",
        "waiting",
        "",
    ],
)
def test_a_line_without_its_end_is_no_question(unfinished: str) -> None:
    cli = running()
    cli.receive(f"before\r\n{unfinished}".encode())
    assert cli.quiet_after is None
    assert cli.quiet() == []


def test_a_question_in_a_finished_line_is_output() -> None:
    cli = running()
    cli.receive(b"10:00 |sdl| Continue (y/n)?\r\nadmin:")
    assert cli.quiet() == [vos.CommandDone(("10:00 |sdl| Continue (y/n)?",))]


def test_a_question_shows_no_secret() -> None:
    cli = running()
    cli.receive(f"Is {ADMIN_PASSWORD} right?".encode())
    (asked,) = cli.quiet()
    assert isinstance(asked, vos.StoppedAtQuestion)
    assert ADMIN_PASSWORD not in asked.question


def test_what_has_come_so_far_is_known_while_it_runs() -> None:
    cli = running()
    cli.receive(b"one\r\ntwo\r\nthr")
    assert cli.output == ("one", "two")
    assert cli.last_line == "thr"


def test_output_without_end_is_the_end() -> None:
    cli = running()
    events: list[Event] = []
    while not events:
        events = cli.receive(b"x" * 79 + b"\r\n")
    (broken,) = events
    assert isinstance(broken, vos.Broken)
    assert broken.failure.code == Code.QUOTA_EXCEEDED


def test_nothing_but_a_form_is_typed_whoever_made_the_command() -> None:
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
def test_a_refusal(lines: tuple[str, ...]) -> None:
    assert vos.is_refusal(lines)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Host Name : x",),
        ("Control-C pressed",),
        (*(["a line"] * 9), "No valid command entered", "Search completed"),
    ],
)
def test_an_answer_that_refuses_nothing(lines: tuple[str, ...]) -> None:
    assert not vos.is_refusal(lines)
