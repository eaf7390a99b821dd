"""What one target has received, and what it may still receive. No I/O; safe from any thread.

The list of files only ever grows at its end, and of a file in it that is no longer open nothing
changes but its time stamp, which a client may set late. So a caller that noted its length finds
exactly the later files after that.
"""

from __future__ import annotations

import threading

import msgspec

from cucmd.allowance import Quota
from cucmd.failure import Code, Failure, failure
from cucmd.received_file import ReceivedFile
from cucmd.receiver.limits import MIB, ReceiverLimits, Refused, Status
from cucmd.receiver.names import Names, name_cost
from cucmd.receiver.repeats import Repeats

# The hint for limits that are not configurable.
_IN_PARTS = "narrow the window, or collect path by path"
_FEWER = "collect from fewer nodes at once"


class OpenFile:
    """A file while it arrives. `size`, in bytes, is changed by its upload alone.

    `modified`: the time stamp that the client gave it; see `ReceivedFile`.
    """

    __slots__ = ("modified", "path", "position", "size")

    def __init__(self, path: str, position: int) -> None:
        self.path = path
        self.position = position  # in the list of files
        self.size = 0
        self.modified: int | None = None


class Accounting:
    """The files of one upload target.

    `name`: a job and a node, for messages.
    `node`: the node that pushes the files.
    `prefix`: what stands before a file's path below the target, to make it one below the job's
    directory.
    `names`: the memory for the files of all targets.

    `disk_errors`: what the disk refused for a reason that the client has not caused.

    The counters may be read from any thread, without the lock.
    """

    def __init__(
        self,
        name: str,
        quota: Quota,
        limits: ReceiverLimits,
        node: str = "",
        prefix: str = "",
        *,
        names: Names | None = None,
    ) -> None:
        self.name = name
        self.revoked = False  # the target's login has ended: nothing more is written
        self.refusal: Failure | None = None
        self.files_received = 0
        self.bytes_received = 0
        self.open_files = 0
        self.disk_errors = Repeats(name, "the receiver's disk", "errors of the receiver's disk")
        self._quota = quota
        self._limits = limits
        self._lock = threading.Lock()
        self._node = node
        self._prefix = prefix
        self._files: list[ReceivedFile | OpenFile] = []
        # Path as the client named it -> where in the list its last file is.
        self._positions: dict[str, int] = {}
        self._names = names or Names(limits)
        self._cost = 0  # of the names, in bytes of memory
        self._over = False
        self._handles = 0
        self._listings = 0  # of the handles
        self._directories = 0

    def files(self) -> tuple[ReceivedFile, ...]:
        with self._lock:
            return tuple(
                self._received(file) if isinstance(file, OpenFile) else file for file in self._files
            )

    def revoke(self) -> None:
        self.revoked = True

    def close(self) -> None:
        """The names are not counted any more: the caller puts the files on record, or drops them.
        May be called again.
        """
        with self._lock:
            self._over = True
            cost, self._cost = self._cost, 0
        self._names.count(-cost)
        self.disk_errors.close()

    # Files, from open to their end.

    def begin(self, named: str, stored: str) -> OpenFile:
        """A file that exists on disk now. Both names are below the target: `named` is the
        client's, `stored` the one on disk.
        """
        path = self._prefix + stored
        # Mostly the same object, so that the name is in memory once.
        named_path = path if named == stored else self._prefix + named
        with self._lock:
            file = OpenFile(path, len(self._files))
            self._files.append(file)
            self._positions[named_path] = file.position
            self.open_files += 1
            if not self._over:
                cost = name_cost(path) if named_path is path else name_cost(path, named_path)
                self._cost += cost
                self._names.count(cost)
        return file

    def end(self, file: OpenFile, sha256: str, *, closed: bool) -> bool:
        """The file is not open any more; called once for each.

        Returns whether it counts as closed: not where the target was revoked meanwhile.
        """
        with self._lock:
            ended = self._received(file, sha256, closed=closed and not self.revoked)
            self._files[file.position] = ended
            self.open_files -= 1
            self.files_received += ended.closed
            return ended.closed

    def _received(self, file: OpenFile, sha256: str = "", *, closed: bool = False) -> ReceivedFile:
        return ReceivedFile(
            self._node, file.path, file.size, sha256, closed, modified=file.modified
        )

    def stored(self, named: str) -> str | None:
        """Where the last file is that came under that name; None: none has come."""
        position = self._positions.get(self._prefix + named)
        return None if position is None else self._files[position].path.removeprefix(self._prefix)

    def set_modified(self, named: str, seconds: int) -> None:
        """The client gives its last file of that name a time stamp, while it is open or later.

        Does nothing where there is no such file, or after `close`.
        """
        with self._lock:
            position = self._positions.get(self._prefix + named)
            if position is None or self._over:
                return
            file = self._files[position]
            if isinstance(file, OpenFile):
                file.modified = seconds
            else:
                self._files[position] = msgspec.structs.replace(file, modified=seconds)

    # What the client may still do. Raise Refused.

    def check_open(self) -> None:
        """Before anything is created or written."""
        if self.revoked:
            raise Refused(Status.FAILURE, "this login has ended")
        if self.refusal is not None:
            raise Refused(Status.FAILURE, self.refusal.message)

    def check_names(self, named: str) -> None:
        """For one file more, of that name."""
        self.check_open()
        cost = self._cost + name_cost(self._prefix + named)
        if cost > self._limits.names:
            self._quota_exceeded(
                f"{len(self._files)} files came, and their names take"
                f" {self._limits.names // MIB} MiB; more are not accepted",
                _IN_PARTS,
            )
        if self._names.full(cost):
            self._quota_exceeded(
                "the names of the files that come from all nodes at this moment take"
                f" {self._limits.names_total // MIB} MiB; more are not accepted",
                _FEWER,
            )

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
