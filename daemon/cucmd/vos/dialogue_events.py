"""PURE. Declares what the state machine tells its driver.

An event is a fact about the dialogue, and they come in order. No event has a secret in it except
`Send.data`, which its `repr` hides.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from cucmd.job.failure import Failure


class Prompted(msgspec.Struct, frozen=True):
    """The node is at its prompt with no command in progress: after login, or after a failed
    dialogue.
    """


class CommandDone(msgspec.Struct, frozen=True):
    """A plain command has ended. `lines` are without echo, prompt and pagers."""

    lines: tuple[str, ...]


class Started(msgspec.Struct, frozen=True):
    """The node has echoed the whole line of a capture, or of a `file tail`: it runs from now on."""


class Printed(msgspec.Struct, frozen=True):
    """A `file tail` has printed lines. At most one for each `receive`."""

    lines: tuple[str, ...]


class StoppedAtQuestion(msgspec.Struct, frozen=True):
    """A command has stopped at a question, which is not answered.

    `lines`: what came before it. `question`: its line, masked. Only Ctrl-C ends the command.
    """

    lines: tuple[str, ...]
    question: str


class Send(msgspec.Struct, frozen=True):
    """`data` must be sent to the node now. `shown` is what a transcript may show of it."""

    data: bytes
    shown: str

    def __repr__(self) -> str:
        return f"Send(shown={self.shown!r})"


class SizesAnnounced(msgspec.Struct, frozen=True):
    """The node has said what it will send: number of files, and bytes before compression.

    Given again if the node announces more.
    """

    files: int
    bytes: int


class CanLogIn(msgspec.Struct, frozen=True):
    """The node took a password or a directory, so it can log in to the receiver.

    Given again after each later answer: the node may log in only after the last one.
    """


class TransferMoved(msgspec.Struct, frozen=True):
    """The node showed progress of the transfer. At most one for each `receive`."""


class FileGetDone(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """The node is back at its prompt after a `file get`.

    `completed`: the node said "Transfer completed". The announced numbers are None if it did not
    say them. `notes` are lines that a dialogue does not usually have; `sizes_unread` others, with a
    number in each: the sizes in other words, perhaps, where one of them is None.
    """

    completed: bool
    files_announced: int | None
    bytes_announced: int | None
    notes: tuple[str, ...]
    sizes_unread: tuple[str, ...] = ()


class NothingMatched(msgspec.Struct, frozen=True):
    """Back at the prompt: the node has no file that matches path, window and pattern."""


class Declined(msgspec.Struct, frozen=True):
    """Back at the prompt: the node has announced sizes, and nothing was to be pushed."""


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
