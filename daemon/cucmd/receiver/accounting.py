"""Counts what one login has received here, and what it may still receive. Safe from any thread.

The daemon is told of every file; what of it outlives the login is the daemon's (`received.py`). The
bytes that may come are granted by the daemon, some megabytes at a time, since quotas belong to
jobs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from cucmd.failure import Code
from cucmd.receiver.limits import CREDIT, ReceiverLimits, RequestRefused, Status
from cucmd.worker.frames import (
    Closed,
    Figures,
    Forgotten,
    OfLogin,
    Opened,
    Stamped,
    UploadsRefused,
    Wants,
)

# The hint for limits that are not configurable.
IN_PARTS = "narrow the window, or collect path by path"

_log = logging.getLogger(__name__)


class ArrivingFile:
    """Describes a file while it arrives. `size`, in bytes, is changed by its upload alone."""

    __slots__ = ("number", "size")

    def __init__(self, number: int) -> None:
        self.number = number
        self.size = 0


class Accounting:
    """Counts what comes of one login, and keeps it within its limits.

    name: a job and a node, for messages. tell: sends the daemon a frame.

    revoked: the login has ended: nothing more is written.
    refusal: why nothing more is taken; "": it is. received: bytes that are written.
    The rest are the figures of `Figures`.
    """

    def __init__(
        self,
        login: str,
        name: str,
        limits: ReceiverLimits,
        tell: Callable[[OfLogin], None],
    ) -> None:
        self.login = login
        self.revoked = False
        self.refusal = ""
        self.received = 0
        self.logins = 0
        self.wrong_logins = 0
        self.refused = 0
        self.refused_why = ""
        self.last_activity = time.monotonic()
        self._name = name
        self._limits = limits
        self._tell = tell
        self._told = False  # that it is forgotten
        # Reentrant: whoever refuses something holds it already.
        self._lock = threading.RLock()
        self._granted = threading.Condition(self._lock)
        self._credit = 0
        self._last_grant = 0
        self._asked = False
        self._files = 0
        # As the client named it -> the number of its last file, and that file's name on the disk.
        self._last: dict[str, tuple[int, str]] = {}
        self._handles = 0
        self._listings = 0  # of the handles
        self._directories = 0
        self._said: set[str] = set()

    def tell(self, frame: OfLogin) -> None:
        with self._lock:
            if not self._told:
                self._tell(frame)

    def tell_figures(self) -> None:
        with self._lock:
            self.tell(
                Figures(
                    login=self.login,
                    received=self.received,
                    logins=self.logins,
                    wrong_logins=self.wrong_logins,
                    refused=self.refused,
                    refused_why=self.refused_why,
                    # Another thread may note one between the two.
                    silent=max(0.0, time.monotonic() - self.last_activity),
                )
            )

    def say(self, what: str, reason: object, level: int = logging.WARNING) -> None:
        """Logs it, once of each kind: no node decides how many lines it gets."""
        with self._lock:
            if what not in self._said:
                self._said.add(what)
                _log.log(level, "%s: %s: %s", self._name, what, reason)

    def revoke(self) -> None:
        with self._lock:
            self.revoked = True
            self._granted.notify_all()

    def forgotten(self) -> None:
        """The last write has ended, and all files are closed. Nothing is told after this."""
        with self._lock:
            self.tell_figures()
            self.tell(Forgotten(self.login))
            self._told = True

    # Files, from open to their end.

    def begin(self, named: str, stored: str) -> ArrivingFile:
        """Begins the account of a file that exists on disk now. Both names are below the login's
        folder: `named` is the client's, `stored` the one on disk.
        """
        with self._lock:
            file = ArrivingFile(self._files)
            self._files += 1
            self._last[named] = file.number, stored
            self.tell(Opened(self.login, file.number, named, stored))
        return file

    def end(self, file: ArrivingFile, sha256: str, *, closed: bool) -> bool:
        """The file is not open any more; called once for each.

        Returns whether it counts as closed: not where the login was revoked meanwhile.
        """
        with self._lock:
            closed = closed and not self.revoked
            self.tell_figures()
            self.tell(
                Closed(
                    login=self.login,
                    number=file.number,
                    size=file.size,
                    sha256=sha256,
                    closed=closed,
                )
            )
        return closed

    def stored(self, named: str) -> str | None:
        """Returns where the last file is that came under that name; None: none has come."""
        last = self._last.get(named)
        return None if last is None else last[1]

    def set_modified(self, named: str, seconds: int) -> None:
        """Records the time stamp that the client gives its last file of that name, which may be
        open or closed. Does nothing if no file of that name came with this login.
        """
        with self._lock:
            if (last := self._last.get(named)) is not None:
                self.tell(Stamped(self.login, last[0], seconds))

    def stamp(self, file: ArrivingFile, seconds: int) -> None:
        self.tell(Stamped(self.login, file.number, seconds))

    # What the client may still do. Raise RequestRefused.

    def check_open(self) -> None:
        """Refuses once the login has ended or nothing more is taken, before anything is made."""
        if self.revoked:
            raise RequestRefused(Status.FAILURE, "this login has ended")
        if self.refusal:
            raise RequestRefused(Status.FAILURE, self.refusal)

    def check_files(self) -> None:
        """Checks that one file more may come."""
        self.check_open()
        if self._files >= self._limits.files:
            self._quota_exceeded(f"more than {self._limits.files:,} files", IN_PARTS)

    def take_handle(self, *, listing: bool = False) -> None:
        with self._lock:
            if listing and self._listings >= self._limits.listings:
                raise RequestRefused(
                    Status.FAILURE, f"more than {self._limits.listings} folders are open at once"
                )
            if self._handles >= self._limits.handles:
                raise RequestRefused(
                    Status.FAILURE, f"more than {self._limits.handles} handles are open at once"
                )
            self._handles += 1
            self._listings += listing

    def give_back_handle(self, *, listing: bool = False) -> None:
        with self._lock:
            self._handles -= 1
            self._listings -= listing

    def check_directories(self) -> None:
        self.check_open()
        if self._directories >= self._limits.directories:
            self._quota_exceeded(f"more than {self._limits.directories} directories", IN_PARTS)

    def count_directory(self) -> None:
        with self._lock:
            self._directories += 1

    def take_bytes(self, count: int) -> None:
        """Takes bytes before they are written, so that a quota is never passed, only reached. Waits
        for the daemon where they are not granted yet; mostly it is asked in time.
        """
        with self._lock:
            self.check_open()
            while self._credit < count:
                self._ask(count - self._credit)
                if self._asked:  # else it was answered at once
                    self._granted.wait()
                self.check_open()
            self._credit -= count
            if self._credit < CREDIT // 2 <= self._last_grant:
                self._ask(0)

    def grant(self, size: int) -> None:
        with self._lock:
            self._asked = False
            self._last_grant = size
            self._credit += size
            self._granted.notify_all()

    def _ask(self, size: int) -> None:
        if not self._asked:
            self._asked = True
            self.tell(Wants(self.login, size))

    def count_bytes(self, count: int) -> None:
        """They are written."""
        with self._lock:
            self.received += count

    def refuse(self, code: Code, message: str, hint: str | None = None) -> RequestRefused:
        """Notes why uploads are refused from now on; the first reason stays. For `raise`."""
        with self._lock:
            if not self.refusal:
                self.refusal = message
                self.tell(UploadsRefused(self.login, code, message, hint))
        return RequestRefused(Status.FAILURE, message)

    def refused_by_the_daemon(self, message: str) -> None:
        with self._lock:
            self._asked = False
            self.refusal = self.refusal or message
            self._granted.notify_all()

    def _quota_exceeded(self, message: str, hint: str | None = None) -> None:
        raise self.refuse(Code.QUOTA_EXCEEDED, message, hint)
