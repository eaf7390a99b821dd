"""Turns errors at the start into ones that name the setting of the configuration at fault.

An error of the system names that setting, and what to do about it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from cucmd.failure import CannotStart

EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h

# What to do about an error of listening at an address and a port.
LISTENING: Mapping[int, str] = MappingProxyType(
    {
        errno.EADDRINUSE: "another program may listen there",
        errno.EADDRNOTAVAIL: "this host has no such address; 0.0.0.0 and [::] stand for all it has",
        errno.EACCES: "a port below 1024 needs root, or CAP_NET_BIND_SERVICE from the unit",
    }
)
_NO_HINTS: Mapping[int, str] = MappingProxyType({})


@contextmanager
def blame_setting(
    setting: str, hints: Mapping[int, str] = _NO_HINTS, otherwise: str = ""
) -> Iterator[None]:
    """Turns an `OSError` of the body into `CannotStart`, unless it is about another file.

    hints: what to do, by the error's number; `otherwise` for the rest.
    """
    try:
        yield
    except (OSError, ExceptionGroup) as raised:
        error: Exception = raised
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:  # of a nursery
            error = error.exceptions[0]
        if not isinstance(error, OSError):
            raise
        if error.filename is not None and str(error.filename) not in setting:
            raise
        reason = error.strerror or str(error)
        # asyncio's own text repeats the address. Of a path, and of the DNS, whose numbers are below
        # 0, the error's own text says more.
        if error.errno and error.errno > 0 and error.filename is None:
            reason = os.strerror(error.errno)
        hint = hints.get(error.errno or 0, otherwise)
        message = f"{setting}: {reason}"
        raise CannotStart(f"{message}; {hint}" if hint else message) from error
