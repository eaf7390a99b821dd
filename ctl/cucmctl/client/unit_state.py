"""Asks systemd about the service `cucmd`, to explain why nobody answers at its socket.

systemd is asked only after a call got no answer, and only if the socket is that of the service.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from cucmd import paths

UNIT = "cucmd.service"
# This folder exists if systemd manages the machine (sd_booted(3)).
BOOTED = "/run/systemd/system"
PROPERTIES = ("ActiveState", "SubState", "Result", "StatusText", "ExecMainStatus")
# Exit codes for which the status text has the reason: cannot start (69), wrong configuration (78).
SAYS_WHY = ("69", "78")
# Exit codes after which systemd does not restart the unit: RestartPreventExitStatus= in the unit.
FINAL = ("2", "78")
# Seconds. systemd usually answers within 10 ms.
PATIENCE = 1.0


def why_not_started(socket: str, *, chosen: bool, booted: str = BOOTED) -> str | None:
    """Returns one line that says why the service does not run, and what to do.

    Returns None if the service runs, starts, or was stopped on purpose, if another daemon was
    called, and if systemd cannot be asked.

    socket  the path at which nobody answered
    chosen  whether a person chose the path. If nobody did, and no file is there, the service was
            meant: its socket vanishes when it fails, so that the client uses the user's own path.
    booted  the folder that exists if systemd runs
    """
    ours = socket == paths.SYSTEM_SOCKET or not (chosen or os.path.exists(socket))
    if not ours or not os.path.isdir(booted):
        return None
    command = ["systemctl", "show", f"--property={','.join(PROPERTIES)}", UNIT]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return failure(dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line))


def failure(unit: Mapping[str, str]) -> str | None:
    """Returns the line of `why_not_started`, or None, from the properties of the unit."""
    if unit.get("Result", "success") == "success":
        return None
    # After a crash, the status text is still the one of a running daemon, so do not use it.
    code = unit.get("ExecMainStatus")
    status = unit.get("StatusText") if code in SAYS_WHY else ""
    why = f"{status or unit['Result']}; see systemctl status cucmd"
    # While the unit deactivates, systemd has not yet decided whether to restart it.
    ending = unit.get("ActiveState") == "deactivating"
    if unit.get("SubState") == "auto-restart" or (ending and code not in FINAL):
        return f"the service cucmd has failed and will be started again: {why}"
    if unit.get("ActiveState") == "failed" or ending:
        return f"the service cucmd does not start: {why}"
    return None
