"""PURE. Writes both directions of a session as lines for a person.

The lines contain no secret and no control character, however the bytes are split.

Secrets are searched in the visible characters alone, across escape sequences, line ends and the
borders of reads. Text that may be the beginning of a secret is held back until the secret is
complete and is masked, or until the text cannot become a secret. So at most the length of the
longest secret is held back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from cucmd.vos.screen import BACKSPACE, ERASE_LINE, NEWLINE, RETURN, TerminalToken
from cucmd.vos.secrets import COVER, Secrets, mask_covered, remove_invisible

# Two line ends in a row make one empty line. A node may send empty lines without end.
_MAX_LINE_ENDS = 2


class _Mark(msgspec.Struct, frozen=True):
    """Marks a position within the text that is held back.

    offset  the number of characters before the mark
    text    NEWLINE; or RETURN, where a terminal would overwrite the line; or a line of ours
    """

    offset: int
    text: str


class Transcript:
    """Makes the text of a transcript. Most methods return text to append to the transcript."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = Secrets(secrets)
        self._stamp = ""
        self._returned = False
        self._line_ends = 0  # in a row
        # The text that was received but not written yet, and the marks within it.
        self._held = ""
        self._known_secret = 0  # how many of its first characters belong to a secret
        self._marks: deque[_Mark] = deque()
        # Whether the written text ends within a line, and within a mask.
        self._in_line = False
        self._in_mask = False

    def add_secret(self, secret: str) -> None:
        """Masks `secret` in both directions from now on."""
        self._secrets.add(secret)

    def received(self, tokens: Iterable[TerminalToken], stamp: str) -> str:
        """Reads output that came at `stamp`. Returns the text that can be written now."""
        self._stamp = stamp
        held = [self._held]
        offset = len(self._held)
        for token in tokens:
            if token == RETURN:
                self._returned = True
            elif token == NEWLINE:
                self._returned = False
                if self._line_ends < _MAX_LINE_ENDS:
                    self._line_ends += 1
                    self._marks.append(_Mark(offset, NEWLINE))
            elif token not in (BACKSPACE, ERASE_LINE) and (text := remove_invisible(token)):
                if self._returned:
                    self._marks.append(_Mark(offset, RETURN))
                self._returned = False
                self._line_ends = 0
                offset += len(text)
                held.append(text)
        self._held = "".join(held)
        return self._write(self._secrets.writable(self._held))

    def sent(self, shown: str, stamp: str) -> str:
        """Returns the text for what we sent at `stamp`. `shown`: what may be shown of it."""
        return self._line(f"{stamp} > {shown}")

    def comment(self, note: str) -> str:
        """Returns the text for a note in parentheses, which neither side sent."""
        return self._line(f"({note})")

    def _line(self, line: str) -> str:
        self._marks.append(_Mark(len(self._held), f"{self._secrets.mask(line).rstrip()}\n"))
        self._line_ends = 0
        return self._write(self._secrets.writable(self._held))

    def flush(self) -> str:
        """Returns the text that was held back, and the end of the line. Nothing may follow."""
        return self._write(len(self._held)) + self._end_line()

    def _write(self, count: int) -> str:
        """Returns the first `count` characters that are held back, with the marks among them."""
        text = self._secrets.cover(self._held, self._known_secret)
        parts = []
        position = 0
        while self._marks and self._marks[0].offset <= count:
            mark = self._marks.popleft()
            parts += [self._received_text(text[position : mark.offset]), self._end_line()]
            if mark.text == NEWLINE:
                parts[-1] = parts[-1] or f"{self._stamp} <\n"
            elif mark.text != RETURN:
                parts.append(mark.text)
            position = mark.offset
        parts.append(self._received_text(text[position:count]))
        rest = text[count:]
        self._held = self._held[count:]
        self._known_secret = len(rest) - len(rest.lstrip(COVER))
        self._marks = deque(
            msgspec.structs.replace(mark, offset=mark.offset - count) for mark in self._marks
        )
        return "".join(parts)

    def _received_text(self, text: str) -> str:
        if not text:
            return ""
        # If the last text ended in a mask, this mask stands for the rest of the secret too.
        shown = text.lstrip(COVER) if self._in_mask else text
        self._in_mask = text.endswith(COVER)
        if not shown:
            return ""
        begin = "" if self._in_line else f"{self._stamp} < "
        self._in_line = True
        return begin + mask_covered(shown)

    def _end_line(self) -> str:
        if not self._in_line:
            return ""
        self._in_line = False
        return "\n"
