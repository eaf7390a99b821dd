"""A login may stop at a question: it is told from a banner that is not complete yet."""

import pytest

from cucmd import vos
from unit.vos.driver import ADMIN_PASSWORD, BANNER, Driver, byte_by_byte, failed, whole

QUESTIONS = [
    "Current password:",
    "Current password: ",
    "(current) UNIX password: ",
    "Current password for admin:",  # ends as the prompt does
    "New password for user admin: ",
    "Verification code: ",
    "Do you accept these terms?",
    "Change it now (yes/no)",
    "Continue [y/n]: ",
    "Press any key to continue . . .",
    "\x1b[KPasscode: ",
]
UNFINISHED = [
    "Command Line Interface is starting up, please wait ",
    "Starting up .....",
    "\t2 vCPU: Intel(R)",
    "\t8192 Mbytes",
    "root@node:~# ",
    ": ",
    "\ufffd\ufffd ?" + "x:" * 200,
]


@pytest.mark.parametrize("split", [whole, byte_by_byte])
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_ends_the_login_after_a_long_silence(question, split):
    driver = Driver(split)
    driver.feed(BANNER + question.encode())
    assert driver.cli.quiet_after == 15.0
    assert not driver.cli.may_type_empty_line
    driver.quiet()
    [(code, message)] = failed(driver.events)
    assert code == "login_question"
    assert repr(question.removeprefix("\x1b[K").strip()) in message
    assert not driver.cli.at_prompt


@pytest.mark.parametrize("text", UNFINISHED)
def test_nothing_is_typed_into_an_unfinished_line_that_is_no_question_either(text):
    driver = Driver()
    driver.feed(BANNER + text.encode())
    assert driver.cli.quiet_after is None
    assert not driver.cli.may_type_empty_line


@pytest.mark.parametrize("more", ["\r\n", "\r\nadmin:", " no\r\nadmin:"])
def test_a_banner_that_stops_in_the_middle_of_a_line_goes_on(more):
    driver = Driver()
    driver.feed(BANNER + b"VMware Installation:")
    assert driver.cli.quiet_after == 15.0
    driver.feed(more.encode())
    assert driver.cli.quiet_after == (0.5 if more.endswith("admin:") else None)
    assert failed(driver.events) == []


@pytest.mark.parametrize("banner", [b"", BANNER, b"Hello?\r\n", b"Memory:\r\n\r\n", b"  "])
def test_an_empty_line_may_be_typed_after_a_whole_line(banner):
    driver = Driver()
    driver.feed(banner)
    assert driver.cli.may_type_empty_line
    assert driver.cli.quiet_after is None


def test_nothing_is_typed_after_a_whole_line_that_asks_for_a_password():
    driver = Driver()
    driver.feed(b"Enter the current password:\r\n\r\n")
    assert not driver.cli.may_type_empty_line
    assert driver.cli.quiet_after is None, "a logon message may say so"
    driver.feed(BANNER)
    assert driver.cli.may_type_empty_line


def test_the_question_is_quoted_without_secrets_and_shortened():
    driver = Driver()
    driver.feed(f"{'x' * 200} is {ADMIN_PASSWORD} right?".encode())
    driver.quiet()
    [(_, message)] = failed(driver.events)
    assert ADMIN_PASSWORD not in message
    assert "is ***** right?" in message
    assert len(message) < 200


def test_the_silence_may_be_set():
    driver = Driver()
    driver.cli = vos.Cli(question_after=4.0)
    driver.feed(b"Current password: ")
    assert driver.cli.quiet_after == 4.0


def test_a_question_of_a_command_is_none_of_the_login():
    driver = Driver()
    driver.feed(BANNER + b"admin:")
    driver.quiet()
    driver.feed(driver.type("show status") + b"Password: ")
    assert driver.cli.quiet_after is None


def test_the_last_line_is_quoted_if_the_node_closes_in_it():
    driver = Driver()
    driver.feed(BANNER + b"Too many sessions")
    driver.close()
    assert "'Too many sessions'" in failed(driver.events)[0][1]


def test_of_a_long_unfinished_line_the_end_is_quoted():
    """The question stands there."""
    driver = Driver()
    driver.feed(f"{'the policy ' * 40}{ADMIN_PASSWORD} do you accept".encode())
    assert driver.cli.last_line.endswith("***** do you accept")
    assert len(driver.cli.last_line) <= 200
