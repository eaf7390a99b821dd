"""Serves a one-time login in its process: its connections, its sessions, its figures.

Used by the event loop, but for `end`.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from cucmd.receiver.accounting import Accounting
from cucmd.receiver.folder import TargetFolder
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.packets import Malformed
from cucmd.receiver.requests import RequestHandler
from cucmd.worker.frames import Expect, What

# Seconds between figures, where they change all the time.
_FIGURES_EVERY = 0.2


class Connected(Protocol):
    """Is a connection, as far as a login has to do with it."""

    def abort(self) -> None: ...


class ServedLogin:
    """Serves a one-time login. source: the address of its node, as `source_of` has it; "": unknown.
    ask: the daemon to open something in the folder of a login: the login, what and path of `Open`.
    """

    def __init__(
        self,
        expect: Expect,
        accounting: Accounting,
        limits: ReceiverLimits,
        ask: Callable[[str, What, str], int],
    ) -> None:
        self.source = expect.source
        self.accounting = accounting
        self._digest = expect.digest
        self._ask = partial(ask, expect.login)
        self._limits = limits
        self._connections: set[Connected] = set()
        self._handlers: set[RequestHandler] = set()
        self._changed = False
        self._next: asyncio.TimerHandle | None = None

    def has_password(self, password: str) -> bool:
        return hmac.compare_digest(self._digest, hashlib.sha256(password.encode()).digest())

    # Connections.

    def admits(self) -> bool:
        return not self.accounting.revoked and len(self._connections) < self._limits.connections

    def entered(self, connection: Connected) -> bool:
        if not self.admits():
            return False
        self._connections.add(connection)
        self.accounting.logins += 1
        self.touch()
        return True

    def left(self, connection: Connected) -> None:
        self._connections.discard(connection)

    def wrong_password(self) -> None:
        self.accounting.wrong_logins += 1
        self.change()

    def turned_away(self, reason: str) -> None:
        """A connection of its node was refused or cut because of a limit of ours."""
        self.accounting.refused += 1
        self.accounting.refused_why = reason
        self.change()

    def abort(self) -> None:
        for connection in tuple(self._connections):
            connection.abort()

    # Sessions.

    def handler(self, space: FreeSpace) -> RequestHandler | None:
        """Makes a handler for one more session; None where the login has ended."""
        if self.accounting.revoked:
            return None
        return RequestHandler(TargetFolder(self._ask), self.accounting, space, self._limits)

    def began(self, handler: RequestHandler) -> None:
        """Its session has begun: it may open files until `ended`."""
        self._handlers.add(handler)

    def ended(self, handler: RequestHandler) -> None:
        self._handlers.discard(handler)

    @property
    def is_used(self) -> bool:
        return bool(self._handlers)

    def end(self) -> None:
        """Waits, after a revoke, when no write begins any more, for the last one, and closes all
        files. May be called by any thread: the event loop may have much to do.
        """
        for handler in tuple(self._handlers):
            handler.close()
        self.accounting.forgotten()

    # What a session tells.

    def touch(self) -> None:
        """A byte has come."""
        self.accounting.last_activity = time.monotonic()
        self.change()

    def not_sftp(self, error: Malformed) -> None:
        """A session is cut off because of what the client has sent."""
        self.accounting.say("cut off: not SFTP", error)

    def cannot_receive(self, error: OSError) -> None:
        """A session is cut off because of our disk."""
        if error.errno != errno.ECANCELED:  # it has ended, and this process is told so soon
            self.accounting.say("cannot receive", error, logging.ERROR)

    # Figures, a few times a second at most.

    def change(self) -> None:
        self._changed = True
        if self._next is None:
            self._tell()

    def _tell(self) -> None:
        self._next = None
        if self._changed:
            self._changed = False
            self.accounting.tell_figures()
            self._next = asyncio.get_running_loop().call_later(_FIGURES_EVERY, self._tell)
