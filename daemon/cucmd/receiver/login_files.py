"""Holds the files that a login has received, as the daemon knows them. No I/O.

The reports come from processes that handle bytes of strangers. So each message is checked as if a
stranger had sent it, and a wrong one raises `WrongFrame`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from cucmd.allowance import Quota
from cucmd.failure import Code, failure
from cucmd.job.failure import Failure
from cucmd.received_file import ReceivedFile
from cucmd.receiver import messages
from cucmd.receiver.limits import CREDIT, ReceiverLimits
from cucmd.worker.frames import WrongFrame

# A node is granted at most 1/_PART of the rest of a quota, unless it asks for more. The nodes of a
# job share its quota, and bytes that were granted to one node cannot be used by the others. With
# 200 nodes, at most a fifth of the quota is granted and not used.
_PART = 1024
_SHA256 = re.compile(r"(?:[0-9a-f]{64})?")
_MAX_TEXT = 1000
_LAST_STAMP = 0xFFFFFFFF
_FEWER = "collect from fewer nodes at once"
# The hint for limits that no configuration can change.
_IN_PARTS = "narrow the window, or collect path by path"


class FileCount:
    """Counts the files of all logins together.

    total            the files that are not in the database yet
    files_received, bytes_received
                     closed files, and bytes, that have come since the daemon began
    """

    def __init__(self) -> None:
        self.total = 0
        self.files_received = 0
        self.bytes_received = 0


class LoginFiles:
    """Holds the files that one login has received.

    node: the node that pushes the files.
    prefix: the path of the login's folder below the job's folder, with "/" at its end.
    all_logins: counts the files of all logins.

    The list of files only grows at its end, so a caller that remembers its length finds the later
    files after that position. Once a file is no longer open, only its time stamp may still change.

    refusal: why uploads are refused, or None if they are not.
    """

    def __init__(
        self,
        limits: ReceiverLimits,
        quota: Quota,
        all_logins: FileCount,
        node: str = "",
        prefix: str = "",
    ) -> None:
        self.refusal: Failure | None = None
        self.files_received = 0
        self.bytes_received = 0
        self._limits = limits
        self._quota = quota
        self._all_logins = all_logins
        self._node = node
        self._prefix = prefix
        self._files: list[ReceivedFile] = []
        self._open: set[int] = set()  # positions in `_files`
        self._directories = 0
        self._closed = False

    def files(self) -> tuple[ReceivedFile, ...]:
        return tuple(self._files)

    @property
    def any_open(self) -> bool:
        return bool(self._open)

    def close(self) -> None:
        """Stops counting the files, because the caller stores or drops them. May be repeated."""
        if not self._closed:
            self._closed = True
            self._all_logins.total -= len(self._files)

    def refuse(self, code: Code, message: str, hint: str | None = None) -> messages.LimitReached:
        """Refuses uploads from now on. If they are refused already, keeps the first reason."""
        if self.refusal is None:
            self.refusal = failure(code, message, hint=hint)
        return messages.LimitReached(message)

    # Called by the connections of the login.

    def check_open(self, request: messages.Open) -> messages.LimitReached | None:
        """Returns why the login may not have this new file or folder, or None if it may."""
        limits, count = self._limits, len(self._files) + 1
        if request.what == "new folder":
            if self._directories >= limits.directories:
                message = f"more than {limits.directories} directories"
                return self.refuse(Code.QUOTA_EXCEEDED, message, _IN_PARTS)
        elif request.what == "new file":
            if count > limits.files:
                message = f"more than {limits.files:,} files"
                return self.refuse(Code.QUOTA_EXCEEDED, message, _IN_PARTS)
            if count > limits.files_share and self._all_logins.total >= limits.files_total:
                message = f"more than {limits.files_total:,} files from all nodes at this moment"
                return self.refuse(Code.QUOTA_EXCEEDED, message, _FEWER)
        return None

    def opened(self, request: messages.Open) -> int | None:
        """Lists a new file and returns its position, or counts a new folder and returns None."""
        self._directories += request.what == "new folder"
        if request.what != "new file":
            return None
        self._files.append(ReceivedFile(self._node, self._prefix + request.path, 0))
        self._open.add(len(self._files) - 1)
        if not self._closed:
            self._all_logins.total += 1
        return len(self._files) - 1

    def change(self, position: int, **changes: object) -> None:
        """Replaces fields of a listed file."""
        self._files[position] = msgspec.structs.replace(self._files[position], **changes)

    def ended(self, position: int, size: int, sha256: str = "", *, closed: bool) -> None:
        """Records the end of a file. closed: whether its client has closed it."""
        if self._closed:  # the disk hung for too long, and the file was reported as incomplete
            return
        self._open.discard(position)
        self.change(position, size=size, sha256=sha256, closed=closed)
        self.files_received += closed
        self._all_logins.files_received += closed

    def note_bytes(self, size: int) -> None:
        """Counts bytes that have come."""
        self.bytes_received += size
        self._all_logins.bytes_received += size

    def grant(self, wanted: int) -> messages.BytesGranted | messages.LimitReached:
        """Grants at least the wanted bytes, or returns why a quota does not allow them."""
        quota, size = self._quota, CREDIT
        for owner, allowance in (("node", quota.node), ("job", quota.job)):
            if (left := allowance.left) is None:
                continue
            if left < wanted:
                message = f"more than {allowance.size:,} bytes for this {owner}"
                return self.refuse(Code.QUOTA_EXCEEDED, message)
            size = min(size, left // _PART)
        size = max(size, wanted)
        quota.node.take(size)
        quota.job.take(size)
        return messages.BytesGranted(size)

    def give_back(self, size: int) -> None:
        """Returns granted bytes that were not used to the quotas."""
        self._quota.node.give_back(size)
        self._quota.job.give_back(size)

    def stored_path(self, position: int) -> str:
        """Returns the path of a file on the disk, below the login's folder."""
        return self._files[position].path.removeprefix(self._prefix)

    def size_of(self, positions: Sequence[int]) -> int:
        return sum(self._files[position].size for position in positions)


class ConnectionFiles:
    """Holds the files of one connection, and checks what its process reports about them."""

    def __init__(self, received: LoginFiles, limits: ReceiverLimits) -> None:
        self._received = received
        self._limits = limits
        self._files: set[int] = set()  # positions in the list of the login
        self._open: set[int] = set()
        self._granted = 0
        self._bytes = 0

    def check_open(self, request: messages.Open) -> messages.LimitReached | None:
        """Returns why the file or folder may not be opened, or None. Raises `WrongFrame`."""
        _check(len(self._open) < self._limits.handles, "a request for too many open files")
        return self._received.check_open(request)

    def opened(self, request: messages.Open) -> messages.Opened:
        number = self._received.opened(request)
        if number is not None:
            self._files.add(number)
            self._open.add(number)
        return messages.Opened(number)

    def answer(self, request: messages.FromProcess) -> messages.ToProcess:
        """Returns the answer to a report or request about files. Raises `WrongFrame`."""
        match request:
            case messages.BytesReceived(received):
                _check(self._bytes <= received <= self._granted, "a wrong number of bytes")
                self._received.note_bytes(received - self._bytes)
                self._bytes = received
            case messages.TimeSet(number, modified):
                _check(number in self._files, "a time for a file that is not its own")
                _check(0 <= modified <= _LAST_STAMP, "an impossible time")
                self._received.change(number, modified=modified)
            case messages.FileClosed(number=number, size=size, sha256=sha256, closed=closed):
                _check(number in self._open, "the end of a file that is not open")
                _check(0 <= size <= self._bytes, "an impossible size of a file")
                _check(_SHA256.fullmatch(sha256) is not None, "a malformed checksum")
                _check(bool(sha256) or not closed, "a closed file without a checksum")
                self._open.remove(number)
                self._received.ended(number, size, sha256, closed=closed)
            case messages.AskBytes(size):
                _check(0 <= size <= CREDIT, "a request for too many bytes")
                answer = self._received.grant(size)
                if isinstance(answer, messages.BytesGranted):
                    self._granted += answer.size
                return answer
            case messages.UploadsRefused(code, message, hint):
                _check(code in {Code.DISK_FULL, Code.QUOTA_EXCEEDED}, "an unexpected failure code")
                _check(max(len(message), len(hint or "")) <= _MAX_TEXT, "a text that is too long")
                self._received.refuse(code, message, hint)
            case _:
                raise WrongFrame("the process has sent an unexpected message")
        return messages.Done()

    def left_open(self) -> dict[int, str]:
        """Returns the files that are still open, with their paths below the login's folder."""
        return {number: self._received.stored_path(number) for number in sorted(self._open)}

    def end(self, sizes: dict[int, int]) -> None:
        """Records the end of the files that were left open, and gives back unused bytes.

        sizes: the sizes of these files on disk. They include bytes that the process has written and
            not reported.
        """
        for number in sorted(self._open):
            self._received.ended(number, sizes.get(number, 0), closed=False)
        self._open.clear()
        received_bytes = max(self._bytes, self._received.size_of(tuple(self._files)))
        self._received.give_back(max(0, self._granted - received_bytes))
        self._granted = received_bytes


def _check(allowed: bool, what: str) -> None:
    """Raises `WrongFrame` if the process was not allowed to send this."""
    if not allowed:
        raise WrongFrame(f"the process has sent {what}")
