"""Standard output and standard error: data on the one, messages on the other.

The one rule: nothing that came from elsewhere reaches a terminal without passing `visible`.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TextIO

import msgspec


def visible(text: str) -> str:
    """`text` with everything that a terminal might obey written as an escape.

    Control characters (C0, C1, DEL), line and paragraph separators, the invisible characters
    that turn the direction of text, lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def line(text: str, stream: TextIO | None = None) -> None:
    """One line for people, on standard output or on `stream`; the caller made it visible."""
    print(text, file=_open(stream), flush=True)


def json_line(value: object) -> None:
    """One JSON value on a line of its own, safe on a terminal too."""
    text = msgspec.json.encode(value).decode()
    if not text.isprintable():
        # JSON escapes C0 by itself. What else is unprintable stands within strings, so that a
        # JSON escape in its place is the same text to whoever reads it as JSON.
        text = "".join(c if c.isprintable() else _json_escape(c) for c in text)
    print(text, file=_open(), flush=True)


def _open(stream: TextIO | None = None) -> TextIO:
    """`stream`, or standard output; where that was closed at the start `print` would say nothing.

    Raises OSError, as of a disk that is full: what was asked for does not reach anybody.
    """
    out = stream or sys.stdout
    if out is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return out


def note(text: str) -> None:
    """A message to the person at the terminal."""
    if sys.stderr is None:  # closed at the start; `print` would take None for standard output
        return
    try:
        print(f"cucmctl: {visible(text)}", file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody reads our messages; the exit code says it


def in_colour(stream: object) -> bool:
    """Colours only on a terminal that has them, and only if nobody said no (no-color.org)."""
    return on_terminal(stream) and not os.environ.get("NO_COLOR")


def on_terminal(stream: object) -> bool:
    """Whether `stream` is a terminal that can do more than print lines."""
    isatty = getattr(stream, "isatty", None)  # sys.stdout is None when it was closed at the start
    if isatty is None or not isatty():
        return False
    return os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def columns(stream: object) -> int | None:
    """How wide the terminal `stream` is; None if it is none, or does not say.

    Not `shutil.get_terminal_size`: it believes $COLUMNS, which may be of another time.
    """
    if not (isatty := getattr(stream, "isatty", None)) or not isatty():
        return None
    try:
        # what has `isatty` has `fileno` too
        return os.get_terminal_size(stream.fileno()).columns or None  # type: ignore[attr-defined]
    except (OSError, ValueError):
        return None


def ascii_only(stream: object) -> bool:
    """Whether the person at `stream` would get escapes in place of other characters."""
    return not (getattr(stream, "encoding", None) or "").lower().startswith("utf")


def prepare() -> None:
    """Lets every text through: a locale without UTF-8 gets escapes in place of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def abandon_stdout() -> None:
    """Standard output is broken: whatever is still buffered goes nowhere, without a complaint."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)


def _json_escape(character: str) -> str:
    point = ord(character)
    if point > 0xFFFF:  # JSON writes these as a surrogate pair
        point -= 0x10000
        return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"
    return f"\\u{point:04x}"
