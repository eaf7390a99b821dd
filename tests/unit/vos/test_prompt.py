"""`admin:` is the prompt only at the very end, and only after enough silence."""

import pytest

from cucmd import vos
from cucmd.vos.cli import NotAtPrompt
from cucmd.vos.questions import QUIET_QUESTION
from unit.vos.driver import (
    BANNER,
    REQUEST,
    Driver,
    at_prompt,
    byte_by_byte,
    in_file_get,
    whole,
)


@pytest.mark.parametrize("before", ["", "\r", "\n", "\r\n", "\x1b[K", "\r\x1b[K", "\x1b[0m"])
@pytest.mark.parametrize("prompt", [b"admin:", b"admin: "])
def test_first_prompt_after_any_line_end(before, prompt):
    driver = Driver()
    driver.feed(BANNER + before.encode() + prompt)
    assert driver.events == []
    assert driver.cli.quiet_after == 0.5
    assert driver.quiet() == [vos.Prompted()]
    assert driver.cli.at_prompt
    assert driver.cli.quiet_after is None


@pytest.mark.parametrize(
    "ending", ["", "user admin", "admin", "admin:\r\n", "admin: x", "admin:x", "x" * 80 + "admin:"]
)
def test_text_that_is_no_prompt(ending):
    driver = Driver()
    driver.feed(BANNER + ending.encode())
    assert driver.cli.quiet_after in (None, QUIET_QUESTION)
    assert vos.Prompted() not in driver.quiet()


def test_unknown_prompt_needs_longer_silence_once():
    driver = Driver()
    driver.feed(BANNER + b"1 admin:")
    assert driver.cli.quiet_after == 2.0
    driver.quiet()
    driver.feed(driver.type("show status") + b"x\r\n27 admin:")
    assert driver.cli.quiet_after == 0.2
    assert driver.quiet() == [vos.CommandDone(("x",))]


def test_prompt_before_echo_is_old():
    driver = at_prompt()
    driver.type("show status")
    driver.feed(b"\r\nadmin:")
    assert driver.cli.quiet_after == 5.0
    driver.feed(b"show status\r\nx\r\nadmin:")
    assert driver.cli.quiet_after == 0.2
    assert driver.quiet() == [vos.CommandDone(("x",))]


def test_output_before_echo_is_dropped():
    driver = at_prompt()
    driver.type("show status")
    driver.feed(b"\r\nBroadcast message: reboot at noon\r\nadmin:show status\r\nx\r\nadmin:")
    assert driver.quiet() == [vos.CommandDone(("x",))]


def test_ignores_second_prompt():
    driver = at_prompt()
    assert driver.feed(b"\r\nadmin:") == []
    assert driver.cli.at_prompt
    assert driver.quiet() == []


def test_prompt_text_within_output_line():
    driver = at_prompt()
    driver.feed(driver.type("file tail activelog x") + b"login: admin:")
    assert driver.cli.quiet_after == 2.0
    driver.feed(b" failed\r\nadmin:")
    assert driver.quiet() == [vos.CommandDone(("login: admin: failed",))]


@pytest.mark.parametrize("split", [whole, byte_by_byte])
@pytest.mark.parametrize("end", ["admin: ", "admin:  ", "admin: ^C", "admin:^C ", "x^Cadmin: "])
def test_prompt_after_ctrl_c_may_have_blank(split, end):
    driver = in_file_get(split)
    driver.feed(b"Please wait while the system is gathering files info ...")
    driver.cli.interrupt()
    driver.feed(b"^C\r\nControl-C pressed\r\n" + end.encode())
    assert driver.cli.at_prompt
    driver.feed(driver.type("show status") + b"y\r\nadmin: ")
    assert driver.quiet() == [vos.CommandDone(("y",))]


def test_password_question_after_ctrl_c():
    driver = in_file_get()
    driver.cli.interrupt()
    driver.feed(b"^C\r\nPassword for admin: ")
    assert not driver.cli.at_prompt


@pytest.mark.parametrize("line", ["show status", REQUEST.command_line()])
def test_no_command_while_node_is_busy(line):
    driver = Driver()
    with pytest.raises(NotAtPrompt):
        driver.type(line)
    driver = in_file_get()
    with pytest.raises(NotAtPrompt):
        driver.type(line)


def test_prompt_after_ctrl_c_needs_no_silence():
    driver = in_file_get()
    driver.feed(b"Please wait while the system is gathering files info ...")
    assert driver.cli.interrupt() == b"\x03"
    assert driver.feed(b"^C\r\nWould you like to proceed [y/n]? ") == []
    [done] = driver.feed(b"\r\nadmin:")
    assert isinstance(done, vos.FileGetDone)
    assert not done.completed
    assert driver.cli.at_prompt


def test_ctrl_c_at_prompt_changes_nothing():
    driver = at_prompt()
    driver.cli.interrupt()
    assert driver.feed(b"^C\r\nadmin:") == []
    driver.feed(driver.type("show status") + b"Would admin:")
    assert not driver.cli.at_prompt


def test_ignores_everything_after_quit():
    driver = at_prompt()
    assert driver.type("quit") == b"quit\r\n"
    assert driver.feed(b"quit\r\nadmin:") == []
    assert driver.cli.quiet_after is None
    assert driver.close() == []
