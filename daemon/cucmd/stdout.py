"""Says what a command does if it cannot write to standard output.

A command succeeds only if what it printed was written. Python flushes standard output when it
exits, which is too late for the exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# As `cucmctl` has them.
CANNOT_WRITE = 74  # EX_IOERR: it is full or broken
PIPE_CLOSED = 141  # 128 + SIGPIPE: the reader has closed


class Unwritable(Exception):
    """Standard output is full or broken, or its reader has closed it."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write to standard output: {error.strerror or error}")
        self.reader_has_gone = isinstance(error, BrokenPipeError)


@contextmanager
def checked_stdout() -> Iterator[None]:
    """Flushes what the body has printed. Raises `Unwritable` for every `OSError` of the body, so
    the body must do nothing but print.
    """
    try:
        yield
        if sys.stdout is not None:  # None when it was closed at the start
            sys.stdout.flush()
    except OSError as error:
        raise Unwritable(error) from error


def report_unwritable(unwritable: Unwritable) -> int:
    """Prints one line on standard error, unless the reader has closed. Returns the exit code."""
    discard_buffered()
    if unwritable.reader_has_gone:  # as in `cucmd check | head`: no error for the user
        return PIPE_CLOSED
    if sys.stderr is not None:  # `print` would take None for standard output
        try:
            print(f"cucmd: {unwritable}", file=sys.stderr, flush=True)
        except OSError:
            discard_buffered(2)  # standard error is closed too; the exit code remains
    return CANNOT_WRITE


def open_closed_descriptors() -> None:
    """Opens /dev/null at every descriptor of 0 to 2 that was closed at the start.

    Otherwise a file that is opened later would get that number, and what is written to standard
    error would go into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  open until the process ends


def discard_buffered(descriptor: int = 1) -> None:
    """Discards what is still buffered, so that Python reports no error when it exits."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)
