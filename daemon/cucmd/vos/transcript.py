"""PURE. What was said between us and a node, as lines that a person may read.

The one rule: no secret and no control character leaves this file, however the node cuts them up.

Secrets are looked for in the visible characters alone: escape sequences, line ends, carriage
returns and the borders of reads do not count. What could still become a secret is held back until
it is one (then it is masked) or cannot be one any more (then it is written). So never more is
held than the longest secret, and a line without end costs no memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from cucmd.vos.escapes import BACKSPACE, ERASE_LINE, NEWLINE, RETURN, EscapeFilter
from cucmd.vos.secrets import COVER, Secrets, masked, visible

# Empty lines in a row say no more than one, and a node may send them without end.
_MAX_LINE_ENDS = 2


class _LineEnd(msgspec.Struct, frozen=True):
    offset: int  # it stands before this character of the text that is held


class _Return(msgspec.Struct, frozen=True):
    """A carriage return with text after it: what comes now is written over the line."""

    offset: int


class _Said(msgspec.Struct, frozen=True):
    """Our own words, in their place: they may come while a tail is held back."""

    offset: int
    line: str


_Mark: TypeAlias = _LineEnd | _Return | _Said


class Transcript:
    """Gives the text to append, in order. Stamps are the caller's; the room has no clock."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = Secrets(secrets)
        self._filter = EscapeFilter()
        self._stamp = ""
        self._returned = False
        self._line_ends = 0  # in a row
        # Heard, but not written yet, and what stands between its characters.
        self._held = ""
        self._known_secret = 0  # so many of its first characters belong to a secret for certain
        self._marks: deque[_Mark] = deque()
        # What the last text that was given out has left behind.
        self._in_line = False
        self._in_mask = False

    def add_secret(self, secret: str) -> None:
        """From now on `secret` is masked, in what is heard and in what is said."""
        self._secrets.add(secret)

    def heard(self, data: bytes, stamp: str) -> str:
        """The node sent `data` at `stamp`."""
        self._stamp = stamp
        self._held += "".join(self._texts(data))
        return self._write(self._secrets.certain(self._held))

    def said(self, shown: str, stamp: str) -> str:
        """We sent something; `shown` is what may be shown of it."""
        return self._line(f"{stamp} > {shown}")

    def noted(self, note: str) -> str:
        """A line about what follows, said to nobody."""
        return self._line(f"({note})")

    def _line(self, line: str) -> str:
        self._marks.append(_Said(len(self._held), f"{self._secrets.mask(line).rstrip()}\n"))
        self._line_ends = 0
        return self._write(self._secrets.certain(self._held))

    def flush(self) -> str:
        """Whatever was held back, and the end of the line. Nothing more is awaited."""
        text = self._write(len(self._held))
        return text + self._end_line()

    # What arrives

    def _texts(self, data: bytes) -> Iterator[str]:
        """The visible text in `data`; notes where its lines end."""
        offset = len(self._held)
        for token in self._filter.feed(data):
            if token == RETURN:
                self._returned = True
            elif token == NEWLINE:
                self._end_of_line(offset)
            elif token not in (BACKSPACE, ERASE_LINE) and (text := visible(token)):
                self._begin_text(offset)
                offset += len(text)
                yield text

    def _end_of_line(self, offset: int) -> None:
        self._returned = False
        if self._line_ends < _MAX_LINE_ENDS:
            self._line_ends += 1
            self._marks.append(_LineEnd(offset))

    def _begin_text(self, offset: int) -> None:
        if self._returned:
            self._marks.append(_Return(offset))
        self._returned = False
        self._line_ends = 0

    # What is written

    def _write(self, count: int) -> str:
        """Gives out the first `count` characters of what is held, and the marks among them."""
        text = self._secrets.cover(self._held, self._known_secret)
        parts = []
        position = 0
        while self._marks and self._marks[0].offset <= count:
            mark = self._marks.popleft()
            parts += [self._heard_text(text[position : mark.offset]), self._marked(mark)]
            position = mark.offset
        parts.append(self._heard_text(text[position:count]))
        self._keep(text, count)
        return "".join(parts)

    def _keep(self, text: str, count: int) -> None:
        rest = text[count:]
        self._held = self._held[count:]
        self._known_secret = len(rest) - len(rest.lstrip(COVER))
        self._marks = deque(
            msgspec.structs.replace(mark, offset=mark.offset - count) for mark in self._marks
        )

    def _heard_text(self, text: str) -> str:
        if not text:
            return ""
        shown = text.lstrip(COVER) if self._in_mask else text  # the mask is written already
        self._in_mask = text.endswith(COVER)
        if not shown:
            return ""
        begin = "" if self._in_line else f"{self._stamp} < "
        self._in_line = True
        return begin + masked(shown)

    def _marked(self, mark: _Mark) -> str:
        match mark:
            case _LineEnd():
                return self._end_line() or f"{self._stamp} <\n"
            case _Return():
                return self._end_line()
            case _Said(line=line):
                return self._end_line() + line

    def _end_line(self) -> str:
        if not self._in_line:
            return ""
        self._in_line = False
        return "\n"
