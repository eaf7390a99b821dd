"""A drop box: a random one-time login, the folder it leads to, and what has come into it.

The one rule: the login is good for as long as the box lives and no longer. From `revoke` on no
write begins: what is in the kernel at that moment, one block at most, is the last.
"""

from __future__ import annotations

import logging
import secrets
import string
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import trio

from cucmd.failure import Failure
from cucmd.receiver.accounting import Ledger
from cucmd.receiver.folder import BoxFolder
from cucmd.receiver.limits import ReceivedFile, ReceiverLimits
from cucmd.receiver.requests import Desk
from cucmd.receiver.session import SftpSession
from cucmd.ssh.bridge import settle as settle_bridge

if TYPE_CHECKING:
    from cucmd.receiver.server import Receiver

# Letters and digits only: it is typed into a prompt of the node, where `?` and TAB are keys. 30
# characters of them are 178 bits.
_ALPHABET = string.ascii_letters + string.digits
_PASSWORD_LENGTH = 30

# After a cut: the callbacks are a few turns of the loop, and a thread has one block to finish.
# Longer than that is a disk that hangs.
_LAST_WAIT_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Connected(Protocol):
    """A connection, as far as a box has to do with it."""

    def abort(self) -> None: ...


class DropBox:
    """Where one run of one node pushes its files: the `DropBox` of `node/ports.py`, where its
    contract stands. Made by `Receiver.open_drop_box`.
    """

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        limits: ReceiverLimits,
        forget: Callable[[DropBox], None],
    ) -> None:
        self.username = "n" + secrets.token_hex(6)
        self.password = "".join(secrets.choice(_ALPHABET) for _ in range(_PASSWORD_LENGTH))
        self.directory = "/"
        self.name = ledger.name
        self.connected = False
        self.wrong_logins = 0
        self.last_activity = trio.current_time()
        self._folder = folder
        self._ledger = ledger
        self._limits = limits
        self._forget = forget
        self._visitors: set[Connected] = set()
        self._sessions = 0
        self._changes = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<DropBox {self.name} login {self.username}>"

    @property
    def files_received(self) -> int:
        """Complete files."""
        return self._ledger.files_received

    @property
    def bytes_received(self) -> int:
        """Bytes of payload so far, of complete files and of others."""
        return self._ledger.bytes_received

    @property
    def refusal(self) -> Failure | None:
        """disk_full or quota_exceeded, once an upload was refused for that."""
        return self._ledger.refusal

    def files(self) -> tuple[ReceivedFile, ...]:
        """In the order in which they were opened. The list only ever grows at its end."""
        return self._ledger.files()

    async def settle(self) -> None:
        """Returns when no file is open any more. No bound of its own."""
        await trio.lowlevel.checkpoint()
        while self._ledger.open_files:
            await self._changes.park()

    def revoke(self) -> None:
        """The login is refused from now on, its connections are cut, open files stay incomplete."""
        self._ledger.close()
        self._forget(self)
        for visitor in tuple(self._visitors):
            visitor.abort()

    async def aclose(self) -> None:
        """`revoke`, and waits for the connections and the last write; 2 s at most, also if
        cancelled. After that `files` changes no more.
        """
        self.revoke()
        with trio.move_on_after(_LAST_WAIT_SECONDS, shield=True) as patience:
            while self._visitors or self._sessions:
                await self._changes.park()
            await settle_bridge()
        if patience.cancelled_caught:
            _log.warning("%s: a session did not end in time; the disk may hang", self.name)
        await trio.lowlevel.checkpoint()

    # For the connection and its session; on the event loop.

    def touch(self) -> None:
        self.last_activity = trio.current_time()

    def stir(self) -> None:
        """Something may have changed that somebody waits for."""
        self._changes.unpark_all()

    def admits(self) -> bool:
        return not self._ledger.closed and len(self._visitors) < self._limits.connections

    def entered(self, visitor: Connected) -> bool:
        if not self.admits():
            return False
        self._visitors.add(visitor)
        self.connected = True
        self.touch()
        return True

    def left(self, visitor: Connected) -> None:
        self._visitors.discard(visitor)
        self.stir()

    def session(self, receiver: Receiver) -> SftpSession | None:
        if self._ledger.closed:
            return None
        desk = Desk(BoxFolder(self._folder), self._ledger, receiver.space, self._limits)

        def start(session: SftpSession) -> None:
            self._sessions += 1
            receiver.start(session, self)

        return SftpSession(self, desk, receiver.backlog, start)

    def session_ended(self) -> None:
        self._sessions -= 1
        self.stir()
