"""PURE. Terminal bytes to plain text: UTF-8 decoded, escape sequences taken out.

The one rule: every byte goes through here before anything else looks at it, and what comes out
holds no control character but those named in `Token`. The state survives any split of the bytes.
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
ERASE_LINE = "\x1b[K"  # the node erases from the cursor on; 1K and 2K come out the same way

# Besides C0 and C1: what turns the direction of text, ends a line in Unicode, or is not seen.
_TEXT = re.compile(
    r"[^\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\U000e0000-\U000e007f]+"
)
_CONTROLS = frozenset((NEWLINE, RETURN, BACKSPACE))
_ESCAPE, _CSI_C1, _BELL, _CANCEL = "\x1b", "\x9b", "\x07", "\x18\x1a"
_STRING_STARTS = "]PX^_"  # OSC, DCS, SOS, PM, APC

# A real sequence is a few characters long. Without a limit, one stray ESC in garbage, or a node
# that means harm, would swallow everything that follows.
MAX_SEQUENCE = 64
MAX_STRING = 4096


class _In(Enum):
    TEXT = auto()
    ESCAPE = auto()  # after ESC
    CSI = auto()  # after ESC [
    STRING = auto()  # after ESC ] and the like, until BEL or ESC \


class EscapeFilter:
    """Feeds on bytes, gives tokens. Memory: one escape sequence."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._state = _In.TEXT
        self._parameters = ""
        self._length = 0

    def feed(self, data: bytes) -> Iterator[Token]:
        text = self._decoder.decode(data)
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
            pass  # an intermediate, as in ESC ( B: the final character is still to come
        elif "0" <= char <= "~":
            self._enter(_In.TEXT)
        else:  # not a sequence: a control or non-ASCII character counts for itself
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
        if char == _ESCAPE:  # ESC \ ends it; any other sequence begins anew
            self._enter(_In.ESCAPE)
        elif char in _CONTROLS or self._length > MAX_STRING:
            # The appliance never sends such strings: rather show too much than lose its lines.
            return self._plain(char)
        elif char == _BELL or char in _CANCEL:
            self._enter(_In.TEXT)
        return None
