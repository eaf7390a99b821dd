"""Reads a password or a token from a file, from standard input or from the terminal.

Neither is ever taken from the command line, which every user of the machine can read, and neither
appears in a message.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from functools import partial
from typing import IO

from cucmctl.cli import printer, terminal
from cucmctl.cli.options import UsageError

# Bytes. No password of a node is this long, and most files that are given by mistake are longer.
LONGEST = 1024


def from_file(name: str, username: str) -> str:
    """Returns the password in a file, as `first_line_of`; at a terminal, `-` asks for it."""
    if name == "-" and sys.stdin is not None and sys.stdin.isatty():
        return from_terminal(username)
    return first_line_of(name, "--password-file", "password")


def from_terminal(username: str, instead: str = "--password-file or --credential") -> str:
    """Asks for the password without echo. Raises `UsageError` if nothing is typed.

    instead  the options to give if there is no terminal, for the message

    An empty password is refused because the daemon would treat the request as one without a
    password, and use the credential of the cluster.
    """
    try:
        return typed(f"Password of {printer.visible(username)} on the nodes: ", "password")
    except OSError:
        raise UsageError(
            f"without a terminal, the password of {username!r} cannot be asked for; give {instead}"
        ) from None


def typed(question: str, what: str) -> str:
    """Asks without echo. Raises `UsageError` if nothing is typed, and OSError without a terminal.

    what  such as "password", for messages
    """
    answer = terminal.ask(question)
    if not answer:
        raise UsageError(f"no {what} was given; nothing was started")
    try:
        return answer.decode()
    except UnicodeDecodeError:  # do not show this exception: it quotes bytes of the password
        raise UsageError(f"the {what} that was typed is not UTF-8") from None


def first_line_of(name: str, option: str, what: str) -> str:
    """Returns the first line of a file that only its owner can read; `-` is standard input.

    Raises `UsageError`.

    option  the option that names the file, for messages
    what    such as "password", for messages
    """
    wrong = partial(_wrong, option, name)
    if name == "-":
        if sys.stdin is None:
            raise wrong("standard input is closed")
        return _first_line(sys.stdin.buffer, what, wrong)
    try:
        with open(name, "rb") as file:
            # ssh refuses private keys in the same way. A pipe, as in `<(pass show cucm)`, is fine.
            status = os.fstat(file.fileno())
            exposed = 0o077 if status.st_uid == os.getuid() else 0o007
            if stat.S_ISREG(status.st_mode) and status.st_mode & exposed:
                mode = stat.S_IMODE(status.st_mode)
                raise wrong(f"others can read it (mode {mode:04o}); expected 0600 or less")
            return _first_line(file, what, wrong)
    except OSError as error:
        raise wrong(f"cannot be read: {error.strerror}") from None


def _first_line(file: IO[bytes], what: str, wrong: Callable[[str], UsageError]) -> str:
    line = file.readline(LONGEST + 2).removesuffix(b"\n").removesuffix(b"\r")
    if not line:
        raise wrong(f"its first line is empty; expected the {what}")
    if len(line) > LONGEST:
        raise wrong(f"its first line is longer than {LONGEST} bytes; expected a {what}")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise wrong(f"its first line is not UTF-8; expected the {what}") from None


def _wrong(option: str, name: str, reason: str) -> UsageError:
    return UsageError(f"{option}: {name!r}: {reason}")
