"""Reads the password of a login from a file, from standard input or from the terminal.

The password is never taken from the command line, which every user of the machine can read, and it
never appears in a message.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import IO

from cucmctl.cli import printer, terminal
from cucmctl.cli.options import UsageError

# Bytes. No password of a node is this long, and most files that are given by mistake are longer.
LONGEST = 1024


def from_file(name: str, username: str) -> str:
    """Returns the first line of a file that only its owner can read; `-` is standard input."""
    if name == "-":
        if sys.stdin is None:
            raise _wrong("-", "standard input is closed")
        return from_terminal(username) if sys.stdin.isatty() else _first_line("-", sys.stdin.buffer)
    try:
        with open(name, "rb") as file:
            # ssh refuses private keys in the same way. A pipe, as in `<(pass show cucm)`, is fine.
            status = os.fstat(file.fileno())
            exposed = 0o077 if status.st_uid == os.getuid() else 0o007
            if stat.S_ISREG(status.st_mode) and status.st_mode & exposed:
                mode = stat.S_IMODE(status.st_mode)
                reason = f"others can read it (mode {mode:04o}); expected 0600 or less"
                raise _wrong(name, reason)
            return _first_line(name, file)
    except OSError as error:
        raise _wrong(name, f"cannot be read: {error.strerror}") from None


def from_terminal(username: str) -> str:
    """Asks for the password without echo. Raises `UsageError` if nothing is typed.

    An empty password is refused because the daemon would treat the request as one without a
    password, and use the credential of the cluster.
    """
    try:
        typed = terminal.ask(f"Password of {printer.visible(username)} on the nodes: ")
    except OSError:
        raise UsageError(
            f"without a terminal, the password of {username!r} cannot be asked for; "
            "give --password-file or --credential"
        ) from None
    if not typed:
        raise UsageError("no password was given; nothing was started")
    try:
        return typed.decode()
    except UnicodeDecodeError:  # do not show this exception: it quotes bytes of the password
        raise UsageError("the password that was typed is not UTF-8") from None


def _first_line(name: str, file: IO[bytes]) -> str:
    line = file.readline(LONGEST + 2).removesuffix(b"\n").removesuffix(b"\r")
    if not line:
        raise _wrong(name, "its first line is empty; expected the password")
    if len(line) > LONGEST:
        raise _wrong(name, f"its first line is longer than {LONGEST} bytes; expected a password")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise _wrong(name, "its first line is not UTF-8; expected the password") from None


def _wrong(name: str, reason: str) -> UsageError:
    return UsageError(f"--password-file: {name!r}: {reason}")
