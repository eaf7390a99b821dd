"""PURE. Writes what was sent in both directions of a session, as lines for a person.

No secret and no control character leaves this file, however the bytes were split.

Secrets are looked for in the visible characters alone: escape sequences, line ends, carriage
returns and the borders of reads do not count. Text that may be the beginning of a secret is held
back until it is one (then it is masked) or cannot become one (then it is written). So at most the
length of the longest secret is held back, and a line without end takes no memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from cucmd.vos.screen import BACKSPACE, ERASE_LINE, NEWLINE, RETURN, TerminalToken
from cucmd.vos.secrets import COVER, Secrets, mask_covered, remove_invisible

# At most one empty line in a row is written: a node may send them without end.
_MAX_LINE_ENDS = 2


class _Mark(msgspec.Struct, frozen=True):
    """Says what stands before this character of the text that is held back.

    text: NEWLINE; RETURN, where a terminal would write over the line; or a line of ours, which has
    its place there though text is held back when it is written.
    """

    offset: int
    text: str


class Transcript:
    """Every method gives the text to append to the transcript. The caller gives the time stamps."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = Secrets(secrets)
        self._stamp = ""
        self._returned = False
        self._line_ends = 0  # in a row
        # What was received but not written yet, and what stands between its characters.
        self._held = ""
        self._known_secret = 0  # how many of its first characters certainly belong to a secret
        self._marks: deque[_Mark] = deque()
        # Where the text that was given last has ended.
        self._in_line = False
        self._in_mask = False

    def add_secret(self, secret: str) -> None:
        """From now on `secret` is masked in both directions."""
        self._secrets.add(secret)

    def received(self, tokens: Iterable[TerminalToken], stamp: str) -> str:
        """Takes what the node sent at `stamp`. Returns what can be written of it by now."""
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
        """We sent something at `stamp`. `shown` is what may be shown of it."""
        return self._line(f"{stamp} > {shown}")

    def comment(self, note: str) -> str:
        """Adds a line in parentheses that neither side sent."""
        return self._line(f"({note})")

    def _line(self, line: str) -> str:
        self._marks.append(_Mark(len(self._held), f"{self._secrets.mask(line).rstrip()}\n"))
        self._line_ends = 0
        return self._write(self._secrets.writable(self._held))

    def flush(self) -> str:
        """Returns what was held back, and the end of the line. Called when nothing more comes."""
        return self._write(len(self._held)) + self._end_line()

    # What is written

    def _write(self, count: int) -> str:
        """Takes the first `count` characters of what is held back, with the marks among them."""
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
        shown = text.lstrip(COVER) if self._in_mask else text  # the mask is written already
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
