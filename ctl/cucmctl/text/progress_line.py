"""Shows how far a long transfer is, in one line on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from cucmctl.cli import printer
from cucmctl.text import render

if TYPE_CHECKING:
    from typing import Self

# Seconds between two updates of the line.
_EVERY = 0.2


class ProgressLine:
    """Shows bytes, rate and remaining time while its block runs, if standard error is a terminal.

    whole  how many bytes there are
    """

    def __init__(self, whole: int) -> None:
        self._whole = whole
        self._shown = printer.on_terminal(sys.stderr)
        self._began = self._next = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._print("")

    def tell(self, done: int) -> None:
        """Updates the line, but not too often. `done` is the number of bytes so far."""
        if self._shown and (now := time.monotonic()) >= self._next:
            self._next = now + _EVERY
            self._print(self._text(done, now))

    def _text(self, done: int, now: float) -> str:
        rate = done / max(now - self._began, 0.001)
        left = render.duration((self._whole - done) / rate) if rate else "-"
        text = f"{render.progress(done, self._whole)}  {100 * done // (self._whole or 1)}%"
        text += f"  {render.size(int(rate))}/s  {left} left"
        return text[:79]

    def _print(self, text: str) -> None:
        if self._shown:
            try:
                print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            except OSError:
                self._shown = False  # the terminal was closed, but the transfer goes on
