"""The words of a command: one word stays one word, and contains no key."""

from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.vos import FileGet, InvalidArgument
from cucmd.vos.arguments import COLUMNS, MAX_LINE, MAX_WORD, check_word
from cucmd.vos.questions import MAX_PROMPT
from cucmd.vos.time_window import AbsTime, RelTime
from unit.vos.driver import RECEIVER, REQUEST, at_prompt


def test_command_line_with_all_options():
    request = FileGet(
        "activelog",
        "cm/trace/ccm/sdl/*",
        RelTime("hours", 2),
        r"SDL.*\.gz$",
        recurs=True,
        compress=True,
    )
    assert request.command_line() == (
        r"file get activelog cm/trace/ccm/sdl/* reltime hours 2 match SDL.*\.gz$ recurs compress"
    )
    assert FileGet("install", "*").command_line() == "file get install *"


def test_terminal_is_wide_enough():
    request = FileGet(
        "inactivelog",
        "x" * MAX_WORD,
        AbsTime(datetime(2026, 1, 2), datetime(2026, 1, 3)),
        "y" * MAX_WORD,
        recurs=True,
        compress=True,
    )
    assert len(request.command_line()) <= MAX_LINE
    assert MAX_PROMPT + MAX_LINE < COLUMNS


@pytest.mark.parametrize(
    "value",
    ["", "a b", "a\tb", "a?", "a\nreboot", "'a'", '"', "`", "\x1b[A", "ä", "\u00a0", "x" * 513],
)
def test_refuses_value_of_several_words(value):
    for request in (FileGet("activelog", value), FileGet("activelog", "x", match=value)):
        with pytest.raises(InvalidArgument) as caught:
            request.command_line()
        assert caught.value.field in ("path", "match")
        assert caught.value.value == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("host", "a b"), ("host", ""), ("username", "a\nb")),
        *(("password", "se\ncret"), ("password", ""), ("directory", "/in\x03")),
    ],
)
def test_refuses_receiver_that_cannot_be_typed(field, value):
    receiver = msgspec.structs.replace(RECEIVER, **{field: value})
    driver = at_prompt()
    with pytest.raises(InvalidArgument) as caught:
        driver.cli.file_get(REQUEST, receiver)
    assert caught.value.field == field
    assert "cret" not in str(caught.value)
    assert driver.cli.at_prompt


@pytest.mark.parametrize(
    "line", ["", "  ", "show status\nquit", "show ?", "show\tstatus", "x" * 2001]
)
def test_refuses_line_with_keys(line):
    driver = at_prompt()
    with pytest.raises(InvalidArgument, match="command"):
        driver.cli.command(line)
    assert driver.cli.at_prompt


@given(st.text(max_size=40))
def test_accepted_word_is_one_word(text):
    try:
        word = check_word("path", text)
    except InvalidArgument:
        return
    assert word == text
    assert word.split() == [word]
    assert word.isascii()
    assert word.isprintable()
    assert not set(word) & set("?'\"`")
