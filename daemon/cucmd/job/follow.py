"""PURE. Declares how a file of a node is followed while it grows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cucmd.job.kind import Kind


class Follow(Kind, frozen=True, tag="follow"):
    """Follows one file on each node, and keeps the lines that the node prints.

    path      a file below activelog; with `recent` a folder that ends in "/", whose newest file is
              followed
    regexp    keeps only the lines in which it is found
    duration  seconds after which the daemon stops following
    """

    title = "Followed"
    repeatable = False  # after a restart, nobody watches the output any more
    simultaneous = True
    adds_up = True  # an earlier attempt may have lines that are no longer in the file

    path: str
    recent: bool = False
    regexp: str | None = None
    # An idle session of a node ends after 30 minutes (vos/NODES.md, section 1), and nothing is
    # typed while a file is followed.
    duration: float = 1200.0

    @property
    def line(self) -> str:
        """Returns the command line that is typed. `parse_tail` of vos/forms.py checks it."""
        words = ["file tail activelog", self.path]
        words += ["recent"] if self.recent else []
        words += ["regexp", self.regexp] if self.regexp is not None else []
        return " ".join(words)

    @property
    def commands_kept(self) -> tuple[str, ...]:
        return (self.line,)

    @property
    def min_seconds(self) -> float:
        return self.duration

    def request_facts(self, created_at: datetime) -> Iterator[tuple[str, str]]:
        yield "Command", f"{self.line}, for at most {self.duration:g} s"
