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
def test_first_prompt_however_it_is_preceded(before):
    driver = Driver()
    driver.feed(BANNER + before.encode() + b"admin:")
    assert driver.events == []
    assert driver.cli.quiet_after == 0.5
    assert driver.quiet() == [vos.Prompted()]
    assert driver.cli.at_prompt
    assert driver.cli.quiet_after is None


@pytest.mark.parametrize(
    "ending", ["", "user admin", "admin", "admin:\r\n", "admin: x", "admin:x", "x" * 80 + "admin:"]
)
def test_no_prompt(ending):
    driver = Driver()
    driver.feed(BANNER + ending.encode())
    assert driver.cli.quiet_after in (None, QUIET_QUESTION)
    assert vos.Prompted() not in driver.quiet()


def test_prompt_may_have_a_blank_after_it():
    driver = Driver()
    driver.feed(BANNER + b"admin: ")
    assert driver.cli.quiet_after == 0.5
    assert driver.quiet() == [vos.Prompted()]


def test_a_counter_and_a_blank_are_known_as_one_form():
    driver = Driver()
    driver.feed(BANNER + b"1 admin: ")
    driver.quiet()
    driver.feed(driver.type("show status") + b"x\r\n27 admin:")
    assert driver.cli.quiet_after == 0.2


def test_a_prompt_of_unknown_form_needs_a_longer_silence_once():
    driver = Driver()
    driver.feed(BANNER + b"1 admin:")
    assert driver.cli.quiet_after == 2.0
    driver.quiet()
    driver.feed(driver.type("show status") + b"x\r\n27 admin:")
    assert driver.cli.quiet_after == 0.2
    assert driver.quiet() == [vos.CommandDone(("x",))]


def test_prompt_before_the_echo_is_probably_an_old_one():
    driver = at_prompt()
    driver.type("show status")
    driver.feed(b"\r\nadmin:")
    assert driver.cli.quiet_after == 5.0
    driver.feed(b"show status\r\nx\r\nadmin:")
    assert driver.cli.quiet_after == 0.2
    assert driver.quiet() == [vos.CommandDone(("x",))]


def test_what_came_before_the_echo_is_not_the_commands():
    driver = at_prompt()
    driver.type("show status")
    driver.feed(b"\r\nBroadcast message: reboot at noon\r\nadmin:show status\r\nx\r\nadmin:")
    assert driver.quiet() == [vos.CommandDone(("x",))]


def test_the_second_prompt_after_an_empty_line_is_ignored():
    driver = at_prompt()
    assert driver.feed(b"\r\nadmin:") == []
    assert driver.cli.at_prompt
    assert driver.quiet() == []


def test_half_a_line_of_output_is_no_prompt_yet():
    driver = at_prompt()
    driver.feed(driver.type("file tail activelog x") + b"login: admin:")
    assert driver.cli.quiet_after == 2.0
    driver.feed(b" failed\r\nadmin:")
    assert driver.quiet() == [vos.CommandDone(("login: admin: failed",))]


def test_prompt_on_the_screen_is_not_the_one_after_the_command():
    driver = at_prompt()
    driver.type("show status")
    assert driver.cli.quiet_after is None
    assert driver.quiet() == []


@pytest.mark.parametrize("split", [whole, byte_by_byte])
@pytest.mark.parametrize("end", ["admin: ", "admin:  ", "admin: ^C", "admin:^C ", "x^Cadmin: "])
def test_after_ctrl_c_a_prompt_may_have_a_blank_after_it(split, end):
    driver = in_file_get(split)
    driver.feed(b"Please wait while the system is gathering files info ...")
    driver.cli.interrupt()
    driver.feed(b"^C\r\nControl-C pressed\r\n" + end.encode())
    assert driver.cli.at_prompt
    driver.feed(driver.type("show status") + b"y\r\nadmin: ")
    assert driver.quiet() == [vos.CommandDone(("y",))]


def test_after_ctrl_c_too_a_question_for_a_password_is_no_prompt():
    driver = in_file_get()
    driver.cli.interrupt()
    driver.feed(b"^C\r\nPassword for admin: ")
    assert not driver.cli.at_prompt


@pytest.mark.parametrize("line", ["show status", REQUEST.command_line()])
def test_no_command_while_the_node_is_busy(line):
    driver = Driver()
    with pytest.raises(NotAtPrompt):
        driver.type(line)
    driver = in_file_get()
    with pytest.raises(NotAtPrompt):
        driver.type(line)


def test_after_ctrl_c_the_next_prompt_counts_at_once():
    driver = in_file_get()
    driver.feed(b"Please wait while the system is gathering files info ...")
    assert driver.cli.interrupt() == b"\x03"
    assert driver.feed(b"^C\r\nWould you like to proceed [y/n]? ") == []
    [done] = driver.feed(b"\r\nadmin:")
    assert isinstance(done, vos.FileGetDone)
    assert not done.completed
    assert driver.cli.at_prompt


def test_the_echo_of_a_second_ctrl_c_may_stand_behind_the_prompt():
    driver = in_file_get()
    driver.feed(b"Please wait while the system is gathering files info ...")
    driver.cli.interrupt()
    driver.cli.interrupt()
    driver.feed(b"^C\r\nadmin:^C")
    assert driver.cli.at_prompt


def test_ctrl_c_at_the_prompt_changes_nothing():
    driver = at_prompt()
    driver.cli.interrupt()
    assert driver.feed(b"^C\r\nadmin:") == []
    driver.feed(driver.type("show status") + b"Would admin:")
    assert not driver.cli.at_prompt


def test_after_quit_everything_is_ignored():
    driver = at_prompt()
    assert driver.type("quit") == b"quit\r\n"
    assert driver.feed(b"quit\r\nadmin:") == []
    assert driver.cli.quiet_after is None
    assert driver.close() == []


def test_an_empty_line_is_the_key_enter():
    assert vos.Cli().empty_line() == b"\r"
