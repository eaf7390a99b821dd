"""Finds out why nobody answers at a socket, and whether a daemon is about to come.

This is done only after a call got no answer. systemd is asked about the service `cucmd` if the
socket is that of the service. A daemon that a user has started, as in `cucmd &`, has no service
manager, so its process is looked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from cucmd import paths

UNIT = "cucmd.service"
# This folder exists if systemd manages the machine (sd_booted(3)).
BOOTED = "/run/systemd/system"
PROPERTIES = ("LoadState", "ActiveState", "SubState", "Result", "StatusText", "ExecMainStatus")
# Exit codes for which the status text has the reason: cannot start (69), wrong configuration (78).
SAYS_WHY = ("69", "78")
# Exit codes after which systemd does not restart the unit: RestartPreventExitStatus= in the unit.
FINAL = ("2", "78")
# Seconds. systemd usually answers within 10 ms.
PATIENCE = 1.0
# Seconds. A daemon needs about one to start, and many more on a busy machine.
LONGEST_START = 30.0
# Verbs of `cucmd` that never listen at the socket.
NOT_SERVING = {b"lab", b"demo", b"check"}


def ask_systemd(socket: str, *, chosen: bool, booted: str = BOOTED) -> dict[str, str]:
    """Returns the properties of the service.

    Returns {} if another daemon was called, or if systemd cannot be asked.

    socket  the path at which nobody answered
    chosen  whether a person chose the path. If nobody did, and no file is there, the service was
            meant: its socket vanishes when it fails, so that the client uses the user's own path.
    booted  the folder that exists if systemd runs
    """
    ours = socket == paths.SYSTEM_SOCKET or not (chosen or os.path.exists(socket))
    if not ours or not os.path.isdir(booted):
        return {}
    import subprocess  # noqa: PLC0415  # takes 4 ms, and is needed only without a daemon

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
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def failure(unit: Mapping[str, str]) -> str | None:
    """Returns one line that says why the service has failed, and what to do.

    Returns None if the service runs, starts, or was stopped on purpose.
    """
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


def is_starting(unit: Mapping[str, str]) -> bool:
    """Returns whether the service starts. A failed service that systemd restarts does not count."""
    return unit.get("ActiveState") == "activating" and failure(unit) is None


def why_no_socket(unit: Mapping[str, str]) -> str | None:
    """Returns one line that says why the service has no socket, and what to do, or None."""
    if why := failure(unit):
        return why
    if is_starting(unit):
        return "the service cucmd is still starting; see systemctl status cucmd"
    stopped = unit.get("ActiveState") in ("inactive", "deactivating")
    if stopped and unit.get("LoadState") == "loaded":
        return "the service cucmd is stopped; start it with: systemctl start cucmd"
    return None


def own_daemon_starts(socket: str) -> bool:
    """Returns whether this user has started a daemon for the socket in the last `LONGEST_START`.

    Such a daemon is a process `cucmd` without `--socket`, or with this path.
    """
    of_user = b"\nUid:\t%d\t" % os.getuid()  # a daemon's folder in /proc belongs to root
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            status, stat, cmdline = (_read(pid, name) for name in ("status", "stat", "cmdline"))
        except OSError:  # the process has ended
            continue
        words = cmdline.split(b"\0")
        # Either `python .../bin/cucmd ...` or `python -m cucmd ...`.
        named = any(os.path.basename(word) == b"cucmd" for word in words[:3])
        if not named or of_user not in status or NOT_SERVING & set(words):
            continue
        chosen = any(word.startswith(b"--socket") for word in words)
        ticks = int(stat.rpartition(b")")[2].split()[19])  # `starttime` of proc(5)
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        if age < LONGEST_START and (not chosen or os.fsencode(socket) in cmdline):
            return True
    return False


def _read(pid: str, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()
