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
from collections.abc import Callable
from typing import Any

import asyncssh
from asyncssh.constants import MSG_IGNORE

from cucmd.receiver.daemon_client import DaemonClient
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.messages import Admitted, WrongLogin
from cucmd.receiver.sftp_requests import RequestHandler
from cucmd.receiver.sftp_session import SftpSession
from cucmd.ssh.unread_bytes import MAX_UNREAD, count_unread

# The window is what a client may have under way, and what asyncssh may have to hold; the packet is
# what it sends at once. Measured, OpenSSH's sftp on loopback: packets of 32 KiB 262
# MB/s, of 128 KiB 310; larger ones are no quicker.
_WINDOW = 2 * 1024 * 1024
_PACKET = 128 * 1024

# Bytes of one that has not logged in. A login is one key exchange and some 10 packets, 3 KB in all;
# three wrong passwords in both methods are 12 packets more.
_BEFORE_LOGIN = 64 * 1024

# Bytes that are read at once. A client that has not logged in has nothing large to say.
_READ_BEFORE_LOGIN = 8 * 1024
# Less than what malloc keeps apart, 128 KiB: with 256 a process that a node sends 10 MB/s to has
# 1.2 MB more, and takes as much of the processor.
_READ = 120 * 1024
# A packet of OpenSSH's with 32 KiB of payload, and its overhead.
_PIECE = 34 * 1024

# The kernel notices a peer without network after 30 s * (1 + 3); the node's run usually ends before
# that. asyncssh's own keepalive costs a timer for each piece that arrives.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 30, "TCP_KEEPCNT": 3}


class SshConnection(asyncssh.SSHServerConnection):
    """Hands asyncssh little at a time, and before the login no more than a login needs.

    Of what it has not used yet it makes two copies for each SSH packet: with the 256 KiB that
    asyncio reads at once, a third of all the time would go into that.
    """

    login_bytes_left: float = _BEFORE_LOGIN  # bytes that are left

    def data_received(self, data: bytes, datatype: asyncssh.DataType = None) -> None:
        self.login_bytes_left -= len(data)
        if self.login_bytes_left < 0:
            # Cutting the connection would only make the client reconnect, with 64 KiB more. So it
            # is read no more, until its login timeout.
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
    """Serves the connection. All methods but `abort` and `reason_to_cut` are asyncssh's callbacks.

    ended: is called once the connection has ended.
    """

    def __init__(
        self,
        daemon: DaemonClient,
        limits: ReceiverLimits,
        space: FreeSpace,
        ended: Callable[[], None],
    ) -> None:
        self._daemon = daemon
        self._limits = limits
        self._space = space
        self._ended = ended
        self._connection: SshConnection | None = None
        self._transport: Any = None
        self._wrong = 0
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None

    def abort(self) -> None:
        if self._connection:
            self._connection.abort()

    def connection_made(self, conn: SshConnection) -> None:  # type: ignore[override]
        private: Any = conn
        self._connection, self._transport = conn, private._transport
        self._transport.max_size = _READ_BEFORE_LOGIN
        for option, value in _KEEPALIVE.items():
            peer = conn.get_extra_info("socket")
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection = self._transport = self._channel = None
        self._ended()

    # Login.

    def password_auth_supported(self) -> bool:
        """Allows `keyboard-interactive` too: asyncssh asks for the password and checks it here."""
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        # Tries that were sent without waiting for a reply are not checked.
        if self._wrong < self._limits.wrong_logins_per_connection:
            answer = self._daemon.log_in(username, password)
            if not isinstance(answer, WrongLogin):
                return isinstance(answer, Admitted)
            self._wrong += 1
            await asyncio.sleep(self._limits.wrong_login_delay * 2 ** (self._wrong - 1))
        if self._wrong >= self._limits.wrong_logins_per_connection:
            self.abort()
        return False

    def auth_completed(self) -> None:
        if self._connection is None:
            return
        if self._connection.login_bytes_left < 0:  # more has come than is read
            self._connection.abort()
            return
        self._connection.login_bytes_left = math.inf
        self._transport.max_size = _READ

    # What a login may ask for.

    def session_requested(self) -> Any:
        """Returns a channel and a session for asyncssh, or False."""
        if not self._connection or self._channel:
            return False
        self._channel = self._connection.create_server_channel(
            encoding=None, window=_WINDOW, max_pktsize=_PACKET
        )
        handler = RequestHandler(self._daemon, self._space, self._limits)
        return self._channel, SftpSession(self._daemon, handler)

    def reason_to_cut(self) -> str | None:
        """Says why the connection is to be cut: what asyncssh holds for it without a limit."""
        if self._channel and len(self._channel.get_environment_bytes()) > 100:
            return "it sets environment variables without end"
        if self._connection and count_unread(self._connection) > MAX_UNREAD:
            return "it does not read its replies"
        return None
