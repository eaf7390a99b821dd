"""What keeps the daemon from starting, in the words of the configuration.

The one rule: an error of the system names the setting that it comes from, and a way out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class CannotStart(Exception):
    """One line for a person."""


@contextmanager
def naming(setting: str, hint: str) -> Iterator[None]:
    """Turns an `OSError` of the body into `CannotStart`; not one about some other file."""
    try:
        yield
    except (OSError, ExceptionGroup) as raised:
        error = _only(raised)
        if not isinstance(error, OSError) or _of_another_file(error, setting):
            raise
        # asyncio's own text of an error says the address once more.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CannotStart(f"{setting}: {reason}; {hint}") from error


def _only(error: Exception) -> Exception:
    """What a nursery has wrapped, if it is one."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _of_another_file(error: OSError, setting: str) -> bool:
    return error.filename is not None and str(error.filename) not in setting
