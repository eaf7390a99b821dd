"""PURE. Decodes the bytes of a terminal, and finds the lines in them.

`EscapeFilter` decodes UTF-8, removes escape sequences, and yields tokens. `Screen` and
transcript.py both get the tokens. Text and lines do not depend on how the bytes are split, and no
more is kept in memory than one line of limited length.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import TypeAlias

# Either printable text, which may contain TAB, or exactly one of the four constants below.
TerminalToken: TypeAlias = str
NEWLINE = "\n"
RETURN = "\r"
BACKSPACE = "\b"
ERASE_LINE = "\x1b[K"  # erases the rest of the line; also used for 1K and 2K

# Text without C0 and C1, Unicode line ends, and invisible characters such as direction marks.
_TEXT = re.compile(
    r"[^\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\U000e0000-\U000e007f]+"
)
_CONTROLS = frozenset((NEWLINE, RETURN, BACKSPACE))
_ESCAPE, _CSI_C1, _BELL, _CANCEL = "\x1b", "\x9b", "\x07", "\x18\x1a"
_STRING_STARTS = "]PX^_"  # OSC, DCS, SOS, PM, APC

# Characters. Real sequences are short. Without these limits a single ESC, in garbage or from a
# hostile node, would hide everything that follows.
MAX_SEQUENCE = 64
MAX_STRING = 4096

# Characters. The longest line of a node is a path, and its file system allows 4,096 characters. If
# a line is longer, its beginning is kept, and its last characters, which may be a prompt.
MAX_LINE = 8192
MAX_ENDING = 80
# A transfer may print a dot for each block, for hours, and then "Transfer completed" on the same
# line. Longer runs of dots are cut, so that the line has room for those words.
MAX_DOTS = 64
_LONG_DOTS = re.compile(rf"\.{{{MAX_DOTS},}}")


class _In(Enum):
    TEXT = auto()
    ESCAPE = auto()  # after ESC
    CSI = auto()  # after ESC [
    STRING = auto()  # after ESC ] and the like, until BEL or ESC \


class EscapeFilter:
    """Turns bytes into tokens. Keeps at most one escape sequence in memory."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._state = _In.TEXT
        self._parameters = ""
        self._length = 0

    def feed(self, data: bytes, *, last: bool = False) -> Iterator[TerminalToken]:
        """Yields the tokens of `data`. `last`: no bytes follow that could complete a character."""
        text = self._decoder.decode(data, last)
        position = 0
        while position < len(text):
            if self._state is _In.TEXT and (run := _TEXT.match(text, position)):
                position = run.end()
                yield run.group()
                continue
            char = text[position]
            position += 1
            match self._state:
                case _In.TEXT:
                    token = self._plain(char)
                case _In.ESCAPE:
                    token = self._after_escape(char)
                case _In.CSI:
                    token = self._in_csi(char)
                case _In.STRING:
                    token = self._in_string(char)
            if token is not None:
                yield token

    def _enter(self, state: _In) -> None:
        self._state = state
        self._parameters = ""
        self._length = 0

    def _plain(self, char: str) -> TerminalToken | None:
        self._enter(_In.TEXT)
        if char == _ESCAPE:
            self._enter(_In.ESCAPE)
        elif char == _CSI_C1:
            self._enter(_In.CSI)
        elif char in _CONTROLS or _TEXT.match(char):
            return char
        return None

    def _after_escape(self, char: str) -> TerminalToken | None:
        self._length += 1
        if char == "[" and self._length == 1:
            self._enter(_In.CSI)
        elif char in _STRING_STARTS and self._length == 1:
            self._enter(_In.STRING)
        elif " " <= char <= "/" and self._length < MAX_SEQUENCE:
            pass  # an intermediate character, as in ESC ( B; the final one is still to come
        elif "0" <= char <= "~":
            self._enter(_In.TEXT)
        else:  # this is no escape sequence, so do not drop the character
            return self._plain(char)
        return None

    def _in_csi(self, char: str) -> TerminalToken | None:
        if "@" <= char <= "~":
            erases = char == "K" and self._parameters in ("", "0", "1", "2")
            self._enter(_In.TEXT)
            return ERASE_LINE if erases else None
        if " " <= char <= "?" and len(self._parameters) < MAX_SEQUENCE:
            self._parameters += char
            return None
        return self._plain(char)

    def _in_string(self, char: str) -> TerminalToken | None:
        self._length += 1
        if char == _ESCAPE:  # ESC \ ends the string; any other sequence ends it too
            self._enter(_In.ESCAPE)
        elif char in _CONTROLS or self._length > MAX_STRING:
            # This is no real string. Showing too much is better than losing lines.
            return self._plain(char)
        elif char == _BELL or char in _CANCEL:
            self._enter(_In.TEXT)
        return None


class Screen:
    """Holds the current line of a terminal.

    segment         the text since the last newline, carriage return or erase-line. Questions and
                    prompts are at the start of a segment.
    segment_number  a different number for each segment
    grown_from      where in the segment its newest text begins
    """

    def __init__(self) -> None:
        self.segment_number = 0
        self.restart()

    def restart(self) -> None:
        """Forgets the current line, before a command is typed."""
        self._kept = ""  # the text to the left of the cursor when the line was erased
        self._start_segment()

    def _start_segment(self) -> None:
        self.segment = ""
        self.ending = ""  # the last characters, even if the segment is longer than MAX_LINE
        self.segment_number += 1
        self.grown_from = 0
        self._shortest = 0  # the least length of the segment since `feed` last yielded None
        self._returned = False

    def feed(self, tokens: Iterable[TerminalToken]) -> Iterator[str | None]:
        """Yields each finished line, and None whenever the segment has grown."""
        for token in tokens:
            if token == NEWLINE:
                line = self._kept + self.segment
                self.restart()
                yield line
            elif token == RETURN:
                self._returned = True
            elif token == ERASE_LINE:
                kept = "" if self._returned else (self._kept + self.segment)[:MAX_LINE]
                self._start_segment()
                self._kept = kept
            elif token == BACKSPACE:
                # Nodes step back only to erase: "\b \b", or "\b" and another character.
                if not self._returned:
                    if len(self.segment) < MAX_LINE:
                        self.segment = self.segment[:-1]
                        self._shortest = min(self._shortest, len(self.segment))
                    self.ending = self.ending[:-1]
            else:
                self._write(token)
                yield None

    def _write(self, text: str) -> None:
        if self._returned:
            # A real terminal would overwrite character by character, and keep the rest of the old
            # line. Nothing needs that rest: nodes overwrite only pagers and progress lines.
            self.restart()
        dots = self.ending[len(self.ending.rstrip(".")) :]
        text = _LONG_DOTS.sub("." * MAX_DOTS, dots + text)[len(dots) :]
        self.grown_from = self._shortest
        self.segment += text[: MAX_LINE - len(self.segment)]
        self._shortest = len(self.segment)
        self.ending = (self.ending + text)[-MAX_ENDING:]
