"""PURE. The current line of the terminal, and the lines that were finished above it.

The one rule: what is kept is a function of the bytes alone, never of how they were split, and
never more than one bounded line.
"""

from __future__ import annotations

from collections.abc import Iterator

from cucmd.vos.escapes import BACKSPACE, ERASE_LINE, NEWLINE, RETURN, EscapeFilter

# The longest line a node has reason to print is a path (4,096 at most on its file system).
# Of a longer line only the beginning is kept, and the last characters, for the prompt.
MAX_LINE = 8192
MAX_ENDING = 80
# A transfer may print one dot a block for hours, then end on the same line.
MAX_DOTS = 64


class Screen:
    """Feeds on bytes; gives each finished line, and None whenever the current line has grown.

    `segment` is the text since the last line start: newline, carriage return or erase-line.
    Questions and prompts stand at the start of a segment. `segment_number` tells segments apart.
    `grown_from` is where in the segment the text begins that the last None stood for.
    """

    def __init__(self) -> None:
        self._filter = EscapeFilter()
        self.segment_number = 0
        self.restart()

    def restart(self) -> None:
        """Forgets the current line: a command is about to be typed."""
        self._kept = ""  # what an erase without a return leaves to its left
        self._start_segment()

    def _start_segment(self) -> None:
        self.segment = ""
        self.ending = ""  # the last characters of the segment, even when it is over-long
        self.segment_number += 1
        self.grown_from = 0
        self._shortest = 0  # that the segment was since then
        self._returned = False

    def feed(self, data: bytes) -> Iterator[str | None]:
        for token in self._filter.feed(data):
            if token == NEWLINE:
                line = self._kept + self.segment
                self.restart()
                yield line
            elif token == RETURN:
                self._returned = True
            elif token == ERASE_LINE:
                self._erase()
            elif token == BACKSPACE:
                self._step_back()
            else:
                self._write(token)
                yield None

    def _erase(self) -> None:
        kept = "" if self._returned else (self._kept + self.segment)[:MAX_LINE]
        self._start_segment()
        self._kept = kept

    def _step_back(self) -> None:
        # Nodes step back only to rub out: "\b \b", or "\b" and a new character.
        if not self._returned:
            if len(self.segment) < MAX_LINE:
                self.segment = self.segment[:-1]
                self._shortest = min(self._shortest, len(self.segment))
            self.ending = self.ending[:-1]

    def _write(self, text: str) -> None:
        if self._returned:
            # A real terminal would overwrite character by character. What is left of the old
            # line is never of interest here: pagers and progress lines replace themselves.
            self.restart()
        recent = self.ending[-MAX_DOTS:]
        text = _without_long_dots(text, before=len(recent) - len(recent.rstrip(".")))
        self.grown_from = self._shortest
        self.segment += text[: MAX_LINE - len(self.segment)]
        self._shortest = len(self.segment)
        self.ending = (self.ending + text)[-MAX_ENDING:]


def _without_long_dots(text: str, *, before: int) -> str:
    """`text` with every run of dots cut to MAX_DOTS, `before` of which came already."""
    if "." not in text or (before + text.count(".")) <= MAX_DOTS:
        return text
    kept = []
    run = before
    for char in text:
        run = run + 1 if char == "." else 0
        if run <= MAX_DOTS:
            kept.append(char)
    return "".join(kept)
