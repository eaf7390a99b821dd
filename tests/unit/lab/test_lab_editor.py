"""Keys in, echo and lines out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.lab.editor import LONGEST_LINE, Echo, LineEditor


def typed(keys: bytes, echo: Echo = Echo.PLAIN) -> tuple[str | None, list[bytes]]:
    editor = LineEditor(echo)
    shown = [editor.key(key) for key in keys]
    return editor.line, shown


@pytest.mark.parametrize(
    ("keys", "line", "shown"),
    [
        (b"ab\n", "ab", [b"a", b"b", b"\r\n"]),
        (b"ab\r", "ab", [b"a", b"b", b"\r\n"]),
        (b"a\x7fb\n", "b", [b"a", b"\b \b", b"b", b"\r\n"]),
        (b"\x7f\n", "", [b"", b"\r\n"]),
        (b"ab\x15c\n", "c", [b"a", b"b", b"\b \b\b \b", b"c", b"\r\n"]),
        (b"a\tb\n", "ab", [b"a", b"\a", b"b", b"\r\n"]),
        (b"ab", None, [b"a", b"b"]),
    ],
)
def test_a_line_and_its_echo(keys, line, shown):
    assert typed(keys) == (line, shown)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=50))
def test_a_password_is_never_shown(password):
    line, shown = typed(password.encode() + b"\n", Echo.STARS)
    assert line == password
    assert b"".join(shown) == b"*" * len(password) + b"\r\n"


def test_without_echo_nothing_is_shown():
    assert typed(b"ab\n", Echo.NONE) == ("ab", [b"", b"", b""])


@given(st.binary(max_size=200))
def test_any_keys_do_no_harm(keys):
    line, shown = typed(keys.replace(b"\n", b"").replace(b"\r", b"") + b"\n")
    assert line is not None
    assert len(line) <= LONGEST_LINE
    assert len(shown) > 0


def test_a_line_without_end_is_cut():
    line, shown = typed(b"x" * (LONGEST_LINE + 5) + b"\n")
    assert line == "x" * LONGEST_LINE
    assert shown[-2] == b"\a"
