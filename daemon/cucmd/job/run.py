"""PURE. Commands whose output is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from cucmd.job.kind import Kind

# The folder, in that of a node, for what commands have printed.
OUTPUT = "output"
_LONGEST_SLUG = 60


class Run(Kind, frozen=True, tag="run"):
    """Runs commands that only read, one after the other, and keeps what the node prints.

    `commands`: as `vos.parse_command` gives their lines. `seconds`: how long each may take at most;
    None: as long as its form says.
    """

    title = "Commands run"
    repeatable = False  # nobody wants commands to run twice

    commands: tuple[str, ...]
    seconds: float | None = None

    def output_of(self, number: int) -> str:
        """Where the output of the command of that number, from 1, is in the folder of a node."""
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", self.commands[number - 1]).strip("-.")
        return f"{OUTPUT}/{number:03}-{slug[:_LONGEST_SLUG]}.txt"

    def facts(self, created_at: datetime) -> Iterator[tuple[str, str]]:
        for command in self.commands:
            yield "Command", command
