"""How much time has passed for sure, whatever is done to the wall clock.

It may count less than has passed, and never more. So what it says is old is old.

The kernel has a clock that nobody sets (CLOCK_BOOTTIME). It begins at each boot, and goes on while
the machine sleeps. What it counts is added up in a file:

    the daemon starts again              counted
    the same boot                        since the file was written
    another boot                         since that boot; the time in between is not known
    the file is gone, or of no use       from the newest mark of a job on

A job is marked with the count when it ends (`Job.closed_after`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from cucmd import durable

log = logging.getLogger(__name__)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Saved(msgspec.Struct, frozen=True):
    """total: seconds. boottime: of that boot, when it was written."""

    boot: str
    boottime: float
    total: float


def boot_id() -> str:
    """Empty where there is none: then each start counts as that of another boot."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Elapsed:
    """The count, kept in the file `path`.

    boot, clock  of the machine; a test has its own
    """

    def __init__(
        self,
        path: Path,
        *,
        boot: Callable[[], str] = boot_id,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._path = path
        self._boot = boot()
        self._clock = clock
        self._zero = clock()  # of `clock`, at a count of 0

    def load(self, at_least: float) -> None:
        """Goes on from what the file has. For a worker thread.

        at_least  the newest mark of a job: so much has passed, even if the file has less
        """
        now = self._clock()
        total = 0.0
        saved = self._read()
        if saved is not None:
            same = bool(saved.boot) and saved.boot == self._boot
            total = saved.total + max(0.0, now - saved.boottime if same else now)
        self._zero = now - max(total, at_least)

    def seconds(self) -> float:
        return self._clock() - self._zero

    def save(self) -> None:
        """For a worker thread. If it fails, that is logged: the next start counts less."""
        now = self._clock()
        saved = _Saved(self._boot, now, now - self._zero)
        try:
            durable.replace_file(self._path, [msgspec.json.encode(saved), b"\n"], 0o640)
        except OSError as error:
            log.warning("%s: %s", self._path, error.strerror)

    def _read(self) -> _Saved | None:
        try:
            saved = msgspec.json.decode(self._path.read_bytes(), type=_Saved)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s: %s", self._path, error)
            return None
        return saved if saved.total >= 0 else None
