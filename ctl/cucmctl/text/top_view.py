"""Draws what runs now on a terminal, for `cucmctl top`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TextIO

from rich.console import Group, RenderableType
from rich.text import Text

from cucmctl.cli import printer
from cucmctl.text.live import Live
from cucmctl.text.running import Running


class TopView(Live):
    """Redraws what `running` holds, as `Live` does with a job."""

    def __init__(self, stream: TextIO, running: Running) -> None:
        self._running = running
        super().__init__(stream)

    def _screen(self) -> RenderableType:
        columns, rows = self._console.size
        layout = printer.Layout(columns=columns, ascii_only=self._ascii_only)
        lines = [*self._running.lines(datetime.now(UTC), rows - 1, **layout)][: rows - 1]
        hint = self._away or "Ctrl-C ends the view; the jobs go on"
        texts = (*(Text(line, no_wrap=True, overflow="crop") for line in lines), Text(hint, "dim"))
        return Group(*texts)

    def _last_lines(self, rows: int, layout: printer.Layout) -> Iterable[str]:
        return self._running.lines(datetime.now(UTC), rows - 1, **layout)
