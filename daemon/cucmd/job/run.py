"""PURE. Declares commands whose output is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cucmd.job.kind import Kind


class Run(Kind, frozen=True, tag="run"):
    """Runs commands that only read, one after the other, and keeps what the node prints.

    `commands`: as `vos.parse_command` gives their lines. `seconds`: how long each may take at most;
    None: as long as its form says.
    """

    title = "Commands run"
    repeatable = False  # nobody wants commands to run twice

    commands: tuple[str, ...]
    seconds: float | None = None

    @property
    def commands_kept(self) -> tuple[str, ...]:
        return self.commands

    def facts(self, created_at: datetime) -> Iterator[tuple[str, str]]:
        for command in self.commands:
            yield "Command", command
