"""Says how asyncssh is set up in a process that uses it: the daemon, and what receives files.

One private name of it is needed, `_dh_gex_groups`: to be replaced by an option for the largest
group that a server answers with. A test of the receiver fails if the name changes.
"""

from __future__ import annotations

import getpass
import logging
import os
import warnings
from typing import Any

import asyncssh
from asyncssh import kex_dh
from cryptography.utils import CryptographyDeprecationWarning

# Bits, of the answer to a group exchange.
_LARGEST_GROUP = 2048


def prepare() -> None:
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
    # Our servers answer a group exchange with 2048 bits, whatever size a client prefers. asyncssh
    # would take the size that the client prefers, up to 8192 bits: 21 ms in place of 1 ms. Clients
    # accept any size from their minimum on, which is 2048 or less (OpenSSH: 1024 before 7.3, then
    # 2048). One that cannot do 2048 still gets 1024.
    private: Any = kex_dh
    private._dh_gex_groups = tuple(
        group for group in private._dh_gex_groups if group[0] <= _LARGEST_GROUP
    )
    # asyncssh reads a local login name and a home directory for each connection, and raises without
    # them. They are sent nowhere. In a container the user may have no entry in passwd.
    os.environ.setdefault("HOME", "/")
    try:
        getpass.getuser()
    except (KeyError, OSError):  # KeyError until Python 3.12
        os.environ["LOGNAME"] = "cucmd"
