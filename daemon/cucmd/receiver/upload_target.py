"""An upload target: a random one-time login, the folder that it gives access to, and its files.

The login is valid from the opening of the target until `revoke`, and no write begins after that. A
write that is in the kernel at that moment, of one block at most, is the last.
"""

from __future__ import annotations

import logging
import secrets
import string
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import trio

from cucmd.failure import Failure
from cucmd.received_file import ReceivedFile
from cucmd.receiver.accounting import Accounting
from cucmd.receiver.folder import TargetFolder
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.packets import Malformed
from cucmd.receiver.repeats import Repeats
from cucmd.receiver.requests import RequestHandler
from cucmd.receiver.session import Backlog, SftpSession
from cucmd.ssh.bridge import run_callbacks

# Letters and digits only: it is typed into a prompt of the node, where `?` and TAB are keys. 30
# characters of them are 178 bits.
_ALPHABET = string.ascii_letters + string.digits
_PASSWORD_LENGTH = 30

# After connections are cut, callbacks need a few turns of the loop, and a thread has one block to
# finish. What takes longer is a disk that hangs.
_LAST_WAIT_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Connected(Protocol):
    """A connection, as far as a target has to do with it."""

    def abort(self) -> None: ...


class SessionHost(Protocol):
    """The receiver, as far as a target needs it to open a session."""

    @property
    def space(self) -> FreeSpace: ...
    @property
    def backlog(self) -> Backlog: ...
    def start(self, session: SftpSession, target: UploadTarget) -> None: ...


class UploadTarget:
    """Where one run of one node pushes its files: the `UploadTarget` of `node/ports.py`, where its
    methods are described. Made by `Receiver.open_upload_target`.
    """

    def __init__(
        self,
        folder: Path,
        accounting: Accounting,
        limits: ReceiverLimits,
        forget: Callable[[UploadTarget], None],
    ) -> None:
        self.username = "n" + secrets.token_hex(6)
        self.password = "".join(secrets.choice(_ALPHABET) for _ in range(_PASSWORD_LENGTH))
        self.directory = "/"
        self.name = accounting.name
        self.logins = 0
        self.wrong_logins = 0
        self.source = ""  # the node's address, as `source_of` has it; "": unknown
        self.refused = 0
        self.refused_why = ""
        self.last_activity = trio.current_time()
        self._folder = folder
        self._accounting = accounting
        self._limits = limits
        self._forget = forget
        self._connections: set[Connected] = set()
        self._sessions = 0
        self._not_sftp = Repeats(self.name, "cut off: not SFTP", "sessions were cut off: not SFTP")
        self._cannot_receive = Repeats(
            self.name, "cannot receive", "sessions could not be received", logging.ERROR
        )
        self._changes = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<UploadTarget {self.name} login {self.username}>"

    @property
    def files_received(self) -> int:
        """Files that the client closed."""
        return self._accounting.files_received

    @property
    def bytes_received(self) -> int:
        """Bytes of payload so far, of closed files and of others."""
        return self._accounting.bytes_received

    @property
    def refusal(self) -> Failure | None:
        """disk_full or quota_exceeded, once an upload was refused for that."""
        return self._accounting.refusal

    def files(self) -> tuple[ReceivedFile, ...]:
        """In the order in which they were opened. The list only ever grows at its end."""
        return self._accounting.files()

    async def wait_files_closed(self) -> None:
        """Returns when no file is open any more. No time limit of its own."""
        await trio.lowlevel.checkpoint()
        while self._accounting.open_files:
            await self._changes.park()

    def revoke(self) -> None:
        """The login is refused from now on, its connections are cut; open files are cut off."""
        self._accounting.revoke()
        self._forget(self)
        for connection in tuple(self._connections):
            connection.abort()

    async def aclose(self) -> None:
        """`revoke`, and waits for the connections and the last write; 2 s at most, also if
        cancelled. After that `files` changes no more.
        """
        self.revoke()
        with trio.move_on_after(_LAST_WAIT_SECONDS, shield=True) as patience:
            while self._connections or self._sessions:
                await self._changes.park()
            await run_callbacks()
        self._accounting.close()
        self._not_sftp.close()
        self._cannot_receive.close()
        if patience.cancelled_caught:
            _log.warning("%s: a session did not end in time; the disk may hang", self.name)
        await trio.lowlevel.checkpoint()

    # For the connection and its session; on the event loop.

    def touch(self) -> None:
        self.last_activity = trio.current_time()

    def notify_waiters(self) -> None:
        """Wakes all waiting tasks: what they wait for may have changed."""
        self._changes.unpark_all()

    def not_sftp(self, error: Malformed) -> None:
        self._not_sftp.add(error)

    def cannot_receive(self, error: OSError) -> None:
        self._cannot_receive.add(error)

    def admits(self) -> bool:
        return not self._accounting.revoked and len(self._connections) < self._limits.connections

    def entered(self, connection: Connected) -> bool:
        if not self.admits():
            return False
        self._connections.add(connection)
        self.logins += 1
        self.touch()
        return True

    def left(self, connection: Connected) -> None:
        self._connections.discard(connection)
        self.notify_waiters()

    def session(self, receiver: SessionHost) -> SftpSession | None:
        if self._accounting.revoked:
            return None
        handler = RequestHandler(
            TargetFolder(self._folder), self._accounting, receiver.space, self._limits
        )

        def start(session: SftpSession) -> None:
            self._sessions += 1
            receiver.start(session, self)

        return SftpSession(self, handler, receiver.backlog, start)

    def session_ended(self) -> None:
        self._sessions -= 1
        self.notify_waiters()
