"""Serves one SSH connection to the receiver: its login, and the one SFTP session that it may open.

A right login may open one SFTP session in one folder. Every other request of SSH (a command, a
shell, a PTY, forwarding of any kind) is refused by asyncssh's defaults and by the options in
receiving.py.

This module uses asyncssh's private name `_transport`, and `max_size` of asyncio's transport, which
is not documented. asyncssh has no other way to limit how much is read at a time.
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

# Bytes. A client may send a window before it has to wait for us, and asyncssh may have to keep that
# much in memory. A client sends at most a packet at a time. Measured with OpenSSH's sftp on
# loopback: 262 MB/s with packets of 32 KiB, 310 MB/s with 128 KiB; larger ones are no quicker.
_WINDOW = 2 * 1024 * 1024
_PACKET = 128 * 1024

# The most bytes that are read before the login. A login takes one key exchange and about 10
# packets, 3 KB in all. Three wrong passwords by both methods take 12 packets more.
_BEFORE_LOGIN = 64 * 1024

# Bytes that are read at a time before the login, and after it. asyncio reads 256 KiB by default.
# malloc maps blocks of 128 KiB and more separately: with 256 KiB a process that receives 10 MB/s
# takes 1.2 MB more memory, and no less processor time.
_READ_BEFORE_LOGIN = 8 * 1024
_READ = 120 * 1024
# Bytes that asyncssh gets at a time: a packet of OpenSSH with 32 KiB of payload and its overhead.
_PIECE = 34 * 1024

# The kernel notices a peer without network after 30 s * (1 + 3). The node's run usually ends before
# that. asyncssh's own keepalives would cost a timer for each piece of data that arrives.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 30, "TCP_KEEPCNT": 3}


class SshConnection(asyncssh.SSHServerConnection):
    """Passes data to asyncssh in small pieces, and before the login no more than a login needs.

    For each SSH packet, asyncssh copies all data twice that it has not used yet. With the 256 KiB
    that asyncio reads by default, a third of the processor time would go into these copies.
    """

    login_bytes_left: float = _BEFORE_LOGIN  # bytes that may still come before the login

    def data_received(self, data: bytes, datatype: asyncssh.DataType = None) -> None:
        self.login_bytes_left -= len(data)
        if self.login_bytes_left < 0:
            # Cutting the connection would only make the client reconnect and send 64 KiB again. So
            # stop reading instead. The login timeout ends the connection.
            private: Any = self
            if private._transport is not None:  # None if the connection is being cut
                private._transport.pause_reading()
            return
        if len(data) <= _PIECE:
            super().data_received(data, datatype)
            return
        view = memoryview(data)
        for at in range(0, len(data), _PIECE):
            # asyncssh declares bytes here. A view works too, because asyncssh only appends it.
            piece: Any = view[at : at + _PIECE]
            super().data_received(piece, datatype)

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        """Sends a packet, without the empty IGNORE that asyncssh sends before each packet.

        The IGNORE protects ciphers that chain packets (CBC): an attacker could otherwise choose a
        block after having seen the block before it. For other ciphers it only doubles what is sent.
        """
        if pkttype != MSG_IGNORE or "-cbc" in self.get_extra_info("send_cipher"):
            super().send_packet(pkttype, *args, handler=handler)


class Connection(asyncssh.SSHServer):
    """Answers asyncssh's callbacks. `abort` and `reason_to_cut` are called by `receiving.py`.

    ended: called once the connection has ended.
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
        # asyncssh then also offers keyboard-interactive, and checks it with `validate_password`.
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        # A client may send many passwords without waiting for the replies. Do not check passwords
        # beyond the limit.
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
        # The answer to the last password may come after the limit of bytes was reached.
        if self._connection.login_bytes_left < 0:  # some data was dropped, so the stream is damaged
            self._connection.abort()
            return
        self._connection.login_bytes_left = math.inf
        self._transport.max_size = _READ

    # Requests after the login.

    def session_requested(self) -> Any:
        """Returns a channel and a session, or False to refuse a second session."""
        if not self._connection or self._channel:
            return False
        self._channel = self._connection.create_server_channel(
            encoding=None, window=_WINDOW, max_pktsize=_PACKET
        )
        handler = RequestHandler(self._daemon, self._space, self._limits)
        return self._channel, SftpSession(self._daemon, handler)

    def reason_to_cut(self) -> str | None:
        """Returns why the client makes asyncssh hold too much and must be cut, or None."""
        if self._channel and len(self._channel.get_environment_bytes()) > 100:
            return "it sets environment variables without end"
        if self._connection and count_unread(self._connection) > MAX_UNREAD:
            return "it does not read its replies"
        return None
