"""Terminal bytes to lines, of bounded length."""

from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.vos.screen import MAX_ENDING, MAX_LINE, EscapeFilter
from unit.vos.driver import Terminal


def seen(data: bytes) -> tuple[list[str], str]:
    """Finished lines, and the segment that is still open."""
    screen = Terminal()
    return screen.show(data), screen.segment


@pytest.mark.parametrize(
    ("data", "lines", "segment"),
    [
        (b"one\r\ntwo\nthree", ["one", "two"], "three"),
        (b"one\r\r\n", ["one"], ""),
        (b"old\rnew\r\n", ["new"], ""),
        (b"old\r\x1b[Knew", [], "new"),
        (b"kept\x1b[Kadmin:", [], "admin:"),
        (b"kept\x1b[Kadmin:\n", ["keptadmin:"], ""),
        (b"ab\b \bc\n", ["ac"], ""),
        (b"\x1b[1mbold\x1b[0m\n", ["bold"], ""),
        (b"\x1b]0;title\x07a\x1b]0;title\x1b\\b\n", ["ab"], ""),
        (b"\x1b(Ba\x1b=b\x1b7c\n", ["abc"], ""),
        ("Grüße \u202eevil\n".encode(), ["Grüße evil"], ""),
        (b"\xff\xfe\n", ["\ufffd\ufffd"], ""),
        (b"\x1b]0;no end\nline\n", ["", "line"], ""),
        (b"\x1b[12;\nline\n", ["", "line"], ""),
        (b"a\tb\n", ["a\tb"], ""),
    ],
)
def test_lines_and_segment(data, lines, segment):
    assert seen(data) == (lines, segment)


def test_long_line_keeps_both_ends():
    screen = Terminal()
    screen.show(b"a" + b"x" * 50_000 + b"admin:")
    assert len(screen.segment) == MAX_LINE
    assert screen.segment.startswith("ax")
    assert len(screen.ending) == MAX_ENDING
    assert screen.ending.endswith("admin:")


@given(st.binary(max_size=300))
def test_no_control_character_except_tab(data):
    lines, segment = seen(data)
    controls = {char for char in "".join(lines) + segment if category(char) in ("Cc", "Zl", "Zp")}
    assert controls <= {"\t"}


@given(st.binary(max_size=300), st.sets(st.integers(0, 300), max_size=8))
def test_text_is_same_at_any_split(data, cuts):
    ordered = sorted(cuts)
    filter_ = EscapeFilter()
    parts = [data[a:b] for a, b in zip([0, *ordered], [*ordered, None], strict=True)]
    tokens = [token for part in parts for token in filter_.feed(part)]
    assert "".join(tokens) == "".join(EscapeFilter().feed(data))


@given(
    st.lists(st.sampled_from([b".", b"x", b"\b", b"\r", b"\x1b[K", b"\n", b"." * 70]), max_size=60)
)
def test_screen_is_same_at_any_split(pieces):
    data = b"".join(pieces)
    once, split = Terminal(), Terminal()
    lines = once.show(data)
    assert [line for byte in data for line in split.show(bytes([byte]))] == lines
    assert (split.segment, split.ending) == (once.segment, once.ending)
