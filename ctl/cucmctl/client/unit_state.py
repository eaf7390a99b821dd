"""Asks systemd about the service `cucmd`, to tell a caller why nobody answers at its socket.

It is asked only after a call had no answer, and not if a person has chosen another socket than the
service's.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from cucmd import paths

UNIT = "cucmd.service"
# systemd's manager runs if this is there (sd_booted(3)).
BOOTED = "/run/systemd/system"
PROPERTIES = ("ActiveState", "SubState", "Result", "StatusText", "ExecMainStatus")
# The exit codes before which the daemon says why it ends: it cannot start, a wrong configuration.
SAYS_WHY = ("69", "78")
# Those after which systemd does not start it again: RestartPreventExitStatus= of the unit.
FINAL = ("2", "78")
# Seconds. An answer takes 10 ms.
PATIENCE = 1.0


def why_not_started(socket: str, *, chosen: bool) -> str | None:
    """Returns the reason in one line, with what to do. None if the service runs, starts, or was
    stopped by a person, if another daemon was called, and if systemd cannot be asked.

    socket  where nobody answered
    chosen  by a person. If not, and none is there, the service's would have been called: that of a
            service that has failed is gone, and the user's own is what was left to try.
    """
    ours = socket == paths.SYSTEM_SOCKET or not (chosen or os.path.exists(socket))
    if not ours or not os.path.isdir(BOOTED):
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
    """Reads the same from the properties of the unit."""
    if unit.get("Result", "success") == "success":
        return None
    # A daemon that crashed has left the status of one that ran.
    code = unit.get("ExecMainStatus")
    said = unit.get("StatusText") if code in SAYS_WHY else ""
    why = f"{said or unit['Result']}; see systemctl status cucmd"
    # What follows the end of the daemon is not over yet.
    ending = unit.get("ActiveState") == "deactivating"
    if unit.get("SubState") == "auto-restart" or (ending and code not in FINAL):
        return f"the service cucmd has failed and will be started again: {why}"
    if unit.get("ActiveState") == "failed" or ending:
        return f"the service cucmd does not start: {why}"
    return None
