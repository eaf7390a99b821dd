"""Text is escaped so that it cannot control a terminal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmctl.cli import printer
from cucmctl.main import main

# surrogates too: they come from names that are not UTF-8
ANY_TEXT = st.text(st.characters())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ccm-pub", "ccm-pub"),
        ("Grün, 東京", "Grün, 東京"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x9b31m", r"\x9b31m"),  # a control sequence in one character
        ("\x7f\x00", r"\x7f\x00"),
        ("\u202eexe.txt", r"\u202eexe.txt"),  # reverses the following text
        ("\u2028", r"\u2028"),
        ("\udcff", r"\udcff"),
    ],
)
def test_control_characters_are_escaped(text, shown):
    assert printer.visible(text) == shown


@given(text=st.text())
def test_json_is_printable(text):
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda line, **_: shown.append(line))
        printer.json_line({"error": text})
    assert shown[0].isprintable()
    assert json.loads(shown[0]) == {"error": text}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cucmctl list shows", "cucmctl --site berlin list shows"),
        ("cucmctl lists", "cucmctl lists"),
        ("cucmctl says", "cucmctl says"),
        ("cucmctl bridge", "cucmctl bridge"),
    ],
)
def test_only_advised_commands_get_site(text, shown, monkeypatch, capsys):
    monkeypatch.setattr(printer, "about", printer.About("berlin"))
    monkeypatch.setattr(printer, "_advised", ())  # restored afterwards
    main(["--version"])
    printer.note(text)
    assert capsys.readouterr().err == f"cucmctl: berlin: {shown}\n"


@pytest.mark.parametrize(
    ("term", "terminal"), [("xterm", True), ("dumb", False), ("", False), (None, False)]
)
def test_colour_needs_a_terminal(monkeypatch, term, terminal):
    class Stream:
        @staticmethod
        def isatty():
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", term) if term is not None else monkeypatch.delenv("TERM", False)
    assert printer.in_colour(Stream()) is terminal
    monkeypatch.setenv("NO_COLOR", "1")
    assert not printer.in_colour(Stream())
    assert not printer.in_colour(None)
