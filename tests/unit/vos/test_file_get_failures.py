"""The ways in which `file get` fails, and their failures."""

from pathlib import Path

import pytest

from cucmd import vos
from cucmd.vos.dialogue_events import Send
from unit.vos.dialogues import ANSWERS, PASS
from unit.vos.driver import (
    ADMIN_PASSWORD,
    PASSWORD,
    REQUEST,
    at_prompt,
    byte_by_byte,
    failed,
    in_file_get,
)

NEWER = (Path(__file__).parent / "corpus" / "newer_form.raw").read_bytes()


@pytest.mark.parametrize(
    ("prompt", "answer"), [pair for pair in ANSWERS.items() if pair[0] != PASS]
)
@pytest.mark.parametrize("split", [lambda data: [data], byte_by_byte])
def test_answer_refused_three_times_is_named(prompt, answer, split):
    driver = in_file_get(split)
    for _ in range(3):
        driver.feed(f"{prompt} ".encode())
        driver.feed(f"{answer}\r\n".encode())
    assert failed(driver.events) == []
    driver.feed(f"{prompt} ".encode())
    sent = [event for event in driver.events if isinstance(event, Send)]
    assert [(event.data, event.shown) for event in sent] == [(f"{answer}\r".encode(), answer)] * 3
    [(code, message)] = failed(driver.events)
    assert code == "receiver_rejected"
    assert repr(prompt) in message or prompt in message
    assert repr(answer) in message


def test_password_refused_three_times_is_hidden():
    driver = in_file_get()
    for _ in range(4):
        driver.feed(b"Password: *********\r\n")
    sent = [event.data for event in driver.events if isinstance(event, Send)]
    assert sent == [f"{PASSWORD}\r".encode()] * 3
    [(code, message)] = failed(driver.events)
    assert code == "receiver_rejected"
    assert "'Password:'" in message
    assert "receiver" in message
    assert PASSWORD not in repr(driver.events)


@pytest.mark.parametrize("length", range(220, 256, 3))
def test_masks_password_in_long_question(length):
    driver = in_file_get()
    question = f"{PASSWORD} is no password. {'x' * length} [y/n]?"
    for _ in range(4):
        driver.feed(f"{question}\r\n".encode())
    [(_, message)] = failed(driver.events)
    asked = message.partition("asked '")[2]
    assert not any(asked.startswith(PASSWORD[at:]) for at in range(len(PASSWORD) - 1))


def test_after_failure_only_prompt_counts():
    driver = in_file_get()
    driver.feed(b"User ID: \r\n" * 4)
    driver.events.clear()
    driver.feed(b"User ID: \r\nPassword: ")
    driver.feed(b"\r\nadmin:")
    assert driver.quiet() == [vos.Prompted()]


def test_different_questions_without_end():
    driver = in_file_get()
    for number in range(60):
        driver.feed(f"Number {number}, really (yes/no)? \r\n".encode())
    assert [code for code, _ in failed(driver.events)] == ["receiver_rejected"]
    assert len(driver.events) == 41


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("no such file or directory can be found", "invalid_path", "no such file or directory"),
        ("Expected 2 mandatory and up to 7 non-mandatory parameter(s)", "invalid_path", "several"),
        ("No valid command entered", "not_a_node", "does not know `file get`"),
        ("Executed command unsuccessfully", "command_refused", "refused the command"),
        ("Bad regexp\r\nExecuted command unsuccessfully", "command_refused", "Bad regexp"),
    ],
)
def test_refused_before_any_transfer(text, code, message):
    driver = in_file_get()
    driver.feed(f"{text}\r\nadmin:".encode())
    [(found, shown)] = failed(driver.quiet())
    assert found == code
    assert message in shown
    assert driver.cli.at_prompt


REFUSED = "Executed command unsuccessfully"
CHECK_PATH = "see what is there: file list inactivelog syslog"


@pytest.mark.parametrize(
    ("match", "text", "hint"),
    [
        (None, "no such file or directory can be found", CHECK_PATH),
        (None, REFUSED, CHECK_PATH),
        ("[", "no such file or directory can be found", CHECK_PATH),
        ("[", REFUSED, f"check --match '[', a regular expression, or {CHECK_PATH}"),
    ],
)
def test_hint_names_wrong_argument(match, text, hint):
    driver = in_file_get(request=vos.FileGet("inactivelog", "syslog/x*", match=match))
    driver.feed(f"{text}\r\nadmin:".encode())
    [broken] = [event for event in driver.quiet() if isinstance(event, vos.Broken)]
    assert broken.failure.hint == hint


def test_masks_password_that_node_prints():
    driver = in_file_get()
    driver.feed(f"Password: {PASSWORD}\r\nlogin as {PASSWORD} failed\r\n".encode())
    driver.feed(f"{ADMIN_PASSWORD} is {PASSWORD}\r\n Get file: {PASSWORD}\r\n".encode())
    for _ in range(4):
        driver.feed(f"Is it {PASSWORD} (yes/no)? \r\n".encode())
    driver.feed(b"\r\nadmin:")
    driver.quiet()
    shown = repr(driver.events)
    assert PASSWORD not in shown
    assert ADMIN_PASSWORD not in shown
    assert "Is it ***** (yes/no)?" in shown


def test_closed_at_every_byte():
    for cut in range(len(NEWER) + 1):
        driver, quit_sent = play(NEWER[:cut])
        expected = [] if quit_sent else ["connection_lost"]
        assert [code for code, _ in failed(driver.close())] == expected, f"closed after {cut}"
        assert driver.close() == []
        assert driver.feed(b"admin:") == []


def play(raw: bytes):
    driver = at_prompt()
    driver.cli = vos.Cli()
    commands = iter(["set cli pagination off", REQUEST.command_line(), "quit"])
    parts = raw.split(b"\0")
    line = ""
    for number, part in enumerate(parts, 1):
        driver.feed(part)
        if number < len(parts):
            driver.quiet()
            line = next(commands)
            driver.type(line)
    return driver, line == "quit"


def test_code_for_close_before_prompt():
    for banner, code in [
        (b"Command Line Interface is st", "connection_lost"),
        (b"$", "not_a_node"),
    ]:
        cli = vos.Cli()
        cli.receive(b"Authorised users only\r\n" + banner)
        assert [found for found, _ in failed(cli.closed())] == [code]


@pytest.mark.parametrize("split", [lambda data: [data], byte_by_byte])
def test_quotes_words_before_prompt(split):
    """A node may refuse without ending the line, and the next refusal must be quoted too."""
    driver = in_file_get(split)
    for _ in range(2):
        driver.feed(f"access denied to {ADMIN_PASSWORD} admin:".encode())
        driver.quiet()
        driver.feed(driver.type(REQUEST.command_line()))
    messages = [message for code, message in failed(driver.events) if code == "command_refused"]
    assert ["access denied to *****" in message for message in messages] == [True, True]
