"""PURE. Says which words of a request may be typed to a node, and with which keys.

A word that could become a second word, a second command or a key is refused here, with field, value
and reason. TAB and `?` are keys even inside an argument, and quotes do not group words
(vos/NODES.md, section 5.1).
"""

from __future__ import annotations

import re

from cucmd.vos.questions import MAX_QUESTION
from cucmd.vos.texts import ENTER

MAX_WORD = 512  # longer than any path that can be typed
MAX_LINE = 2000
# Of the terminal: a prompt or a question stands before what is encode_line, and nothing of it may wrap.
# What has wrapped is not known as the echo, so a word of it may be taken for a question.
COLUMNS = MAX_QUESTION + MAX_LINE + 1
# No character in it is more than itself to a shell behind the node's. A `-` at the beginning of a
# word would be an option of whatever reads it.
_PATH = re.compile(r"/?[A-Za-z0-9_.][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_.][A-Za-z0-9_.+-]*)*/?")


class InvalidArgument(ValueError):
    """A value must not be typed. `value` is empty where it is secret."""

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
    """Says whether it is a path below a location; as on a node, `*` in the last component only."""
    *folders, last = text.rstrip("/").split("/")
    if "*" in last:  # the rest of the name is checked without it
        text = "/".join([*folders, last.replace("*", "x")])
    return _PATH.fullmatch(text) is not None and ".." not in text.split("/")


def check_line(field: str, value: str, *, secret: bool = False) -> str:
    """Returns `value` if it can be typed as one line. Blanks and quotes are allowed, keys are not.

    Raises InvalidArgument, without the value if it is `secret`.
    """
    shown = "" if secret else value
    if not value.strip():
        raise InvalidArgument(field, shown, "is empty")
    if len(value) > MAX_LINE:
        raise InvalidArgument(field, shown, f"is longer than {MAX_LINE} characters")
    if not value.isprintable():
        raise InvalidArgument(field, shown, "holds a control character")
    return value


def check_command(text: str) -> str:
    """Returns `text` if it is one line without the keys TAB and `?`. Raises InvalidArgument."""
    check_line("command", text)
    if "?" in text:
        raise InvalidArgument("command", text, "'?' asks the node for help")
    return text


def encode_line(line: str) -> bytes:
    """Returns the keys for a line, Enter included."""
    return f"{line}{ENTER}".encode()
