"""Serves one SSH connection to the receiver: its login, and the one SFTP session that it may open.

A right login opens one SFTP session in one folder. Every other request of SSH (a command, a shell,
a PTY, forwarding of any kind) is refused, by asyncssh's defaults and the options in receiving.py.

One private name of asyncssh is needed, `_transport`, and one of asyncio's transports that is not
documented, `max_size`: both can go once one may say how much is read at once.
"""

from __future__ import annotations

import asyncio
import math
import socket
from typing import Any, Protocol

import asyncssh
from asyncssh.constants import MSG_IGNORE

from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.login import ServedLogin
from cucmd.receiver.refusals import RefusalLog
from cucmd.receiver.session import SftpSession
from cucmd.ssh.peer import LIMIT, unread

# The window is what a client may have under way, and what asyncssh may have to hold; the packet is
# what it sends at once. Measured, OpenSSH's sftp on loopback: packets of 32 KiB 262
# MB/s, of 128 KiB 310; larger ones are no quicker.
_WINDOW = 2 * 1024 * 1024
_PACKET = 128 * 1024

# Bytes of one that has not logged in. A login is one key exchange and some 10 packets, 3 KB in all;
# three wrong passwords in both methods are 12 packets more.
_BEFORE_LOGIN = 64 * 1024

# Bytes that are read at once. Who has not logged in has nothing large to say; 8 KiB may be 500
# packets without content, which keep the others of this process waiting for some milliseconds.
_READ_BEFORE_LOGIN = 8 * 1024
# Less than what malloc keeps apart, 128 KiB: with 256 a process that a node sends 10 MB/s to has
# 1.2 MB more, and takes as much of the processor.
_READ = 120 * 1024
# A packet of OpenSSH's with 32 KiB of payload, and its overhead.
_PIECE = 34 * 1024

# Names that one connection may try. A node has one.
_NAMES = 5

# The kernel notices a peer without network after 30 s * (1 + 3); its target usually ends before.
# asyncssh's own keepalive costs a timer for each piece that arrives.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 30, "TCP_KEEPCNT": 3}


def set_keepalive(peer: socket.socket) -> None:
    for option, value in _KEEPALIVE.items():
        peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class Host(Protocol):
    """Is what receives, as far as one connection needs it."""

    @property
    def limits(self) -> ReceiverLimits: ...
    @property
    def refusals(self) -> RefusalLog: ...
    def login(self, username: str) -> ServedLogin | None: ...
    def admit(self, connection: Connection) -> None: ...
    def logged_in(self, connection: Connection) -> None: ...
    def session(self, login: ServedLogin) -> SftpSession | None: ...
    def forget(self, connection: Connection) -> None: ...


class SshConnection(asyncssh.SSHServerConnection):
    """Hands asyncssh little at a time, and before the login no more than a login needs.

    Of what it has not used yet it makes two copies for each SSH packet: with the 256 KiB that
    asyncio reads at once, a third of all the time would go into that.
    """

    before_login: float = _BEFORE_LOGIN  # bytes that are left

    def data_received(self, data: bytes, datatype: asyncssh.DataType = None) -> None:
        self.before_login -= len(data)
        if self.before_login < 0:
            # Who is cut comes again at once, and begins anew: its login timeout ends this one.
            private: Any = self
            if private._transport is not None:  # it is not being cut
                private._transport.pause_reading()
            return
        if len(data) <= _PIECE:
            super().data_received(data, datatype)
            return
        view = memoryview(data)
        for at in range(0, len(data), _PIECE):
            # It is added to bytes of asyncssh's own, so that a view does.
            piece: Any = view[at : at + _PIECE]
            super().data_received(piece, datatype)

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        """Leaves out what asyncssh puts before each packet: an IGNORE without content.

        It is of use where a cipher chains packets (CBC): a block that others have chosen would
        follow on one that they know. For all other ciphers it is half of what is sent.
        """
        if pkttype != MSG_IGNORE or "-cbc" in self.get_extra_info("send_cipher"):
            super().send_packet(pkttype, *args, handler=handler)


class Connection(asyncssh.SSHServer):
    """All methods but `abort` and `excess` are asyncssh's callbacks. source: its address."""

    def __init__(self, host: Host, source: str) -> None:
        self.source = source
        self._host = host
        self._connection: SshConnection | None = None
        self._transport: Any = None
        self._wrong = 0
        self._names = 0
        self._login: ServedLogin | None = None
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None

    def abort(self) -> None:
        """Cuts the connection, at once."""
        if self._connection:
            self._connection.abort()

    def connection_made(self, conn: SshConnection) -> None:  # type: ignore[override]
        private: Any = conn
        self._connection, self._transport = conn, private._transport
        self._transport.max_size = _READ_BEFORE_LOGIN
        set_keepalive(conn.get_extra_info("socket"))
        self._host.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection = self._transport = self._channel = None
        if self._login:
            self._login.left(self)
        self._host.forget(self)

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
        if self._wrong >= self._host.limits.wrong_logins_per_connection:
            # Tries that were sent without waiting for a reply: these are not checked.
            self.abort()
            return False
        login = self._host.login(username)
        if login is not None and login.has_password(password):
            if login.admits():
                self._login = login
            else:
                self._turned_away(login)
            return self._login is not None
        self._wrong += 1
        if login is not None:
            login.wrong_password()
        if self._wrong == 1:  # once for each connection
            self._host.refusals.add("wrong login", self.source)
        await asyncio.sleep(self._host.limits.wrong_login_delay * 2 ** (self._wrong - 1))
        if self._wrong >= self._host.limits.wrong_logins_per_connection:
            self.abort()
        return False

    def _turned_away(self, login: ServedLogin) -> None:
        """The login is right, and our limit keeps it out: that node is told, and no other."""
        reason = "its login has as many connections as it may have"
        self._host.refusals.add(f"refused because {reason}", self.source)
        login.turned_away(reason)

    def auth_completed(self) -> None:
        self._host.logged_in(self)
        # Since the password was checked the login may have been revoked, or have filled up; or more
        # may have come than is read.
        is_read = self._connection is not None and self._connection.before_login >= 0
        if not is_read or self._login is None or not self._login.entered(self):
            self.abort()
        elif self._transport is not None and self._connection is not None:
            self._transport.max_size = _READ
            self._connection.before_login = math.inf

    # What a login may ask for.

    def session_requested(self) -> Any:
        """asyncssh takes a channel and a session, or False."""
        if not (self._connection and self._login) or self._channel:
            return False
        session = self._host.session(self._login)
        if session is None:
            return False
        self._channel = self._connection.create_server_channel(
            encoding=None, window=_WINDOW, max_pktsize=_PACKET
        )
        return self._channel, session

    def excess(self) -> str | None:
        """Says why it is to be cut: what it makes asyncssh hold without a limit; or None."""
        if self._channel and len(self._channel.get_environment_bytes()) > 100:
            return "it sets environment variables without end"
        if self._connection and unread(self._connection) > LIMIT:
            return "it does not read its replies"
        return None
