"""One SSH connection to the receiver: its login, and the one SFTP session that it may open.

A right login opens one SFTP session in one target. Every other request of SSH (a command, a shell,
a PTY, forwarding of any kind) is refused, by asyncssh's defaults and by the options in server.py.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
from typing import Any, Protocol

import asyncssh

from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.refusals import RefusalLog
from cucmd.receiver.upload_target import SessionHost, UploadTarget
from cucmd.ssh.feed import Allowed, Feed
from cucmd.ssh.peer import LIMIT, peer_source, unread
from cucmd.ssh.turns import Group

# The window is what a client may have under way, and what asyncssh may have to hold; the packet is
# what it sends at once. Measured, OpenSSH's sftp on loopback: packets of 32 KiB 262
# MB/s, of 128 KiB 310; larger ones are no quicker.
_WINDOW = 2 * 1024 * 1024
_PACKET = 128 * 1024

# Names that one connection may try. A node has one.
_NAMES = 5

# The kernel notices a peer without network after 30 s * (1 + 3); its target usually ends before.
# asyncssh's own keepalive costs a timer for each piece that arrives.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 30, "TCP_KEEPCNT": 3}


def set_keepalive(peer: socket.socket) -> None:
    for option, value in _KEEPALIVE.items():
        peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class Server(SessionHost, Protocol):
    """The receiver, as far as one connection needs it."""

    @property
    def limits(self) -> ReceiverLimits: ...
    def target(self, username: str) -> UploadTarget | None: ...
    def expects(self, source: str) -> bool: ...
    def admit(self, connection: Connection, source: str) -> bool: ...
    def logged_in(self, connection: Connection, source: str) -> None: ...
    @property
    def refusals(self) -> RefusalLog: ...
    def refused(self, source: str, reason: str) -> None: ...
    def forget(self, connection: Connection, source: str) -> None: ...


class Connection(asyncssh.SSHServer):
    """All methods but `abort` and `excess` are asyncssh's callbacks."""

    def __init__(self, receiver: Server) -> None:
        self._receiver = receiver
        self._connection: asyncssh.SSHServerConnection | None = None
        self._feed: Feed | None = None
        self.source = ""
        self._wrong = 0
        self._names = 0
        self._target: UploadTarget | None = None
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None

    def abort(self) -> None:
        """Cuts the connection, at once."""
        if self._connection:
            self._connection.abort()

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        set_keepalive(conn.get_extra_info("socket"))
        self.source = peer_source(conn)
        limits = self._receiver.limits
        allowed = Allowed(
            limits.packets_before_login, limits.bytes_before_login, limits.exchanges_before_login
        )
        expected = self._receiver.expects(self.source)
        group = Group.EXPECTED if expected else Group.OTHERS
        self._feed = Feed(conn, self.source, group, allowed, self._too_much)
        if not self._receiver.admit(self, self.source):
            conn.abort()

    def _too_much(self, what: str) -> None:
        """It has sent more than anybody needs for a login."""
        self._receiver.refused(self.source, f"it sent {what} before a login")
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection = None
        self._channel = None
        self._feed = None
        if self._target:
            self._target.left(self)
        self._receiver.forget(self, self.source)

    # Login.

    def begin_auth(self, username: str) -> bool:
        self._names += 1
        if self._names > _NAMES:
            self.abort()
        return True

    def password_auth_supported(self) -> bool:
        """Allows `keyboard-interactive` too: asyncssh asks for the password and checks it here."""
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        if self._wrong >= self._receiver.limits.wrong_logins_per_connection:
            # Tries that were sent without waiting for a reply: these are not checked.
            self.abort()
            return False
        target = self._receiver.target(username)
        if target is not None and hmac.compare_digest(target.password.encode(), password.encode()):
            if target.admits():
                self._target = target
            else:
                self._turned_away(target)
            return self._target is not None
        self._wrong += 1
        if target is not None:
            target.wrong_logins += 1
        if self._wrong == 1:  # once for each connection
            self._receiver.refusals.add("wrong login", self.source)
        await asyncio.sleep(self._receiver.limits.wrong_login_delay * 2 ** (self._wrong - 1))
        if self._wrong >= self._receiver.limits.wrong_logins_per_connection:
            self.abort()
        return False

    def _turned_away(self, target: UploadTarget) -> None:
        """The login is right, and our limit keeps it out: that node is told, and no other."""
        reason = "its login has as many connections as it may have"
        self._receiver.refusals.add(f"refused because {reason}", self.source)
        target.refused += 1
        target.refused_why = reason

    def auth_completed(self) -> None:
        self._receiver.logged_in(self, self.source)
        # The target may have been revoked, or have filled up, since the password was checked.
        if self._target is None or not self._target.entered(self):
            self.abort()
        elif self._feed:
            self._feed.logged_in()

    # What a login may ask for.

    def session_requested(self) -> Any:
        """asyncssh takes a channel and a session, or False."""
        if not (self._connection and self._target) or self._channel:
            return False
        session = self._target.session(self._receiver)
        if session is None:
            return False
        self._channel = self._connection.create_server_channel(
            encoding=None, window=_WINDOW, max_pktsize=_PACKET
        )
        return self._channel, session

    def excess(self) -> str | None:
        """Why it is to be cut: what it makes asyncssh hold without a limit; or None."""
        if self._channel and len(self._channel.get_environment_bytes()) > 100:
            return "it sets environment variables without end"
        if self._connection and unread(self._connection) > LIMIT:
            return "it does not read its replies"
        return None
