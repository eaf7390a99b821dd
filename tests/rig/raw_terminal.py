#!/usr/bin/python3
"""Runs a command behind a terminal in raw mode, in which only CR is Enter.

It stands for a shell that reads keys itself, as Cisco's own mock does: LF is a key without meaning
there. The command has a terminal of its own, which turns CR into the end of a line.
"""

import os
import pty
import sys


def keys(terminal: int) -> bytes:
    """Returns the next keys, without LF. b"" once the client has closed."""
    while data := os.read(terminal, 1024):
        if kept := data.replace(b"\n", b""):
            return kept
    return b""


if __name__ == "__main__":
    # Puts the terminal that it runs on into raw mode.
    sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], stdin_read=keys)))
