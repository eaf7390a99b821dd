"""Is an upload target: a random one-time login, the folder that it gives access to, and its files.

The login is valid from the opening of the target until `revoke`, and no write begins after that. A
write that is in the kernel at that moment, of one block at most, is the last.
"""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from cucmd.failure import Code
from cucmd.job.failure import Failure
from cucmd.received_file import ReceivedFile
from cucmd.receiver.processes import Seat
from cucmd.receiver.received import Received

# Letters and digits only: it is typed into a prompt of the node, where `?` and TAB are keys. 30
# characters of them are 178 bits.
_ALPHABET = string.ascii_letters + string.digits
_PASSWORD_LENGTH = 30


class UploadTarget:
    """Takes what one run of one node pushes: the `UploadTarget` of `node/ports.py`, where its
    methods are described. Made by `Receiver.open_upload_target`.

    name: a job and a node, for messages. source: the node's address, as `source_of` has it; "":
    unknown.
    """

    def __init__(
        self,
        folder: Path,
        received: Received,
        name: str,
        source: str,
        forget: Callable[[UploadTarget], None],
    ) -> None:
        self.username = "n" + secrets.token_hex(6)
        self.password = "".join(secrets.choice(_ALPHABET) for _ in range(_PASSWORD_LENGTH))
        self.directory = "/"
        self.name = name
        self.source = source
        self.folder = folder
        self.received = received
        self.seats: list[Seat] = []  # in processes, also in those that have ended
        self.revoked = False
        self._opened = trio.current_time()
        self._forget = forget
        self._changes = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<UploadTarget {self.name} login {self.username}>"

    @property
    def files_received(self) -> int:
        """Counts the files that the client closed."""
        return self.received.files_received

    @property
    def bytes_received(self) -> int:
        """Counts the bytes of payload so far, of closed files and of others."""
        return self.received.bytes_received

    @property
    def last_activity(self) -> float:
        return max([self._opened, *(seat.heard for seat in self.seats)])

    @property
    def logins(self) -> int:
        return self._sum("logins")

    @property
    def wrong_logins(self) -> int:
        return self._sum("wrong_logins")

    @property
    def refused(self) -> int:
        return self._sum("refused")

    @property
    def refused_why(self) -> str:
        said = [seat.side.figures.refused_why for seat in self.seats]
        return next(filter(None, said), "")

    @property
    def refusal(self) -> Failure | None:
        """Says why uploads were refused: disk_full, quota_exceeded, or receiver_lost."""
        self._hear()
        return self.received.refusal

    def files(self) -> tuple[ReceivedFile, ...]:
        """Returns the files in the order in which they were opened. The list only ever grows at its
        end.
        """
        self._hear()
        return self.received.files()

    async def wait_files_closed(self) -> None:
        """Returns when no file is open any more. No time limit of its own."""
        await trio.lowlevel.checkpoint()
        self._hear()
        while self.received.any_open:
            await self._changes.park()

    def revoke(self) -> None:
        """The login is refused from now on, its connections are cut; open files are cut off."""
        if not self.revoked:
            self.revoked = True
            self._forget(self)

    async def aclose(self) -> None:
        """Calls `revoke`, and waits for the last write; also if cancelled. A process that does not
        say that it was the last is killed. After that `files` changes no more.
        """
        self.revoke()
        with trio.CancelScope(shield=True):
            for seat in self.seats:
                await seat.process.wait_forgotten(seat)
            await self._measure()
        self.received.close()
        await trio.lowlevel.checkpoint()

    async def _measure(self) -> None:
        """Measures the files that a process has left open, which it can say nothing of any more;
        and settles what it has not used of what it was granted.
        """
        for seat in self.seats:
            left, seat.left_open = seat.left_open, ()
            paths = [self.folder / self.received.stored(position) for position in left]
            sizes = await trio.to_thread.run_sync(_sizes_of, paths) if paths else []
            for position, size in zip(left, sizes, strict=True):
                self.received.change(position, size=size)
            seat.side.settle()

    # For the receiver.

    def changed(self) -> None:
        """Wakes all waiting tasks: what they wait for may have changed."""
        for seat in self.seats:
            if seat.lost and seat.side.figures.logins and not self.revoked:
                said = "the process that received its files has ended"
                self.received.refuse(Code.RECEIVER_LOST, said)
        self._changes.unpark_all()

    def _sum(self, name: str) -> int:
        self._hear()
        return sum(getattr(seat.side.figures, name) for seat in self.seats)

    def _hear(self) -> None:
        """Takes what its processes said by now: the node may have said already what came of it."""
        for seat in self.seats:
            seat.process.take()


def _sizes_of(paths: Sequence[Path]) -> list[int]:
    return [_size_of(path) for path in paths]


def _size_of(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
