"""Prints data on standard output and messages on standard error.

Text from the daemon or from a user must pass through `visible` before it is printed.
"""

from __future__ import annotations

import errno
import fcntl
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
    if width := about.width:
        text = "\n".join(f"{about.site:{width}}  {one}".rstrip() for one in text.split("\n"))
    _print(text, stream or standard_output())


def json_line(value: object) -> None:
    """Prints one JSON value as a line that is safe on a terminal too."""
    about.replied = True
    _print_json({"site": about.site, "reply": value} if about.width else value)


def json_error(code: int) -> None:
    """Prints the last message as JSON, with the site and the exit code."""
    _print_json({"site": about.site, "error": about.last_note, "code": code})


def _print_json(value: object) -> None:
    text = msgspec.json.encode(value).decode()
    if not text.isprintable():
        # msgspec escapes C0 controls only, and leaves other characters that are not printable.
        text = json.dumps(json.loads(text), separators=(",", ":"))
    _print(text, standard_output())


def _print(text: str, stream: TextIO) -> None:
    if about.lock is not None:  # else long lines of several processes would be mixed in a pipe
        fcntl.lockf(about.lock, fcntl.LOCK_EX)
    print(text, file=stream, flush=True)
    if about.lock is not None:
        fcntl.lockf(about.lock, fcntl.LOCK_UN)


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


class About(msgspec.Struct):
    """Tells which site is shown, if `cucmctl` works at another site, and what was printed.

    site     begins all messages, and is the value of --site in the commands in them
    width    of the site's name before each line if several sites are shown, else 0. Then nothing
             is printed as on a terminal, and JSON names the site
    lock     a file that is locked while the process of a site prints, or None
    replied  whether JSON was printed
    """

    site: str = ""
    width: int = 0
    lock: int | None = None
    replied: bool = False
    last_note: str = ""


about = About()
# The verbs that messages may advise. Other words behind "cucmctl" are those of a sentence.
_advised: Collection[str] = ()


def _at_site(text: str) -> str:
    """Returns a message in which each advised command of `cucmctl` has the option --site."""
    if not about.site:
        return text
    at = f"cucmctl --site {about.site} "
    return re.sub(rf"\bcucmctl (?=({'|'.join(_advised)})\b)", at, text)


def note(text: str, program: str = "cucmctl") -> None:
    """Prints a message of a program on standard error."""
    about.last_note = text = _at_site(visible(text))
    if sys.stderr is None:  # closed before the start; `print` would then use standard output
        return
    try:
        site = f"{about.site}: " if about.site else ""
        print(f"{program}: {site}{text}", file=sys.stderr, flush=True)
    except OSError:
        pass  # standard error is closed; the exit code is still right


def in_colour(stream: object) -> bool:
    """Returns whether to use colours: on a capable terminal, without $NO_COLOR (no-color.org)."""
    return on_terminal(stream) and not os.environ.get("NO_COLOR")


def on_terminal(stream: object) -> bool:
    """Returns whether `stream` is a terminal that can do more than print lines."""
    isatty = getattr(stream, "isatty", None)  # sys.stdout is None when it was closed at the start
    if about.width or isatty is None or not isatty():
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
    if about.width or not (isatty := getattr(stream, "isatty", None)) or not isatty():
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
