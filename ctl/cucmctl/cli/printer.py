"""Prints on standard output and standard error: data on the one, messages on the other.

Text from the daemon or from a user is printed only after `visible`.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable
from typing import TextIO, TypedDict

import msgspec


def visible(text: str) -> str:
    """Escapes everything in `text` that could control a terminal.

    That is: control characters (C0, C1, DEL), line and paragraph separators, direction marks, lone
    surrogates.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def line(text: str, stream: TextIO | None = None) -> None:
    """Prints a line on standard output or `stream`. The caller has made it `visible`."""
    print(text, file=stream or standard_output(), flush=True)


def json_line(value: object) -> None:
    """Prints one JSON value as a line, safe on a terminal too."""
    text = msgspec.json.encode(value).decode()
    if not text.isprintable():
        # msgspec does not escape what is unprintable beyond C0.
        text = json.dumps(json.loads(text), separators=(",", ":"))
    print(text, file=standard_output(), flush=True)


def show(value: object, lines: Iterable[str], *, as_json: bool, none: str = "") -> int:
    """Prints the value as JSON, or these lines, on standard output. The exit code, 0.

    `none`: the message in place of the lines where there is nothing in the value.
    """
    if as_json:
        json_line(value)
    elif none and not value:
        note(none)
    else:
        for text in lines:
            line(text)
    return 0


def standard_output() -> TextIO:
    """Raises OSError if it was closed at the start, where `print` would silently do nothing."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return sys.stdout


def note(text: str) -> None:
    """Prints a message on standard error."""
    if sys.stderr is None:  # closed at the start; `print` would take None for standard output
        return
    try:
        print(f"cucmctl: {visible(text)}", file=sys.stderr, flush=True)
    except OSError:
        pass  # standard error is closed; the exit code remains


def in_colour(stream: object) -> bool:
    """Says whether to use colours: on a terminal with them, without $NO_COLOR (no-color.org)."""
    return on_terminal(stream) and not os.environ.get("NO_COLOR")


def on_terminal(stream: object) -> bool:
    """Says whether `stream` is a terminal that can do more than print lines."""
    isatty = getattr(stream, "isatty", None)  # sys.stdout is None when it was closed at the start
    if isatty is None or not isatty():
        return False
    return os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def columns(stream: object) -> int | None:
    """Returns the width of the terminal `stream`, or None if it is none or the width is unknown."""
    return _size(stream)[0] or None


def rows(stream: object) -> int | None:
    """Returns the height, likewise."""
    return _size(stream)[1] or None


def _size(stream: object) -> tuple[int, int]:
    """Does not use `shutil.get_terminal_size`, which takes $COLUMNS first: that may be old."""
    if not (isatty := getattr(stream, "isatty", None)) or not isatty():
        return 0, 0
    try:
        return os.get_terminal_size(stream.fileno())  # type: ignore[attr-defined]  # as isatty
    except (OSError, ValueError):
        return 0, 0


def ascii_only(stream: object) -> bool:
    """Says whether `stream` can show ASCII only, because its encoding is not a UTF."""
    return not (getattr(stream, "encoding", None) or "").lower().startswith("utf")


class Layout(TypedDict, total=False):
    """Says how tables are made for a stream; `table` has what is meant where a key is missing.

    columns     the width into which lines should fit; None: they may have any length
    ascii_only  marks are made of ASCII
    """

    colour: bool
    columns: int | None
    ascii_only: bool


def layout(stream: object, *, colour: bool = True) -> Layout:
    """Says what the stream can show; without `colour` never in colour."""
    return Layout(
        colour=colour and in_colour(stream),
        columns=columns(stream),
        ascii_only=ascii_only(stream),
    )


def prepare() -> None:
    """Makes every text printable: in a locale without UTF-8 as escapes, not with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def abandon_stdout() -> None:
    """Discards what is buffered for standard output, which is broken, without an error."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
