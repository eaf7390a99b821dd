#!/usr/bin/python3
"""Runs a command behind a terminal in raw mode, in which only CR is Enter.

This is how a shell behaves that reads keys itself, such as Cisco's own mock: LF means nothing
there. The command gets a terminal of its own, which turns CR into the end of a line.
"""

import os
import pty
import sys


def keys(terminal: int) -> bytes:
    """Returns the next keys without LF, or b"" when the client has closed."""
    while data := os.read(terminal, 1024):
        if kept := data.replace(b"\n", b""):
            return kept
    return b""


if __name__ == "__main__":
    # `pty.spawn` puts the terminal of this program into raw mode.
    sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], stdin_read=keys)))
