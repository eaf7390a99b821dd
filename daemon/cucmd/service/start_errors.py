"""Turns system errors at the start into messages that name the setting that causes them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cucmd.failure import CannotStart

EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h

# Hints for errors of listening at an address and a port.
LISTENING: Mapping[int, str] = {
    errno.EADDRINUSE: "another program may listen there",
    errno.EADDRNOTAVAIL: "this host has no such address; 0.0.0.0 and [::] mean all addresses",
    errno.EACCES: "a port below 1024 needs root, or CAP_NET_BIND_SERVICE from the unit",
}


@contextmanager
def blame_setting(
    setting: str, hints: Mapping[int, str] = {}, otherwise: str = ""
) -> Iterator[None]:
    """Turns an `OSError` of the body into `CannotStart`, unless it is about another file than the
    file of the setting.

    setting    the key and its value, as in the file
    hints      errno -> what to do about it
    otherwise  what to do about other errors
    """
    try:
        yield
    except (OSError, ExceptionGroup) as raised:
        error: Exception = raised
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:  # from a nursery
            error = error.exceptions[0]
        if not isinstance(error, OSError):
            raise
        if error.filename is not None and str(error.filename) not in setting:
            raise
        reason = error.strerror or str(error)
        # The text of asyncio repeats the address, so the system's text for the errno is used. For
        # errors about a path and errors of the DNS (their errno is negative), the error's own text
        # says more.
        if error.errno and error.errno > 0 and error.filename is None:
            reason = os.strerror(error.errno)
        hint = hints.get(error.errno or 0, otherwise)
        message = f"{setting}: {reason}"
        raise CannotStart(f"{message}; {hint}" if hint else message) from error
