"""Default paths: the socket, the state, the configuration.

The one rule: only the standard library, and no `pathlib`, because every `cucmctl` imports this. All
functions take the environment and the uid, so that daemon and client agree and tests can set them.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping

SYSTEM_SOCKET = "/run/cucmd/cucmd.sock"
SYSTEM_STATE_DIR = "/var/lib/cucmd"
SYSTEM_CONFIG = "/etc/cucmd/cucmd.toml"


def default_socket(environ: Mapping[str, str], uid: int) -> str:
    """Where the daemon listens.

    `$CUCMD_SOCKET`; else the system's socket for root and for a service, which has no
    `$XDG_RUNTIME_DIR`; else the user's own.
    """
    if chosen := environ.get("CUCMD_SOCKET"):
        return chosen
    runtime = environ.get("XDG_RUNTIME_DIR")
    if uid == 0 or not runtime:
        return SYSTEM_SOCKET
    return os.path.join(runtime, "cucmd", "cucmd.sock")


def socket_to_call(environ: Mapping[str, str], uid: int) -> str:
    """The socket of a client: `default_socket`, or the system's if the user has no daemon."""
    path = default_socket(environ, uid)
    if environ.get("CUCMD_SOCKET") or os.path.exists(path) or not os.path.exists(SYSTEM_SOCKET):
        return path
    return SYSTEM_SOCKET


def default_state_dir(environ: Mapping[str, str], uid: int) -> str:
    """`$STATE_DIRECTORY` (the first, if systemd lists several), else root's or the user's own."""
    if chosen := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        return chosen
    if uid == 0:
        return SYSTEM_STATE_DIR
    return os.path.join(_xdg(environ, "XDG_STATE_HOME", ".local/state"), "cucmd")


def default_config(environ: Mapping[str, str], uid: int) -> str:
    """The first of `config_places` that exists, or the last of them."""
    *before, last = config_places(environ, uid)
    return next(filter(os.path.exists, before), last)


def config_places(environ: Mapping[str, str], uid: int) -> tuple[str, ...]:
    """Where a configuration is looked for, in this order: the user's own file, the system's.

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
