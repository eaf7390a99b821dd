"""Holds what a login has received, as the daemon knows it. No I/O.

It comes from processes that handle what strangers have made, so each frame is checked as if a
stranger had made it: a wrong one raises `WrongFrame`.

A login is known to two processes: that of its node's address, and that of all other addresses,
since a node may come from one that nobody has expected. So its files come from two sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec

from cucmd.allowance import Quota
from cucmd.failure import Code, failure
from cucmd.job.failure import Failure
from cucmd.received_file import ReceivedFile
from cucmd.receiver.limits import CREDIT, ReceiverLimits, RequestRefused
from cucmd.receiver.paths import parts_of, stored_parts
from cucmd.worker.frames import (
    Closed,
    Figures,
    Forgotten,
    Grant,
    OfLogin,
    Opened,
    Refuse,
    Stamped,
    UploadsRefused,
    Wants,
    WrongFrame,
)

# Of what is left of a quota no more than this part is granted at once beyond what is asked for: the
# nodes of a job share it, and what one holds the others do not have. 200 of them hold a fifth of it
# at most, and less the less is left.
_PART = 1024
_SHA256 = re.compile(r"(?:[0-9a-f]{64})?")
_MOST_TEXT = 1000
_LAST_STAMP = 0xFFFFFFFF
_FEWER = "collect from fewer nodes at once"


class FileCount:
    """Counts the files of all logins together that are not on record yet."""

    def __init__(self) -> None:
        self.total = 0


class Received:
    """Holds what one login has received.

    node: that pushes the files. prefix: stands before a file's path below the login's folder, to
    make it one below the job's directory. together: the files of all logins.

    The list of files only ever grows at its end, and of a file in it that is no longer open nothing
    changes but its time stamp. So a caller that noted its length finds exactly the later files
    after that.

    refusal: why uploads are refused; None: they are not.
    """

    def __init__(
        self,
        limits: ReceiverLimits,
        quota: Quota,
        together: FileCount,
        node: str = "",
        prefix: str = "",
    ) -> None:
        self.refusal: Failure | None = None
        self.files_received = 0
        self.sides: list[Side] = []
        self._limits = limits
        self._quota = quota
        self._together = together
        self._node = node
        self._prefix = prefix
        self._files: list[ReceivedFile] = []
        self._open: set[int] = set()  # where in the list
        self._over = False

    def files(self) -> tuple[ReceivedFile, ...]:
        return tuple(self._files)

    @property
    def bytes_received(self) -> int:
        return sum(side.figures.received for side in self.sides)

    @property
    def any_open(self) -> bool:
        return bool(self._open)

    def close(self) -> None:
        """The files are not counted any more: the caller puts them on record, or drops them. May be
        called again.
        """
        if not self._over:
            self._over = True
            self._together.total -= len(self._files)

    def refuse(self, code: Code, message: str, hint: str | None = None) -> None:
        """Keeps the first reason."""
        if self.refusal is None:
            self.refusal = failure(code, message, hint=hint)

    # For one of the sides.

    def opened(self, stored: str) -> tuple[int, str | None]:
        """Returns where in the list the new file is, and why no more are taken."""
        path = self._prefix + stored
        self._files.append(ReceivedFile(self._node, path, 0))
        self._open.add(len(self._files) - 1)
        why = None
        if not self._over:
            self._together.total += 1
            # Each of two processes stops by itself.
            _check(len(self._files) <= 2 * self._limits.files, "the number of files")
            why = self._too_many()
        return len(self._files) - 1, why

    def _too_many(self) -> str | None:
        limits, count = self._limits, len(self._files)
        if count > limits.files:
            said = f"more than {limits.files:,} files"
        elif count > limits.files_share and self._together.total > limits.files_total:
            said = f"more than {limits.files_total:,} files from all nodes at this moment"
        else:
            return None
        self.refuse(Code.QUOTA_EXCEEDED, said, _FEWER)
        return said

    def is_open(self, position: int) -> bool:
        return position in self._open

    def change(self, position: int, **changes: object) -> None:
        self._files[position] = msgspec.structs.replace(self._files[position], **changes)

    def ended(self, position: int, size: int, sha256: str = "", *, closed: bool) -> None:
        self._open.discard(position)
        self.change(position, size=size, sha256=sha256, closed=closed)
        self.files_received += closed

    def grant(self, wanted: int) -> int | str:
        """Grants bytes that may come now, at least so many; or says why there are not so many."""
        quota, size = self._quota, CREDIT
        for whose, allowance in (("node", quota.node), ("job", quota.job)):
            if (left := allowance.left) is None:
                continue
            if left < wanted:
                said = f"more than {allowance.size:,} bytes for this {whose}"
                self.refuse(Code.QUOTA_EXCEEDED, said)
                return said
            size = min(size, left // _PART)
        size = max(size, wanted)
        quota.node.take(size)
        quota.job.take(size)
        return size

    def size_of(self, positions: Iterable[int]) -> int:
        return sum(self._files[position].size for position in positions)

    def stored(self, position: int) -> str:
        """Returns the name on the disk, below the login's folder."""
        return self._files[position].path.removeprefix(self._prefix)

    def give_back(self, size: int) -> None:
        self._quota.node.give_back(size)
        self._quota.job.give_back(size)


class Side:
    """Has what one process says of a login. figures: the last ones. over: it says nothing more."""

    def __init__(self, received: Received, limits: ReceiverLimits) -> None:
        self.figures = Figures(login="")
        self.over = False
        self._received = received
        self._limits = limits
        self._positions: list[int] = []  # of its files, by their number
        self._granted = 0
        self._open = 0  # of its files
        received.sides.append(self)

    def take(self, frame: OfLogin) -> Grant | Refuse | None:
        """Returns the answer, if there is one. Raises `WrongFrame`."""
        if self.over:
            raise WrongFrame("it speaks of a login that it has forgotten")
        match frame:
            case Figures():
                self._count(frame)
            case Opened(login, number, named, stored):
                self._check_names(named, stored)
                # Some threads of it may be between a close and its word of it.
                self._open += 1
                most = self._limits.handles + self._limits.threads
                _check(self._open <= most, "more open files than it may have")
                _check(number == len(self._positions), "a file's number")
                position, why = self._received.opened(stored)
                self._positions.append(position)
                if why is not None:
                    return Refuse(login, why)
            case Stamped(_, number, modified):
                _check(0 <= modified <= _LAST_STAMP, "a time stamp")
                self._received.change(self._position(number), modified=modified)
            case Closed():
                position = self._position(frame.number)
                _check(self._received.is_open(position), "a file that is not open")
                _check(0 <= frame.size <= self.figures.received, "a file's size")
                _check(_SHA256.fullmatch(frame.sha256) is not None, "a file's hash")
                self._open -= 1
                _check(bool(frame.sha256) or not frame.closed, "a file without a hash")
                self._received.ended(position, frame.size, frame.sha256, closed=frame.closed)
            case Wants(login, size):
                _check(0 <= size <= CREDIT, "what is wanted")
                answer = self._received.grant(size)
                if isinstance(answer, str):
                    return Refuse(login, answer)
                self._granted += answer
                return Grant(login, answer)
            case UploadsRefused(_, code, message, hint):
                _check(code in {Code.DISK_FULL, Code.QUOTA_EXCEEDED}, "a code")
                _check(max(len(message), len(hint or "")) <= _MOST_TEXT, "a text")
                self._received.refuse(code, message, hint)
            case Forgotten():
                self._give_back(self.figures.received)
                self.lost()
        return None

    def settle(self) -> None:
        """Gives back what one that has ended by itself was granted and what has not come, once the
        files that it left open are measured: of its last bytes it may have said nothing.
        """
        self._give_back(max(self.figures.received, self._received.size_of(self._positions)))

    def _give_back(self, came: int) -> None:
        unused, self._granted = self._granted - came, 0
        self._received.give_back(max(0, unused))

    def lost(self, untold: Sequence[str] = ()) -> tuple[int, ...]:
        """It says nothing more. Returns where in the list files are that were still open.

        untold: new files of which it has said nothing.
        """
        self.over = True
        with suppress(WrongFrame):  # more names than it may have
            for stored in untold:
                self._positions.append(self._received.opened(stored)[0])
        left = tuple(one for one in self._positions if self._received.is_open(one))
        for position in left:
            self._received.ended(position, 0, closed=False)
        return left

    def _count(self, new: Figures) -> None:
        before = self.figures
        for name in ("received", "logins", "wrong_logins", "refused"):
            _check(getattr(new, name) >= getattr(before, name), "a figure that falls")
        _check(new.received <= self._granted, "more bytes than were granted")
        _check(new.silent >= 0 and len(new.refused_why) <= _MOST_TEXT, "figures")
        self.figures = new

    def _position(self, number: int) -> int:
        _check(0 <= number < len(self._positions), "a file's number")
        return self._positions[number]

    def _check_names(self, named: str, stored: str) -> None:
        try:
            parts = parts_of(named.encode(), self._limits)
            right = "/".join(parts) == named and bool(stored_parts(stored, self._limits))
        except (RequestRefused, UnicodeEncodeError) as error:
            raise WrongFrame("a file's name is wrong") from error
        _check(bool(parts) and right, "a file's name")


def _check(right: bool, what: str) -> None:
    if not right:
        raise WrongFrame(f"{what} is wrong")
