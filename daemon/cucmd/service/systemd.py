"""systemd's protocols for a service, without libsystemd; logging for the journal; core dumps.

Without systemd nothing is sent and nothing fails; with it, no error here ends the daemon.
Protocols: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3), sd-daemon(3).
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import socket
import sys
import time
from collections.abc import MutableMapping
from typing import TextIO

_log = logging.getLogger(__name__)

_FIRST_DESCRIPTOR = 3

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>

# The manager reads at once; the trio loop must not stand still if it does not.
_NOTIFY_SECONDS = 0.5


def notify(**state: str | int) -> bool:
    """Sends to the manager, e.g. `notify(READY=1, STATUS="3 jobs")`; False if nothing was sent.

    Adds to RELOADING the time that Type=notify-reload demands of it, in case a unit has that.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    if "RELOADING" in state:
        state.setdefault("MONOTONIC_USEC", monotonic_usec())
    # A line break would begin a new assignment, and a status can quote a user.
    lines = [f"{name}={' '.join(str(value).splitlines())}" for name, value in state.items()]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(_NOTIFY_SECONDS)
            channel.connect("\0" + address[1:] if address[0] == "@" else address)
            channel.sendall("\n".join(lines).encode("utf-8", "replace"))
    except OSError as error:
        _log.warning("cannot notify the service manager of %s: %s", ", ".join(state), error)
        return False
    return True


def monotonic_usec() -> int:
    """CLOCK_MONOTONIC in microseconds, by which the manager knows which reload is meant."""
    return time.monotonic_ns() // 1000


def watchdog_interval() -> float | None:
    """Seconds in which the next `notify(WATCHDOG=1)` is due each time; None: no watchdog.

    sd_watchdog_enabled(3) advises to send one in half of that.
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not _is_for_us("WATCHDOG_PID", unless_absent=True):
        return None
    if not _is_number(microseconds) or int(microseconds) == 0:
        return None
    return int(microseconds) / 1_000_000


def inherited_sockets() -> list[socket.socket]:
    """The sockets that systemd has opened for this process.

    Call it once: the environment is cleared, so that no child takes them for its own.
    """
    environment = os.environ
    count = environment.get("LISTEN_FDS", "")
    for_us = _is_for_us("LISTEN_PID", unless_absent=False)
    _forget(environment, "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
    if not for_us or not _is_number(count):
        return []
    sockets = []
    for offset in range(int(count)):
        descriptor = _FIRST_DESCRIPTOR + offset
        os.set_inheritable(descriptor, False)
        sockets.append(socket.socket(fileno=descriptor))
    return sockets


def forbid_core_dumps() -> bool:
    """No image of the memory, which holds passwords, reaches a disk.

    More than LimitCORE=0 in the unit: where core_pattern is a pipe, the kernel ignores the limit.
    A process that cannot be dumped cannot be traced by others of its user either, and
    /proc/PID/fd, environ and mem belong to root. False, with a warning, where the kernel refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0:
        return True
    _log.warning("cannot forbid core dumps: %s", os.strerror(ctypes.get_errno()))
    return False


def set_up_logging(
    level: int = logging.INFO, stream: TextIO | None = None, *filters: logging.Filter
) -> None:
    """Every log record to standard error: with priorities for the journal, else with a time."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JournalFormatter() if is_journal(stream) else PlainFormatter())
    for one in filters:
        handler.addFilter(one)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def is_journal(stream: TextIO) -> bool:
    """Whether the stream is the one that $JOURNAL_STREAM means: a child's pipe is not."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # ValueError: a stream without a descriptor
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class JournalFormatter(logging.Formatter):
    """Each line begins <N>: the journal takes every line for an entry of its own."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_priority(record.levelno)}>"
        text = f"{record.name}: {_visible(super().format(record))}"
        return "\n".join(prefix + line for line in text.split("\n"))


class PlainFormatter(logging.Formatter):
    """`2026-11-25T09:33:00.123Z WARNING name: text`; further lines of a record are indented."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        text = _visible(super().format(record)).replace("\n", "\n    ")
        return f"{stamp}.{int(record.msecs):03d}Z {record.levelname} {record.name}: {text}"


# A message can quote a node; its control characters must not reach the terminal of the log.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}


def _visible(text: str) -> str:
    return text.translate(_CONTROLS)


def _priority(level: int) -> int:
    """syslog(3): 7 debug, 6 info, 4 warning, 3 error, 2 critical."""
    steps = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
    return next((priority for at_least, priority in steps if level >= at_least), 7)


def _is_for_us(variable: str, *, unless_absent: bool) -> bool:
    value = os.environ.get(variable)
    return unless_absent if value is None else value == str(os.getpid())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _forget(environment: MutableMapping[str, str], *names: str) -> None:
    for name in names:
        environment.pop(name, None)
