"""Configures asyncssh in a process that uses it: the daemon, or a process that receives files."""

from __future__ import annotations

import getpass
import logging
import os
import warnings

import asyncssh
from cryptography.utils import CryptographyDeprecationWarning


def prepare_asyncssh() -> None:
    """Configures asyncssh and its libraries. Call it before the first connection of the process."""
    # Debug level 1 logs no packets, because packets of a login contain the password.
    asyncssh.set_log_level(logging.WARNING)
    asyncssh.set_debug_level(1)
    # `cryptography` warns that it will drop finite-field Diffie-Hellman, and old nodes have no
    # other key exchange. The upper bound of `cryptography` in pyproject.toml makes sure that we get
    # a version that still has it, so an operator can do nothing with the warning.
    warnings.filterwarnings(
        "ignore", "Diffie-Hellman over finite fields", CryptographyDeprecationWarning
    )
    # asyncssh looks up the local user name and home directory for each connection, and raises if
    # there are none. It sends them nowhere. In a container the user may have no entry in passwd.
    os.environ.setdefault("HOME", "/")
    try:
        getpass.getuser()
    except (KeyError, OSError):  # KeyError until Python 3.12
        os.environ["LOGNAME"] = "cucmd"
