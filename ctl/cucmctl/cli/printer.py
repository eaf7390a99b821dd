"""Prints data on standard output and messages on standard error.

Text from the daemon or from a user must pass through `visible` before it is printed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Collection, Iterable
from typing import TextIO, TypedDict

import msgspec


def visible(text: str) -> str:
    """Escapes everything in `text` that could control a terminal.

    These are control characters (C0, C1, DEL), line and paragraph separators, direction marks and
    lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def line(text: str, stream: TextIO | None = None) -> None:
    """Prints a line on `stream`, or on standard output. The caller has made the text `visible`.

    With `stream`, the line is a text of ours, in which commands are advised, and not data.
    """
    text = text if stream is None else _at_site(text)
    print(text, file=stream or standard_output(), flush=True)


def json_line(value: object) -> None:
    """Prints one JSON value as a line that is safe on a terminal too."""
    text = msgspec.json.encode(value).decode()
    if not text.isprintable():
        # msgspec escapes C0 controls only, and leaves other characters that are not printable.
        text = json.dumps(json.loads(text), separators=(",", ":"))
    print(text, file=standard_output(), flush=True)


def show(value: object, lines: Iterable[str], *, as_json: bool, none: str = "") -> int:
    """Prints the value as JSON, or the lines, on standard output. Returns the exit code 0.

    `none` is the message that replaces the lines if the value is empty.
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
    """Returns standard output. Raises OSError if the shell closed it before the start, because
    `print` would silently do nothing.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return sys.stdout


# The name of the site that the messages are about, if cucmctl works at another site.
_site = ""
# The verbs that messages may advise. Other words behind "cucmctl" are those of a sentence.
_advised: Collection[str] = ()


def about_site(name: str) -> None:
    """Lets all later messages begin with a site, and adds --site to the commands in them."""
    global _site  # noqa: PLW0603  # the process works at one site until its end
    _site = name


def _at_site(text: str) -> str:
    """Returns a message in which each advised command of `cucmctl` has the option --site."""
    if not _site:
        return text
    return re.sub(rf"\bcucmctl (?=({'|'.join(_advised)})\b)", f"cucmctl --site {_site} ", text)


def note(text: str) -> None:
    """Prints a message on standard error."""
    if sys.stderr is None:  # closed before the start; `print` would then use standard output
        return
    try:
        about = f"{_site}: " if _site else ""
        print(f"cucmctl: {about}{_at_site(visible(text))}", file=sys.stderr, flush=True)
    except OSError:
        pass  # standard error is closed; the exit code is still right


def in_colour(stream: object) -> bool:
    """Returns whether to use colours: on a capable terminal, without $NO_COLOR (no-color.org)."""
    return on_terminal(stream) and not os.environ.get("NO_COLOR")


def on_terminal(stream: object) -> bool:
    """Returns whether `stream` is a terminal that can do more than print lines."""
    isatty = getattr(stream, "isatty", None)  # sys.stdout is None when it was closed at the start
    if isatty is None or not isatty():
        return False
    return os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def columns(stream: object) -> int | None:
    """Returns the width of a terminal, or None if the width is unknown or `stream` is a file."""
    return _size(stream)[0] or None


def rows(stream: object) -> int | None:
    """Returns the height of a terminal, or None if the height is unknown or `stream` is a file."""
    return _size(stream)[1] or None


def _size(stream: object) -> tuple[int, int]:
    """Returns columns and rows. `shutil.get_terminal_size` would use $COLUMNS, which may be old."""
    if not (isatty := getattr(stream, "isatty", None)) or not isatty():
        return 0, 0
    try:
        return os.get_terminal_size(stream.fileno())  # type: ignore[attr-defined]  # as isatty
    except (OSError, ValueError):
        return 0, 0


def ascii_only(stream: object) -> bool:
    """Returns whether `stream` shows only ASCII, because its encoding is not a UTF encoding."""
    return not (getattr(stream, "encoding", None) or "").lower().startswith("utf")


class Layout(TypedDict, total=False):
    """Describes what a stream can show. `table` has the defaults of missing keys.

    columns     the width into which lines should fit; None if lines may have any length
    ascii_only  whether marks must be ASCII
    """

    colour: bool
    columns: int | None
    ascii_only: bool


def layout(stream: object, *, colour: bool = True) -> Layout:
    """Returns what the stream can show. With `colour` false, the layout never has colours."""
    return Layout(
        colour=colour and in_colour(stream),
        columns=columns(stream),
        ascii_only=ascii_only(stream),
    )


def prepare(advised: Collection[str]) -> None:
    """Lets `print` escape what the locale cannot encode, instead of raising an exception.

    advised  the verbs that messages may advise
    """
    global _advised  # noqa: PLW0603  # the verbs never change
    _advised = advised
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def abandon_stdout() -> None:
    """Discards the buffer of standard output, which is broken, so that the exit does not fail."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
