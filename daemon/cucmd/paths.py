"""Finds the default paths of the socket, the state and the configuration.

Only the standard library, and no `pathlib`, because every `cucmctl` imports this. All functions
take the environment and the uid, so that daemon and client agree and tests can set them.
"""

from __future__ import annotations

import os
import os.path
import stat
from collections.abc import Mapping

SYSTEM_SOCKET = "/run/cucmd/cucmd.sock"
SYSTEM_STATE_DIR = "/var/lib/cucmd"
SYSTEM_CONFIG = "/etc/cucmd/cucmd.toml"
# Each user's $XDG_RUNTIME_DIR is below it, by the uid: made by systemd, closed to others.
RUNTIME_DIRS = "/run/user"
# Bytes of the path of a Unix socket: `sun_path` has 108, the last of them a NUL (unix(7)).
LONGEST_SOCKET = 107


def default_socket(environ: Mapping[str, str], uid: int) -> str:
    """Says where the daemon listens.

    `$CUCMD_SOCKET`; else the system's socket for root and for a service, which has a state
    directory of systemd's and no `$XDG_RUNTIME_DIR`; else the user's own.
    """
    if chosen := environ.get("CUCMD_SOCKET"):
        return chosen
    if uid == 0:
        return SYSTEM_SOCKET
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        return os.path.join(runtime, "cucmd", "cucmd.sock")
    return SYSTEM_SOCKET if environ.get("STATE_DIRECTORY") else private_socket(environ)


def private_socket(environ: Mapping[str, str]) -> str:
    """Returns the socket of a user without `$XDG_RUNTIME_DIR`, as after `su` or in a cron job.

    It is below the home directory and not in /tmp, where another user could be first with a folder
    of that name. Daemon and client use it only if its folder `is_private`.
    """
    return os.path.join(_xdg(environ, "XDG_STATE_HOME", ".local/state"), "cucmd/run/cucmd.sock")


def is_private(folder: str, uid: int) -> bool:
    """Says whether the folder is there, no link, that user's own, and closed to everybody else."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not found.st_mode & 0o077


def socket_to_call(environ: Mapping[str, str], uid: int) -> str:
    """Finds the socket of a client: `default_socket`, or another one at which there is a daemon.

    The user's daemon may have been started in a session that has `$XDG_RUNTIME_DIR`, and the client
    not, or the other way round. The last is the system's.
    """
    default = default_socket(environ, uid)
    if environ.get("CUCMD_SOCKET") or uid == 0:
        return default
    private = private_socket(environ)
    safe = is_private(os.path.dirname(private), uid)
    places = (default, f"{RUNTIME_DIRS}/{uid}/cucmd/cucmd.sock", private, SYSTEM_SOCKET)
    there = (path for path in places if (safe or path != private) and os.path.exists(path))
    return next(there, default)


def default_state_dir(environ: Mapping[str, str], uid: int) -> str:
    """Takes `$STATE_DIRECTORY` (if systemd lists several, the first), else root's or the user's."""
    if chosen := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        return chosen
    if uid == 0:
        return SYSTEM_STATE_DIR
    return os.path.join(_xdg(environ, "XDG_STATE_HOME", ".local/state"), "cucmd")


def default_config(environ: Mapping[str, str], uid: int) -> str:
    """Returns the first of `config_places` that exists, or the last of them."""
    *before, last = config_places(environ, uid)
    return next(filter(os.path.exists, before), last)


def config_places(environ: Mapping[str, str], uid: int) -> tuple[str, ...]:
    """Says where a configuration is looked for, in this order: the user's own file, the system's.

    Root has the system's alone; a service under `DynamicUser` is not root and still reads `/etc`.
    """
    if uid == 0:
        return (SYSTEM_CONFIG,)
    own = os.path.join(_xdg(environ, "XDG_CONFIG_HOME", ".config"), "cucmd", "cucmd.toml")
    return own, SYSTEM_CONFIG


def _xdg(environ: Mapping[str, str], variable: str, below_home: str) -> str:
    chosen = environ.get(variable, "")
    if os.path.isabs(chosen):  # the XDG rules: a relative path is to be ignored
        return chosen
    return os.path.join(environ.get("HOME") or os.path.expanduser("~"), below_home)
