"""PURE. What the machine tells its driver.

The one rule: an event is a fact about the dialogue, in order, and holds no secret but in
`Send.data`, which its `repr` hides.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from cucmd.failure import Failure


class Prompted(msgspec.Struct, frozen=True):
    """At the prompt with nothing in progress: after login, or after a broken dialogue."""


class CommandDone(msgspec.Struct, frozen=True):
    """A plain command is over; its lines without echo, prompt and pagers."""

    lines: tuple[str, ...]


class Send(msgspec.Struct, frozen=True):
    """`data` must go to the node now; `shown` is what a transcript may show of it."""

    data: bytes
    shown: str

    def __repr__(self) -> str:
        return f"Send(shown={self.shown!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("shown", self.shown)]


class Sized(msgspec.Struct, frozen=True):
    """What the node announces, before compression."""

    files: int
    bytes: int


class Agreed(msgspec.Struct, frozen=True):
    """The last answer is given: the node connects to the receiver, the transfer begins."""


class Moving(msgspec.Struct, frozen=True):
    """Bytes came while the transfer ran; at most one for each `receive`."""


class FileGetDone(msgspec.Struct, frozen=True):
    """Back at the prompt. `completed` only if the node said so; `notes` are unusual lines."""

    completed: bool
    files_announced: int | None
    bytes_announced: int | None
    notes: tuple[str, ...]


class NothingMatched(msgspec.Struct, frozen=True):
    """Back at the prompt: the node has no file that fits path, window and pattern."""


class Broken(msgspec.Struct, frozen=True):
    """The dialogue failed; `Session.at_prompt` tells if further commands can be given."""

    failure: Failure


Event: TypeAlias = (
    Prompted | CommandDone | Send | Sized | Agreed | Moving | FileGetDone | NothingMatched | Broken
)
