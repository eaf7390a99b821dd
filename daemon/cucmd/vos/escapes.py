"""PURE. Terminal bytes to plain text: UTF-8 decoded, escape sequences removed.

Every byte goes through here first, and what comes out has no control character but those named at
`Token`. The result does not depend on how the bytes were split.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import TypeAlias

# A run of printable text (TAB included), or exactly one of the four below.
Token: TypeAlias = str
NEWLINE = "\n"
RETURN = "\r"
BACKSPACE = "\b"
ERASE_LINE = "\x1b[K"  # from the cursor on; 1K and 2K are given as this too

# Without C0 and C1, Unicode line ends, and invisible characters such as direction marks.
_TEXT = re.compile(
    r"[^\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\U000e0000-\U000e007f]+"
)
_CONTROLS = frozenset((NEWLINE, RETURN, BACKSPACE))
_ESCAPE, _CSI_C1, _BELL, _CANCEL = "\x1b", "\x9b", "\x07", "\x18\x1a"
_STRING_STARTS = "]PX^_"  # OSC, DCS, SOS, PM, APC

# A real sequence has a few characters. Without a limit, one ESC in garbage, or from a hostile node,
# would hide everything that follows.
MAX_SEQUENCE = 64
MAX_STRING = 4096


class _In(Enum):
    TEXT = auto()
    ESCAPE = auto()  # after ESC
    CSI = auto()  # after ESC [
    STRING = auto()  # after ESC ] and the like, until BEL or ESC \


class EscapeFilter:
    """Takes bytes, gives tokens. Keeps at most one escape sequence."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._state = _In.TEXT
        self._parameters = ""
        self._length = 0

    def feed(self, data: bytes, *, last: bool = False) -> Iterator[Token]:
        """The tokens of `data`. With `last` also a character whose bytes have not all come."""
        text = self._decoder.decode(data, last)
        position = 0
        while position < len(text):
            if self._state is _In.TEXT and (run := _TEXT.match(text, position)):
                position = run.end()
                yield run.group()
            else:
                token = self._control(text[position])
                position += 1
                if token is not None:
                    yield token

    def _control(self, char: str) -> Token | None:
        match self._state:
            case _In.TEXT:
                return self._plain(char)
            case _In.ESCAPE:
                return self._after_escape(char)
            case _In.CSI:
                return self._in_csi(char)
            case _In.STRING:
                return self._in_string(char)

    def _enter(self, state: _In) -> None:
        self._state = state
        self._parameters = ""
        self._length = 0

    def _plain(self, char: str) -> Token | None:
        self._enter(_In.TEXT)
        if char == _ESCAPE:
            self._enter(_In.ESCAPE)
        elif char == _CSI_C1:
            self._enter(_In.CSI)
        elif char in _CONTROLS or _TEXT.match(char):
            return char
        return None

    def _after_escape(self, char: str) -> Token | None:
        self._length += 1
        if char == "[" and self._length == 1:
            self._enter(_In.CSI)
        elif char in _STRING_STARTS and self._length == 1:
            self._enter(_In.STRING)
        elif " " <= char <= "/" and self._length < MAX_SEQUENCE:
            pass  # an intermediate character, as in ESC ( B: the final one is still to come
        elif "0" <= char <= "~":
            self._enter(_In.TEXT)
        else:  # not a sequence: a control or non-ASCII character is taken as itself
            return self._plain(char)
        return None

    def _in_csi(self, char: str) -> Token | None:
        if "@" <= char <= "~":
            erases = char == "K" and self._parameters in ("", "0", "1", "2")
            self._enter(_In.TEXT)
            return ERASE_LINE if erases else None
        if " " <= char <= "?" and len(self._parameters) < MAX_SEQUENCE:
            self._parameters += char
            return None
        return self._plain(char)

    def _in_string(self, char: str) -> Token | None:
        self._length += 1
        if char == _ESCAPE:  # ESC \ ends the string; any other sequence ends it too
            self._enter(_In.ESCAPE)
        elif char in _CONTROLS or self._length > MAX_STRING:
            # Nodes never send such strings. Showing too much is better than losing lines.
            return self._plain(char)
        elif char == _BELL or char in _CANCEL:
            self._enter(_In.TEXT)
        return None
