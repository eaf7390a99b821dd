"""Configures asyncssh in a process that uses it: the daemon, or a process that receives files."""

from __future__ import annotations

import getpass
import logging
import os
import warnings

import asyncssh
from cryptography.utils import CryptographyDeprecationWarning


def prepare_asyncssh() -> None:
    """Configures asyncssh and its libraries. Must be called before the first connection."""
    # Debug level 1 logs no packets, because packets of a login contain the password.
    asyncssh.set_log_level(logging.WARNING)
    asyncssh.set_debug_level(1)
    # `cryptography` warns that it will drop finite-field Diffie-Hellman. Old nodes have no other
    # key exchange, so pyproject.toml excludes the versions without it. The warning is of no use.
    warnings.filterwarnings(
        "ignore", "Diffie-Hellman over finite fields", CryptographyDeprecationWarning
    )
    # asyncssh looks up the local user name and home directory for each connection. It does not send
    # them, but raises if they are missing, as in a container whose user has no entry in passwd.
    os.environ.setdefault("HOME", "/")
    try:
        getpass.getuser()
    except (KeyError, OSError):  # KeyError until Python 3.12
        os.environ["LOGNAME"] = "cucmd"
