"""PURE. The current line of the terminal, and the lines that were finished above it.

What is kept depends on the bytes alone, not on how they were split, and is never more than one line
of limited length.
"""

from __future__ import annotations

from collections.abc import Iterator

from cucmd.vos.escapes import BACKSPACE, ERASE_LINE, NEWLINE, RETURN, EscapeFilter

# The longest line that a node prints is a path: 4,096 characters at most on its file system.
# Of a longer line only the beginning is kept, and the last characters, for the prompt.
MAX_LINE = 8192
MAX_ENDING = 80
# A transfer may print a dot for each block, for hours, and its last word on the same line.
MAX_DOTS = 64


class Screen:
    """Takes bytes; gives each finished line, and None whenever the current line has grown.

    segment         the text since the last newline, carriage return or erase-line; questions and
                    prompts stand at the start of a segment
    segment_number  another number for each segment
    grown_from      where in the segment the text begins that the last None stood for
    """

    def __init__(self) -> None:
        self._filter = EscapeFilter()
        self.segment_number = 0
        self.restart()

    def restart(self) -> None:
        """Forgets the current line: a command is about to be typed."""
        self._kept = ""  # what an erase-line without a carriage return leaves to its left
        self._start_segment()

    def _start_segment(self) -> None:
        self.segment = ""
        self.ending = ""  # the last characters of the segment, also if it is longer than MAX_LINE
        self.segment_number += 1
        self.grown_from = 0
        self._shortest = 0  # the least length that the segment had since the last None
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
        # Nodes step back only to erase: "\b \b", or "\b" and another character.
        if not self._returned:
            if len(self.segment) < MAX_LINE:
                self.segment = self.segment[:-1]
                self._shortest = min(self._shortest, len(self.segment))
            self.ending = self.ending[:-1]

    def _write(self, text: str) -> None:
        if self._returned:
            # A real terminal would overwrite character by character. What would be left of the old
            # line is not needed: only pagers and progress lines are overwritten.
            self.restart()
        recent = self.ending[-MAX_DOTS:]
        text = _without_long_dots(text, before=len(recent) - len(recent.rstrip(".")))
        self.grown_from = self._shortest
        self.segment += text[: MAX_LINE - len(self.segment)]
        self._shortest = len(self.segment)
        self.ending = (self.ending + text)[-MAX_ENDING:]


def _without_long_dots(text: str, *, before: int) -> str:
    """`text` with every run of dots cut to MAX_DOTS, of which `before` came earlier."""
    if "." not in text or (before + text.count(".")) <= MAX_DOTS:
        return text
    kept = []
    run = before
    for char in text:
        run = run + 1 if char == "." else 0
        if run <= MAX_DOTS:
            kept.append(char)
    return "".join(kept)
