"""PURE. Checks the words of a request before they are typed to a node.

Text that could become a second word, a second command or a key is refused. TAB and `?` are keys
even inside an argument, and quotes do not group words (vos/NODES.md, section 5.1).
"""

from __future__ import annotations

import re

from cucmd.vos.questions import MAX_QUESTION
from cucmd.vos.texts import ENTER

MAX_WORD = 512  # characters; longer than any path that can be typed
MAX_LINE = 2000  # characters
# The width of the terminal. It has room for a question and the longest line after it, so that the
# node never wraps the echo. A wrapped echo would not be recognised, or be taken for a question.
COLUMNS = MAX_QUESTION + MAX_LINE + 1
# None of these characters is special for a Unix shell, because the node may pass the word to a
# shell. No part begins with `-`, which could be taken for an option.
_PATH = re.compile(r"/?[A-Za-z0-9_.][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_.][A-Za-z0-9_.+-]*)*/?")


class InvalidArgument(ValueError):
    """Reports a value that must not be typed to a node. `value` is "" if it is secret."""

    def __init__(self, field: str, value: str, reason: str) -> None:
        shown = f" {value[:MAX_WORD]!r}" if value else ""
        super().__init__(f"{field}{shown}: {reason}")
        self.field = field
        self.value = value
        self.reason = reason


def check_word(field: str, value: str) -> str:
    """Returns `value` if it can be one word of a command. Raises InvalidArgument."""
    if not value:
        raise InvalidArgument(field, value, "is empty")
    if len(value) > MAX_WORD:
        raise InvalidArgument(field, value, f"is longer than {MAX_WORD} characters")
    for char in value:
        if char in "?\"'`" or not "!" <= char <= "~":
            reason = f"{char!r} cannot be typed to the node; use printable ASCII without blanks"
            raise InvalidArgument(field, value, f"{reason}, quotes and '?'")
    return value


def is_path(text: str) -> bool:
    """Says whether `text` is a path below a location. Only its last component may have `*`."""
    *folders, last = text.rstrip("/").split("/")
    if "*" in last:  # check the name without `*`
        text = "/".join([*folders, last.replace("*", "x")])
    return _PATH.fullmatch(text) is not None and ".." not in text.split("/")


def check_line(field: str, value: str, *, secret: bool = False) -> str:
    """Returns `value` if it can be typed as one line, with blanks and quotes but without keys.

    Raises InvalidArgument. A value that is `secret` is left out of the exception.
    """
    shown = "" if secret else value
    if not value.strip():
        raise InvalidArgument(field, shown, "is empty")
    if len(value) > MAX_LINE:
        raise InvalidArgument(field, shown, f"is longer than {MAX_LINE} characters")
    if not value.isprintable():
        raise InvalidArgument(field, shown, "contains a control character")
    return value


def check_command(text: str) -> str:
    """Returns `text` if it is one line without the keys TAB and `?`. Raises InvalidArgument."""
    check_line("command", text)
    if "?" in text:
        raise InvalidArgument("command", text, "'?' asks the node for help")
    return text


def encode_line(line: str) -> bytes:
    """Returns the bytes that type a line and Enter."""
    return f"{line}{ENTER}".encode()
