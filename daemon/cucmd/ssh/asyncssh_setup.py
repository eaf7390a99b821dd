"""Says how asyncssh is set up in a process that uses it: the daemon, and what receives files."""

from __future__ import annotations

import getpass
import logging
import os
import warnings

import asyncssh
from cryptography.utils import CryptographyDeprecationWarning


def prepare_asyncssh() -> None:
    """Is to be called once in the process, before the first connection."""
    # Warnings only, and no packets: these show passwords.
    asyncssh.set_log_level(logging.WARNING)
    asyncssh.set_debug_level(1)
    # `cryptography` warns that it will drop finite-field Diffie-Hellman. Old nodes have no other
    # key exchange. The upper bound of `cryptography` in pyproject.toml keeps it, so the warning is
    # of no use to an operator.
    warnings.filterwarnings(
        "ignore", "Diffie-Hellman over finite fields", CryptographyDeprecationWarning
    )
    # asyncssh reads a local login name and a home directory for each connection, and raises without
    # them. They are sent nowhere. In a container the user may have no entry in passwd.
    os.environ.setdefault("HOME", "/")
    try:
        getpass.getuser()
    except (KeyError, OSError):  # KeyError until Python 3.12
        os.environ["LOGNAME"] = "cucmd"
