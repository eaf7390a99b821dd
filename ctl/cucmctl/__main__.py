"""Runs the program `cucmctl`, also as `python -m cucmctl`, where the script is not on the path."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

INTERRUPTED = 130


def run() -> int:
    """Runs `main`, and gives its exit code. Ctrl-C is no traceback from here on."""
    quits = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored
    try:
        if quits:  # the system ends the process: an exception can get lost as a module is loaded
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        from cucmctl.main import main  # noqa: PLC0415  # after Ctrl-C is taken

        if quits:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = main()
    except KeyboardInterrupt:
        code = INTERRUPTED
    while True:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        except KeyboardInterrupt:  # of one that came meanwhile: people press it twice
            code = INTERRUPTED
        else:
            return code


def command() -> NoReturn:
    """Does what the script `cucmctl` does: calls `run`, and ends the process.

    Python would take its modules apart first, which takes as long as a bare Python. Nothing waits
    for that: files, terminals and threads are closed by their blocks, and `main` has written the
    output.
    """
    code = run()
    if sys.stderr is not None:
        with suppress(OSError):  # it is closed; the exit code remains
            sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    command()
