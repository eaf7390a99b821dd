"""Finds the default paths of the socket, the state and the configuration.

Every `cucmctl` imports this file, so it uses only the standard library and not even `pathlib`. The
functions take the environment and the uid as parameters, so that daemon and client get the same
answers and tests can set both.
"""

from __future__ import annotations

import os
import os.path
import stat
from collections.abc import Mapping

SYSTEM_SOCKET = "/run/cucmd/cucmd.sock"
SYSTEM_STATE_DIR = "/var/lib/cucmd"
SYSTEM_CONFIG = "/etc/cucmd/cucmd.toml"
# systemd makes each user's $XDG_RUNTIME_DIR here, named by the uid and closed to other users.
RUNTIME_DIRS = "/run/user"
# The most bytes in the path of a Unix socket: `sun_path` has 108, with a NUL at the end (unix(7)).
LONGEST_SOCKET = 107


def default_socket(environ: Mapping[str, str], uid: int) -> str:
    """Returns the path at which the daemon listens.

    This is `$CUCMD_SOCKET` if that is set. Root and services use the system's socket (a service has
    `$STATE_DIRECTORY` from systemd and no `$XDG_RUNTIME_DIR`). Other users have their own.
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
    """Returns the socket of a user without `$XDG_RUNTIME_DIR`, for example after `su` or in cron.

    The socket is below the home directory. In /tmp, another user could have made a folder of that
    name before. Daemon and client use the socket only if its folder `is_private`.
    """
    return os.path.join(xdg(environ, "XDG_STATE_HOME", ".local/state"), "cucmd/run/cucmd.sock")


def is_private(folder: str, uid: int) -> bool:
    """Returns whether `folder` is a real folder (no link) that only that user can access."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not found.st_mode & 0o077


def socket_to_call(environ: Mapping[str, str], uid: int) -> str:
    """Returns the socket for a client: the first existing one of the user's, else the system's.

    Both places of the user are tried, because only one of daemon and client may have been started
    in a session with `$XDG_RUNTIME_DIR`. If no socket exists, returns `default_socket`.
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
    """Returns `$STATE_DIRECTORY` (the first if systemd lists several), else root's or the user's
    default.
    """
    if chosen := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        return chosen
    if uid == 0:
        return SYSTEM_STATE_DIR
    return os.path.join(xdg(environ, "XDG_STATE_HOME", ".local/state"), "cucmd")


def default_config(environ: Mapping[str, str], uid: int) -> str:
    """Returns the first of `config_places` that exists, or the last."""
    *before, last = config_places(environ, uid)
    return next(filter(os.path.exists, before), last)


def config_places(environ: Mapping[str, str], uid: int) -> tuple[str, ...]:
    """Returns the paths of the configuration in the order of search: the user's file, the system's.

    Root has only the system's file. A service with `DynamicUser` is not root and so finds the file
    in `/etc` as the second one.
    """
    if uid == 0:
        return (SYSTEM_CONFIG,)
    own = os.path.join(xdg(environ, "XDG_CONFIG_HOME", ".config"), "cucmd", "cucmd.toml")
    return own, SYSTEM_CONFIG


def xdg(environ: Mapping[str, str], variable: str, below_home: str) -> str:
    """Returns the folder that `variable` names, or else `below_home` in the home directory."""
    chosen = environ.get(variable, "")
    if os.path.isabs(chosen):  # the XDG rules: relative paths must be ignored
        return chosen
    return os.path.join(environ.get("HOME") or os.path.expanduser("~"), below_home)
