"""Shows how far a long transfer is, in one line on standard error."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from cucmctl.cli import printer
from cucmctl.text import render

if TYPE_CHECKING:
    from typing import Self

# Seconds between two updates of the line.
_EVERY = 0.2
# Set by a program that runs cucmctl and shows its progress: each update is a line of its own then.
LINES = "CUCMCTL_PROGRESS_LINES"


class ProgressLine:
    """Shows bytes, rate and remaining time while its block runs, if standard error is a terminal.

    doing  what is done with the bytes, such as "masking"
    whole  how many bytes there are, or 0 if `tell` says it
    """

    def __init__(self, doing: str, whole: int = 0) -> None:
        self._doing = doing
        self._whole = whole
        self._lines = bool(os.environ.get(LINES))
        self._shown = self._lines or printer.on_terminal(sys.stderr)
        self._began = self._next = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Removes the line, so that others can be printed in its place."""
        if not self._lines:
            self._print("")

    def tell(self, done: int, whole: int | None = None) -> None:
        """Updates the line, but not too often. `done` is the number of bytes so far."""
        self._whole = whole or self._whole
        if self._shown and self._whole and (now := time.monotonic()) >= self._next:
            self._next = now + _EVERY
            self._print(self._text(done, now))

    def _text(self, done: int, now: float) -> str:
        rate = done / max(now - self._began, 0.001)
        left = render.duration((self._whole - done) / rate) if rate else "-"
        text = f"{self._doing} {render.progress(done, self._whole)}"
        text += f"  {100 * done // self._whole}%  {render.size(int(rate))}/s  {left} left"
        return text[:79]

    def _print(self, text: str) -> None:
        if self._shown:
            try:
                begin, end = ("", "\n") if self._lines else ("\r\x1b[K", "")
                # One write, because a Ctrl-C between two would put the next message in this line.
                print(f"{begin}{text}{end}", end="", file=sys.stderr, flush=True)
            except OSError:
                self._shown = False  # the terminal was closed, but the transfer goes on
