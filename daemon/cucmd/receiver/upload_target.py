"""Holds an upload target: a random one-time login, the folder that it gives access to, its files.

The login is valid from the opening of the target until `revoke`, which kills the processes that
serve its connections. A write that is in the kernel at that moment, of one block, is the last.
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

# Letters and digits only: it is typed into a prompt of the node, where `?` and TAB are keys. 30
# characters of them are 178 bits.
_ALPHABET = string.ascii_letters + string.digits
_PASSWORD_LENGTH = 30


class LoggedInConnection(Protocol):
    """A connection that has logged in. `ended` is set once its process has ended."""

    ended: trio.Event

    def end(self) -> None: ...


class UploadTarget:
    """Takes what one run of one node pushes: the `UploadTarget` of `node/ports.py`, where its
    methods are described. Made by `Receiver.open_upload_target`.

    name: a job and a node, for messages. source: the node's address, as `source_of` has it, or ""
    where it is unknown.
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
        """Returns when no file is open any more. No time limit of its own."""
        await trio.lowlevel.checkpoint()
        while self.received.any_open:
            await self._changes.park()

    def revoke(self) -> None:
        """Refuses the login from now on and cuts its connections; open files stay incomplete."""
        if not self.revoked:
            self.revoked = True
            self._forget(self)
            for connection in tuple(self.connections):
                connection.end()

    async def aclose(self) -> None:
        """Calls `revoke`, and waits for the last write; also if cancelled. After that `files`
        changes no more.

        A process that a disk holds in the kernel ends later, when it has written its last block.
        """
        self.revoke()
        # The daemon may be opening a file for it, then kills it, and then measures what it has left
        # open: each within `END_SECONDS`.
        with trio.move_on_after(4 * END_SECONDS, shield=True):
            for connection in tuple(self.connections):
                await connection.ended.wait()
        self.received.close()
        await trio.lowlevel.checkpoint()

    # For the receiver.

    def has_password(self, password: str) -> bool:
        return hmac.compare_digest(self.password.encode(), password.encode())

    def count_refusal(self, reason: str) -> None:
        """Counts a connection of its node that was refused or cut because of a limit of ours."""
        self.refused += 1
        self.refused_why = reason

    def note_activity(self) -> None:
        """Notes that its client has done something, and wakes all waiting tasks."""
        self.last_activity = trio.current_time()
        self._changes.unpark_all()
