"""PURE. The command lines that are typed, and the answers that `file get` gets.

A command line is made here and nowhere else, and only from checked words.
"""

from __future__ import annotations

import msgspec

from cucmd.vos.arguments import InvalidArgument, check_line, check_word
from cucmd.vos.texts import ENTER, LOCATIONS
from cucmd.vos.window import Window


class FileGet(msgspec.Struct, frozen=True):
    """One `file get`: which files of the node, and from which window of time."""

    location: str
    path: str
    window: Window = None
    match: str | None = None
    recurs: bool = False
    compress: bool = False

    def command_line(self) -> str:
        """The line to type. Raises InvalidArgument."""
        if self.location not in LOCATIONS:
            raise InvalidArgument(
                "location", self.location, f"expected one of {', '.join(LOCATIONS)}"
            )
        words = ["file get", self.location, check_word("path", self.path)]
        if self.window is not None:
            words.append(str(self.window))
        if self.match is not None:
            words += ["match", check_word("match", self.match)]
        if self.recurs:
            words.append("recurs")
        if self.compress:
            words.append("compress")
        return " ".join(words)


class ReceiverAddress(msgspec.Struct, frozen=True):
    """Where the node is to push its files: the answers to the questions about the receiver."""

    host: str
    port: int
    username: str
    password: str
    directory: str

    def __repr__(self) -> str:
        return (
            f"ReceiverAddress(host={self.host!r}, port={self.port}, username={self.username!r}, "
            f"password='*****', directory={self.directory!r})"
        )

    def __rich_repr__(self) -> list[str]:  # type: ignore[override]  # any iterable does
        return [repr(self)]

    def check(self) -> None:
        """Raises InvalidArgument for an answer that cannot be typed, without the password."""
        check_word("host", self.host)
        if not 0 < self.port < 65536:
            raise InvalidArgument("port", str(self.port), "expected a port from 1 to 65535")
        check_line("username", self.username)
        check_line("password", self.password, secret=True)
        check_line("directory", self.directory)


def typed(line: str) -> bytes:
    """The keys for a line, Enter included."""
    return f"{line}{ENTER}".encode()


def check_command(text: str) -> str:
    """Returns `text` if it is one line without the keys TAB and `?`. Raises InvalidArgument."""
    check_line("command", text)
    if "?" in text:
        raise InvalidArgument("command", text, "'?' asks the node for help")
    return text
