"""What keeps the daemon from starting, in the words of the configuration.

The one rule: an error of the system names the setting that it comes from, and a way out.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from cucmd.failure import CannotStart

EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h

# What to make of an error of listening at an address and a port.
LISTENING: Mapping[int, str] = MappingProxyType(
    {
        errno.EADDRINUSE: "another program may listen there",
        errno.EADDRNOTAVAIL: "this host has no such address; 0.0.0.0 and [::] stand for all it has",
        errno.EACCES: "a port below 1024 needs root, or CAP_NET_BIND_SERVICE from the unit",
    }
)
_NO_HINTS: Mapping[int, str] = MappingProxyType({})


@contextmanager
def naming(
    setting: str, hints: Mapping[int, str] = _NO_HINTS, otherwise: str = ""
) -> Iterator[None]:
    """Turns an `OSError` of the body into `CannotStart`; not one about some other file.

    The way out is that of the error's number, or `otherwise`.
    """
    try:
        yield
    except (OSError, ExceptionGroup) as raised:
        error = _only(raised)
        if not isinstance(error, OSError) or _of_another_file(error, setting):
            raise
        hint = hints.get(error.errno or 0, otherwise)
        told = f"{setting}: {_reason(error)}"
        raise CannotStart(f"{told}; {hint}" if hint else told) from error


def _reason(error: OSError) -> str:
    """asyncio's own text of an error says the address once more; one about a path, or of the
    DNS (its numbers are below 0), says more than its number does.
    """
    if error.errno and error.errno > 0 and error.filename is None:
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _only(error: Exception) -> Exception:
    """What a nursery has wrapped, if it is one."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _of_another_file(error: OSError, setting: str) -> bool:
    return error.filename is not None and str(error.filename) not in setting
