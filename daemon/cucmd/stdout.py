"""Standard output, and what becomes of a command that cannot write to it.

The one rule: a command succeeds only once what it printed is written; Python by itself would find
out as it ends, after the exit code is settled.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# As `cucmctl` has them.
CANNOT_WRITE = 74  # EX_IOERR: it is full or broken
PIPE_CLOSED = 141  # 128 + SIGPIPE: the reader had enough


class Unwritable(Exception):
    """Standard output is full, broken, or nobody reads it any more."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write to standard output: {error.strerror or error}")
        self.reader_has_gone = isinstance(error, BrokenPipeError)


@contextmanager
def written() -> Iterator[None]:
    """What the body prints has been written when it ends. It does nothing else that can fail
    with an `OSError`, for that becomes `Unwritable`.
    """
    try:
        yield
        if sys.stdout is not None:  # None when it was closed at the start
            sys.stdout.flush()
    except OSError as error:
        raise Unwritable(error) from error


def give_up(unwritable: Unwritable) -> int:
    """One line on standard error, if there is anything to say; the exit code."""
    abandon()
    if unwritable.reader_has_gone:  # `cucmd check | head`: it has what it wanted
        return PIPE_CLOSED
    if sys.stderr is not None:  # `print` would take None for standard output
        try:
            print(f"cucmd: {unwritable}", file=sys.stderr, flush=True)
        except OSError:
            abandon(2)  # nobody reads our messages; the exit code says it
    return CANNOT_WRITE


def fill_what_is_closed() -> None:
    """Of descriptors 0 to 2, those that were closed at the start lead nowhere from now on: what is
    opened later would get their number, and everything that is meant for standard error with it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  as long as we live


def abandon(descriptor: int = 1) -> None:
    """Whatever is still buffered goes nowhere, without a complaint of Python's as it ends."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)
