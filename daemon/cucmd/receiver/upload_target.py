"""Holds an upload target: a random one-time login, its folder, and its files.

The login is valid until `revoke`, which kills the processes of its connections. The last possible
write is the block that the kernel is writing at that moment.
"""

from __future__ import annotations

import hmac
import secrets
import string
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import trio

from cucmd.job.failure import Failure
from cucmd.received_file import ReceivedFile
from cucmd.receiver.login_files import LoginFiles
from cucmd.worker.process import END_SECONDS

# Only letters and digits, because the password is typed at a prompt of the node, where `?` and TAB
# have a meaning. 30 of these characters are 178 bits.
_ALPHABET = string.ascii_letters + string.digits
_PASSWORD_LENGTH = 30


class LoggedInConnection(Protocol):
    """Describes a connection that has logged in. `ended` is set once its process has ended."""

    ended: trio.Event

    def end(self) -> None: ...


class UploadTarget:
    """Takes the files that one run of one node pushes. Made by `Receiver.open_upload_target`.

    This is the `UploadTarget` of `node/ports.py`, where its methods are described.

    name: a job and a node, for messages.
    source: the node's address from `source_of`, or "" if it is unknown.
    """

    def __init__(
        self,
        folder: Path,
        received: LoginFiles,
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
        self.connections: set[LoggedInConnection] = set()
        self.revoked = False
        self.last_activity = trio.current_time()
        self.logins = 0
        self.wrong_logins = 0
        self.refused = 0
        self.refused_why = ""
        self._forget = forget
        self._changes = trio.lowlevel.ParkingLot()

    @property
    def files_received(self) -> int:
        return self.received.files_received

    @property
    def bytes_received(self) -> int:
        return self.received.bytes_received

    @property
    def refusal(self) -> Failure | None:
        return self.received.refusal

    def files(self) -> tuple[ReceivedFile, ...]:
        return self.received.files()

    async def wait_files_closed(self) -> None:
        """Waits until no file is open. The caller sets the deadline."""
        await trio.lowlevel.checkpoint()
        while self.received.any_open:
            await self._changes.park()

    def revoke(self) -> None:
        """Refuses the login from now on, and cuts its connections. Open files stay incomplete."""
        if not self.revoked:
            self.revoked = True
            self._forget(self)
            for connection in tuple(self.connections):
                connection.end()

    async def aclose(self) -> None:
        """Calls `revoke` and waits for the last write, even if it is cancelled. After that `files`
        changes no more.

        If the disk hangs, a process may end later, when the kernel has written its last block.
        """
        self.revoke()
        # The daemon may have to open a file for the process, kill the process, and measure the
        # files that were left open. Each step takes at most `END_SECONDS`.
        with trio.move_on_after(4 * END_SECONDS, shield=True):
            for connection in tuple(self.connections):
                await connection.ended.wait()
        self.received.close()
        await trio.lowlevel.checkpoint()

    # Called by the receiver.

    def has_password(self, password: str) -> bool:
        return hmac.compare_digest(self.password.encode(), password.encode())

    def count_refusal(self, reason: str) -> None:
        """Counts a connection of the node that was refused or cut because of one of our limits."""
        self.refused += 1
        self.refused_why = reason

    def note_activity(self) -> None:
        """Records that the client has done something, and wakes all waiting tasks."""
        self.last_activity = trio.current_time()
        self._changes.unpark_all()
