"""What one target has received, and what it may still receive. No I/O; safe from any thread.

The one rule: the list of files only ever grows, and an entry that has ended never changes; so
whoever noted how long it was finds exactly the later files after that.
"""

from __future__ import annotations

import threading

from cucmd.allowance import Quota
from cucmd.failure import Code, Failure, failure
from cucmd.receiver.limits import ReceivedFile, ReceiverLimits, Refused, Status

# Of bounds that are nobody's to set.
_IN_PARTS = "narrow the window, or collect path by path"


class Entry:
    """One file on its way. Changed by its upload alone, before it has ended."""

    __slots__ = ("complete", "path", "sha256", "size")

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self.sha256 = ""
        self.complete = False


class Accounting:
    """The files of one target. The counters may be read from anywhere, without the lock."""

    def __init__(self, name: str, quota: Quota, limits: ReceiverLimits) -> None:
        self.name = name
        self.closed = False  # the target was revoked: nothing more is written
        self.refusal: Failure | None = None
        self.files_received = 0
        self.bytes_received = 0
        self.open_files = 0
        self._quota = quota
        self._limits = limits
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._names: dict[str, str] = {}  # as the client named it -> as it is stored
        self._handles = 0
        self._listings = 0  # of the handles
        self._directories = 0

    def files(self) -> tuple[ReceivedFile, ...]:
        with self._lock:
            return tuple(
                ReceivedFile(entry.path, entry.size, entry.sha256, entry.complete)
                for entry in self._entries
            )

    def close(self) -> None:
        self.closed = True

    # Files, from open to their end.

    def begin(self, named: str, stored: str) -> Entry:
        """A file that exists on disk now, under the name `stored`."""
        entry = Entry(stored)
        with self._lock:
            self._entries.append(entry)
            self._names[named] = stored
            self.open_files += 1
        return entry

    def end(self, entry: Entry, sha256: str, *, complete: bool) -> bool:
        """Once per entry. False: the target was revoked meanwhile, and the file is not whole."""
        with self._lock:
            entry.sha256 = sha256
            entry.complete = complete and not self.closed
            self.open_files -= 1
            self.files_received += entry.complete
            return entry.complete

    def stored(self, named: str) -> str | None:
        """Where the last file is that came under that name; None: none has come."""
        return self._names.get(named)

    # What the client may still do. Raise Refused.

    def check_open(self) -> None:
        """Before anything is created or written."""
        if self.closed:
            raise Refused(Status.FAILURE, "this login has ended")
        if self.refusal is not None:
            raise Refused(Status.FAILURE, self.refusal.message)

    def check_files(self) -> None:
        self.check_open()
        if len(self._entries) >= self._limits.files:
            self._quota_exceeded(f"more than {self._limits.files} files", _IN_PARTS)

    def take_handle(self, *, listing: bool = False) -> None:
        with self._lock:
            if listing and self._listings >= self._limits.listings:
                raise Refused(
                    Status.FAILURE, f"more than {self._limits.listings} folders are open at once"
                )
            if self._handles >= self._limits.handles:
                raise Refused(
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
            self._quota_exceeded(f"more than {self._limits.directories} directories", _IN_PARTS)

    def count_directory(self) -> None:
        with self._lock:
            self._directories += 1

    def take_bytes(self, count: int) -> None:
        """Before they are written, so that a quota is never passed, only reached."""
        self.check_open()
        quota = self._quota
        if not quota.node.take(count):
            self._quota_exceeded(f"more than {quota.node.size} bytes for this node")
        if not quota.job.take(count):
            self._quota_exceeded(f"more than {quota.job.size} bytes for this job")

    def count_bytes(self, count: int) -> None:
        """They are written."""
        with self._lock:
            self.bytes_received += count

    def refuse(self, code: Code, message: str, hint: str | None = None) -> Refused:
        """Notes why uploads are refused from now on; the first reason stays. For `raise`."""
        if self.refusal is None:
            self.refusal = failure(code, message, hint=hint)
        return Refused(Status.FAILURE, message)

    def _quota_exceeded(self, message: str, hint: str | None = None) -> None:
        raise self.refuse(Code.QUOTA_EXCEEDED, message, hint)
