"""Handles errors of writing to standard output, for the commands of `cucmd` and `cucmweb`.

A command succeeds only if all that it printed was written. Python flushes standard output when it
exits, which is too late for the exit code. So commands print inside `checked_stdout`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The exit codes are the same as those of `cucmctl`.
CANNOT_WRITE = 74  # EX_IOERR: the disk or device is full or broken
PIPE_CLOSED = 141  # 128 + SIGPIPE: the reader of the pipe has closed it


class Unwritable(Exception):
    """Standard output is full or broken, or its reader has closed it."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write to standard output: {error.strerror or error}")
        self.reader_has_gone = isinstance(error, BrokenPipeError)


@contextmanager
def checked_stdout() -> Iterator[None]:
    """Flushes standard output after the body. Raises `Unwritable` if printing or flushing fails.

    Every `OSError` of the body counts as an error of standard output, so it must only print.
    """
    try:
        yield
        if sys.stdout is not None:  # it is None if it was closed when Python started
            sys.stdout.flush()
    except OSError as error:
        raise Unwritable(error) from error


def report_unwritable(unwritable: Unwritable) -> int:
    """Prints the error, unless the reader closed the pipe. Returns the exit code."""
    discard_buffered()
    if unwritable.reader_has_gone:  # as in `cucmd check | head`, where the user sees no error
        return PIPE_CLOSED
    if sys.stderr is not None:  # print(file=None) would print on standard output
        try:
            print(f"cucmd: {unwritable}", file=sys.stderr, flush=True)
        except OSError:
            discard_buffered(2)  # standard error is closed too; the exit code remains
    return CANNOT_WRITE


def open_closed_descriptors() -> None:
    """Opens /dev/null in place of each standard descriptor (0 to 2) that is closed.

    Otherwise a file that is opened later would get that number, and log lines would go into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  open until the process ends


def discard_buffered(descriptor: int = 1) -> None:
    """Discards buffered output, so that Python does not report another error when it exits."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)
