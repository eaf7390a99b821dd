"""A login may stop at a question, which differs from a banner that is not complete yet."""

import pytest

from unit.vos.driver import ADMIN_PASSWORD, BANNER, Driver, byte_by_byte, failed, whole

QUESTIONS = [
    "Current password:",
    "Current password: ",
    "(current) UNIX password: ",
    "Current password for admin:",  # ends as the prompt does
    "New password for user admin: ",
    "Do you accept these terms?",
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
def test_question_ends_login_after_silence(question, split):
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
def test_types_nothing_into_unfinished_line(text):
    driver = Driver()
    driver.feed(BANNER + text.encode())
    assert driver.cli.quiet_after is None
    assert not driver.cli.may_type_empty_line


@pytest.mark.parametrize("banner", [b"", BANNER, b"Hello?\r\n", b"Memory:\r\n\r\n", b"  "])
def test_empty_line_allowed_after_finished_line(banner):
    driver = Driver()
    driver.feed(banner)
    assert driver.cli.may_type_empty_line
    assert driver.cli.quiet_after is None


def test_types_nothing_after_password_question():
    driver = Driver()
    driver.feed(b"Enter the current password:\r\n\r\n")
    assert not driver.cli.may_type_empty_line
    assert driver.cli.quiet_after is None, "a logon message may say so"
    driver.feed(BANNER)
    assert driver.cli.may_type_empty_line


def test_quoted_question_is_masked_and_short():
    driver = Driver()
    driver.feed(f"{'x' * 200} is {ADMIN_PASSWORD} right?".encode())
    driver.quiet()
    [(_, message)] = failed(driver.events)
    assert ADMIN_PASSWORD not in message
    assert "is ***** right?" in message
    assert len(message) < 200
