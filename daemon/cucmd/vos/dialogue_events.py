"""PURE. Declares the events that the state machine returns to its driver.

No event contains a secret except `Send.data`, which its `repr` hides.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from cucmd.job.failure import Failure


class Prompted(msgspec.Struct, frozen=True):
    """The node is at its prompt after the login, an empty line, or a dialogue that failed."""


class CommandDone(msgspec.Struct, frozen=True):
    """A plain command has ended. `lines` has its output, without echo, prompt and pagers."""

    lines: tuple[str, ...]


class Started(msgspec.Struct, frozen=True):
    """A capture or a `file tail` runs from now on: the node has echoed its whole line."""


class Printed(msgspec.Struct, frozen=True):
    """A `file tail` has printed lines. Each call of `receive` gives at most one such event."""

    lines: tuple[str, ...]


class StoppedAtQuestion(msgspec.Struct, frozen=True):
    """A command has stopped at a question, which is not answered. Only Ctrl-C ends the command.

    lines     the output before the question
    question  the line of the question, masked
    """

    lines: tuple[str, ...]
    question: str


class Send(msgspec.Struct, frozen=True):
    """`data` must be sent to the node now. A transcript may show `shown`."""

    data: bytes
    shown: str

    def __repr__(self) -> str:
        return f"Send(shown={self.shown!r})"


class SizesAnnounced(msgspec.Struct, frozen=True):
    """The node has announced the number of files, and their bytes before compression.

    The event comes again if the node announces more.
    """

    files: int
    bytes: int


class CanLogIn(msgspec.Struct, frozen=True):
    """The node can log in to the receiver: it took a password or a directory.

    The event comes again after each later answer, since a node may log in only after all answers.
    """


class TransferMoved(msgspec.Struct, frozen=True):
    """The node showed progress of the transfer. Each `receive` gives at most one such event."""


class FileGetDone(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """The node is back at its prompt after a `file get`.

    completed        the node said "Transfer completed"
    files_announced  None if the node announced no number; `bytes_announced` too
    notes            lines that are unusual in a `file get`
    sizes_unread     other lines with a number, if an announced number is missing. They may be the
                     sizes in unknown words.
    """

    completed: bool
    files_announced: int | None
    bytes_announced: int | None
    notes: tuple[str, ...]
    sizes_unread: tuple[str, ...] = ()


class NothingMatched(msgspec.Struct, frozen=True):
    """The node is back at its prompt: no file matches path, window and pattern."""


class Declined(msgspec.Struct, frozen=True):
    """The node is back at its prompt after it announced sizes, and nothing was to be pushed."""


class Broken(msgspec.Struct, frozen=True):
    """The dialogue has failed. `Cli.at_prompt` says whether another command can be given."""

    failure: Failure


Event: TypeAlias = (
    Prompted
    | CommandDone
    | Started
    | Printed
    | StoppedAtQuestion
    | Send
    | SizesAnnounced
    | CanLogIn
    | TransferMoved
    | FileGetDone
    | NothingMatched
    | Declined
    | Broken
)
