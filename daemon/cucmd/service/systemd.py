"""Implements the protocols between systemd and a service, which are described in sd_notify(3),
sd_listen_fds(3) and sd_watchdog_enabled(3).

Without systemd, nothing is sent. An error of sending never ends the daemon.
"""

from __future__ import annotations

import logging
import os
import socket
import time

_log = logging.getLogger(__name__)

FIRST_DESCRIPTOR = 3

# The event loop must not wait for a service manager that does not read.
NOTIFY_SECONDS = 0.5


def notify(**state: str | int) -> bool:
    """Sends a state to the service manager: `notify(READY=1, STATUS="3 jobs")`.

    Returns whether it was sent. A RELOADING message also gets the time of CLOCK_MONOTONIC in
    microseconds. Units with Type=notify-reload need it to match the message with a reload.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    if "RELOADING" in state:
        state.setdefault("MONOTONIC_USEC", time.monotonic_ns() // 1000)
    # Line breaks are removed: they would begin a new assignment, and a status can quote a user.
    lines = [f"{name}={' '.join(str(value).splitlines())}" for name, value in state.items()]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(NOTIFY_SECONDS)
            channel.connect("\0" + address[1:] if address[0] == "@" else address)
            channel.sendall("\n".join(lines).encode("utf-8", "replace"))
    except OSError as error:
        _log.warning("cannot notify the service manager of %s: %s", ", ".join(state), error)
        return False
    return True


class StatusLine:
    """Sends the line `Status:` of `systemctl status` when it has changed. The line has the number
    of jobs, and the reason if the last reload failed.
    """

    def __init__(self) -> None:
        self._jobs = ""
        self._not_reloaded = ""
        self._sent = ""

    def show_jobs(self, count: int) -> None:
        """Shows that `count` jobs are queued or running."""
        self._jobs = f"{count} job{'s' * (count != 1)} queued or running"
        self._send()

    def show_reload(self, failure: str = "") -> None:
        """Shows that a reload has ended. `failure` is the reason if it failed, else empty."""
        self._not_reloaded = f"not reloaded: {failure}" if failure else ""
        self._send()

    def _send(self) -> None:
        text = "; ".join(filter(None, (self._jobs, self._not_reloaded)))
        if text != self._sent:  # a socket that is gone would cause a warning each time
            self._sent = text
            notify(STATUS=text)


def watchdog_interval() -> float | None:
    """Returns the seconds that systemd allows between two `notify(WATCHDOG=1)`, or None if there is
    no watchdog. sd_watchdog_enabled(3) recommends sending one in half of that time.
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or not _is_for_us("WATCHDOG_PID", unless_absent=True):
        return None
    return int(microseconds) / 1_000_000 or None


def inherited_sockets(first: int = FIRST_DESCRIPTOR) -> list[socket.socket]:
    """Returns the sockets that systemd has opened for this process.

    Clears their environment variables, so that no child process uses the sockets too.
    """
    for_us = _is_for_us("LISTEN_PID", unless_absent=False)
    count = os.environ.get("LISTEN_FDS", "")
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        os.environ.pop(name, None)
    if not for_us or not count.isdecimal():
        return []
    sockets = []
    for descriptor in range(first, first + int(count)):
        os.set_inheritable(descriptor, False)
        sockets.append(socket.socket(fileno=descriptor))
    return sockets


def _is_for_us(variable: str, *, unless_absent: bool) -> bool:
    value = os.environ.get(variable)
    return unless_absent if value is None else value == str(os.getpid())
