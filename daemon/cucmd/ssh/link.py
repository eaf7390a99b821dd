"""Opens the socket to a node and the SSH connection on it, and ends both.

From connect to close:

    connect()             runs in trio. The caller makes a Link, which owns the socket from now on.
    Link.authenticate()   runs in asyncio: key exchange and authentication. asyncssh calls the
      or open_shell()     methods of ConnectionCallbacks when it has the connection, when it has the
                          node's host key, and when it needs the password.
    Link.write()          runs in trio. The node's output is received by the Inbox.
    Link.disconnect()     sends SSH's disconnect message and closes, or
    Link.abort()          closes at once.
    Link.wait_closed()    runs in trio, and returns when the socket is closed. A cancel does not
                          prevent it.

A cancel from trio may end `authenticate` and `open_shell` at any await, and they clean up nothing.
Their caller always calls `abort` (or `disconnect`) and then `wait_closed`.

We end a connection ourselves in three cases: a callback refuses it (a changed host key), the peer
reads nothing of what we send, or the peer sends packets without end that have no content.
`end_reason` then has the reason, and takes precedence over any error of asyncssh.

This file uses three things that are not documented. Tests of the shell fail if they change:

- asyncssh's private name `_transport`, because `abort` drops asyncssh's reference before asyncio
  has closed the transport.
- `max_size` of asyncio's transport, because nothing else limits how much is read at a time.
- the constructor of the connection, which `authenticate` calls as `asyncssh.connect` does, because
  that function does not take prepared options.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import socket
from collections.abc import Callable
from typing import Any

import asyncssh
import trio

from cucmd.failure import Code, fail
from cucmd.node_name import address
from cucmd.ssh.algorithms import Algorithms
from cucmd.ssh.bridge import run_callbacks
from cucmd.ssh.causes import Progress, unreachable
from cucmd.ssh.inbox import WINDOW, Inbox
from cucmd.ssh.unread_bytes import CHECK_SECONDS, MAX_UNREAD, count_unread

# A frozen or unplugged node is noticed after 15 s * (3 + 1) of silence, before the default stall
# limit of 120 s. The node's sshd answers keepalives, so a command that prints nothing for minutes
# (vos/NODES.md, section 5.4) is not taken for a dead node. We turn asyncssh's keepalives on only
# while the node is silent, because asyncssh would otherwise make a timer for every read.
KEEPALIVE_SECONDS = 15
_KEEPALIVE_COUNT = 3

# Bytes that are read at a time. asyncio's default of 256 KiB may be 16,000 empty packets, and all
# other nodes would wait for half a second until these are processed.
_READ_BYTES = 1024

# A node may send packets without content, such as SSH_MSG_IGNORE, as fast as it can, and that costs
# us processor time. So the bytes on the wire are compared with the bytes that the shell prints.
#
# OVERHEAD is allowed in any case. A login takes some KB, and asyncssh holds at most one window
# of output that the inbox has not counted yet.
OVERHEAD = 256 * 1024
# For each printed byte. A node may echo every byte in a packet of its own, of about 80 bytes.
OVERHEAD_PER_BYTE = 200
# For each second, because a command may print nothing for hours. Keepalives in both directions and
# new keys every hour take at most 20 bytes a second.
OVERHEAD_PER_SECOND = 50

# A node's command line always needs a PTY (vos/NODES.md, section 1).
_TERMINAL = "vt100"
_ROWS = 24

# How often `wait_closed` calls `run_callbacks`, and for how many seconds at most. After `abort` the
# third call has closed the socket. On a busy loop the calls may take a second.
_CLOSE_TURNS = 8
_LAST_WAIT_SECONDS = 1


class ConnectionCallbacks(asyncssh.SSHClient):
    """Provides the methods that asyncssh calls while it opens a connection.

    connection: None until asyncssh has taken over the socket.
    end_reason: the exception because of which we ended the connection, or None if we did not.
    """

    def __init__(self, username: str, *, legacy: bool) -> None:
        self.connection: asyncssh.SSHClientConnection | None = None
        self.transport: asyncio.Transport | None = None
        self.end_reason: Exception | None = None
        self.username = username
        self._legacy = legacy

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connection = conn
        private: Any = conn
        self.transport = private._transport

    def progress(self) -> Progress:
        """Returns how far the connection came, to explain a failure."""
        connection = self.connection
        return Progress(
            version_received=bool(connection and connection.get_extra_info("server_version")),
            hash_prefix=connection.get_hash_prefix() if connection else b"",
            legacy=self._legacy,
        )


class _ClientConnection(asyncssh.SSHClientConnection):
    """Counts the bytes from the node, and limits how many are read at a time.

    heard_since_check: whether bytes came since the last `Link.check`.
    counted_bytes: received bytes as they are on the wire, less OVERHEAD_PER_SECOND for each second.
    allowed_bytes: the limit for `counted_bytes`, above which `check_overhead` is called. That
        function may raise the limit.
    """

    heard_since_check = False
    counted_bytes = 0
    allowed_bytes = OVERHEAD
    check_overhead: Callable[[], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        selected: Any = transport
        selected.max_size = _READ_BYTES
        super().connection_made(transport)

    def data_received(self, data: bytes, datatype: asyncssh.DataType = None) -> None:
        self.heard_since_check = True
        self.counted_bytes += len(data)
        if self.counted_bytes > self.allowed_bytes:
            self.check_overhead()
        super().data_received(data, datatype)


async def connect(host: str, port: int) -> socket.socket:
    """Returns a socket that is connected to the node. Raises NodeFailed.

    No await follows the connect, because a cancel there would leak the socket.
    """
    try:
        stream = await trio.open_tcp_stream(host, port)
    except (OSError, UnicodeError) as error:
        raise unreachable(host, port, error) from error
    return socket.socket(fileno=stream.socket.detach())


# asyncssh would make the options for each connection anew, in a thread, and look up the local user
# each time. There are few different ones: with and without legacy algorithms, for each set of known
# types of host keys.
@functools.lru_cache(maxsize=64)
def client_options(
    algorithms: Algorithms, host_keys: tuple[str, ...]
) -> asyncssh.SSHClientConnectionOptions:
    """Returns the options for connections with these algorithms.

    Every option is set that asyncssh would otherwise read from a home directory or choose itself.
    """
    settings: dict[str, Any] = {
        **algorithms.options(),
        "server_host_key_algs": list(host_keys),
        # With empty lists asyncssh asks ConnectionCallbacks about every key. With None it would
        # trust all keys, and with an empty value it would read ~/.ssh/known_hosts.
        "known_hosts": ([], [], [], [], [], [], []),
        "config": None,
        "client_keys": None,
        "agent_path": None,
        "gss_host": None,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "public_key_auth": False,
        "host_based_auth": False,
        # node_login.py explains this order. Public keys are not tried, because each costs one of
        # the few attempts that a node allows (vos/NODES.md, section 1).
        "preferred_auth": ["keyboard-interactive", "password"],
        # The deadlines are cancel scopes of the caller.
        "connect_timeout": None,
        "login_timeout": 0,
        "keepalive_interval": 0,
        "keepalive_count_max": _KEEPALIVE_COUNT,
        # Without this a disconnect message in Latin-1 would be lost.
        "utf8_decode_errors": "replace",
    }
    return asyncssh.SSHClientConnectionOptions(username="", **settings)


class _OpenLinks:
    """Checks every link once a second, from its `authenticate` to its `wait_closed`.

    One timer serves all links. A timer for each link would wake both loops once a second for each
    node.
    """

    def __init__(self) -> None:
        self._links: dict[Link, None] = {}
        self._next: asyncio.TimerHandle | None = None

    def add(self, link: Link) -> None:
        """Adds a link. Must be called in asyncio, where the timer runs."""
        self._links[link] = None
        if self._next is None:
            self._schedule(asyncio.get_running_loop())

    def remove(self, link: Link) -> None:
        self._links.pop(link, None)
        if not self._links and self._next is not None:
            self._next.cancel()
            self._next = None

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._next = loop.call_later(CHECK_SECONDS, self._check_all, loop)

    def _check_all(self, loop: asyncio.AbstractEventLoop) -> None:
        # Schedule first, so that an exception in one check does not end all later checks.
        self._schedule(loop)
        for link in tuple(self._links):
            link.check()


_OPEN_LINKS: trio.lowlevel.RunVar[_OpenLinks] = trio.lowlevel.RunVar("links")


def _links() -> _OpenLinks:
    """Returns the open links of this run of trio."""
    try:
        return _OPEN_LINKS.get()
    except LookupError:
        _OPEN_LINKS.set(_OpenLinks())
        return _OPEN_LINKS.get()


class Link:
    """Owns a socket, and the SSH connection on it once there is one."""

    def __init__(self, sock: socket.socket, callbacks: ConnectionCallbacks) -> None:
        # On a connection to ::ffff:192.0.2.9, tell the node our plain IPv4 address.
        self.local_address: str = sock.getsockname()[0].removeprefix("::ffff:")
        try:
            self.peer_address: str = str(sock.getpeername()[0])
        except OSError:
            self.peer_address = ""  # the node has reset the connection already
        self._socket = sock
        self._callbacks = callbacks
        self._connection: _ClientConnection | None = None
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._inbox: Inbox | None = None
        self._where = ""
        self._authenticated = False
        self._keepalive_on = False

    @property
    def end_reason(self) -> Exception | None:
        """Returns why we ended the connection, or None if we did not."""
        return self._callbacks.end_reason

    async def authenticate(
        self, host: str, port: int, settings: asyncssh.SSHClientConnectionOptions
    ) -> asyncssh.SSHClientConnection:
        """Exchanges keys and authenticates. Raises the exceptions of asyncssh and the callbacks.

        Does the same as `asyncssh.connect`, which would prepare the options again for each
        connection, in a thread.
        """
        self._where = address(host, port)
        _links().add(self)
        loop = asyncio.get_running_loop()
        mine: Any = copy.copy(settings)  # all connections share `settings`
        mine.host, mine.port, mine.username = host, port, self._callbacks.username
        mine.protocol_factory = lambda: self._callbacks
        mine.waiter = loop.create_future()
        connection = self._connection = _ClientConnection(loop, mine, wait="auth")
        connection.check_overhead = self._check_overhead
        try:
            await loop.create_connection(lambda: connection, sock=self._socket)
            connection.set_extra_info(host=host, port=port)
            await mine.waiter
        finally:
            mine.waiter.cancel()  # otherwise asyncio may report an exception that nobody retrieved
        if self.end_reason is not None:  # asyncssh raises no error after our abort()
            raise self.end_reason
        self._authenticated = True
        return connection

    def check(self) -> None:
        """Checks the connection; called once a second.

        Aborts the connection if the node does not read what we send. Turns keepalives on if the
        node was silent since the last check, and off if it was not. asyncssh ends the connection if
        the node has answered none of the last `_KEEPALIVE_COUNT` keepalives.
        """
        connection = self._connection
        if connection is None or self._callbacks.connection is None or self.end_reason is not None:
            return
        # Not below 0: a node that was silent for hours must not be allowed a flood for it.
        connection.counted_bytes = max(0, connection.counted_bytes - OVERHEAD_PER_SECOND)
        if count_unread(connection) > MAX_UNREAD:
            self._abort_with(connection, "requests without end and reads no reply")
            return
        if self._authenticated and self._keepalive_on == connection.heard_since_check:
            self._keepalive_on = not connection.heard_since_check
            connection.set_keepalive(KEEPALIVE_SECONDS if self._keepalive_on else 0)
        connection.heard_since_check = False

    def _check_overhead(self) -> None:
        """Sets the limit from the number of bytes that the shell has printed.

        Aborts the connection if its counted bytes still exceed the limit.
        """
        connection = self._connection
        assert connection is not None
        printed = self._inbox.received_bytes if self._inbox else 0
        connection.allowed_bytes = OVERHEAD + OVERHEAD_PER_BYTE * printed
        if connection.counted_bytes > connection.allowed_bytes and self.end_reason is None:
            self._abort_with(connection, "packets without end that have no content")

    def _abort_with(self, connection: _ClientConnection, what: str) -> None:
        self._callbacks.end_reason = fail(Code.CONNECTION_LOST, f"{self._where} sends {what}")
        connection.abort()

    async def open_shell(
        self,
        host: str,
        port: int,
        settings: asyncssh.SSHClientConnectionOptions,
        inbox: Inbox,
        columns: int,
    ) -> None:
        """Calls `authenticate`, and then opens a PTY and a shell."""
        self._inbox = inbox
        connection = await self.authenticate(host, port, settings)
        self._channel, _ = await connection.create_session(
            lambda: inbox,
            request_pty="force",
            term_type=_TERMINAL,
            term_size=(columns, _ROWS),
            encoding=None,
            window=WINDOW,
        )

    @property
    def has_come(self) -> bool:
        """Returns whether the socket has bytes or an end that asyncio has not read yet."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:  # the connection is lost or closed
            return True
        return True

    def write(self, data: bytes) -> None:
        """Sends bytes to the shell. Raises BrokenPipeError if the session has ended."""
        if self._channel is None:
            raise BrokenPipeError
        self._channel.write(data)

    def end_session(self) -> None:
        """Sends EOF and closes our side of the session, without waiting for the node."""
        if self._channel is not None:
            self._channel.write_eof()
            self._channel.close()

    def disconnect(self) -> None:
        """Sends the disconnect message and closes, without waiting for its arrival."""
        connection = self._callbacks.connection
        if connection is not None and not connection.is_closed():
            connection.disconnect(asyncssh.DISC_BY_APPLICATION, "closed by cucmd")

    def abort(self) -> None:
        if self._callbacks.connection is not None:
            self._callbacks.connection.abort()

    async def wait_closed(self) -> None:
        """Returns when the socket is closed, even if cancelled. Follows `disconnect` or `abort`."""
        _links().remove(self)
        with trio.move_on_after(_LAST_WAIT_SECONDS, shield=True):
            for _ in range(_CLOSE_TURNS):
                if self._socket.fileno() == -1:
                    break
                await run_callbacks()
        # The socket may still be open, because asyncssh never took it over or the asyncio loop is
        # too busy. `abort` removes the transport's callbacks from the loop at once. They would
        # otherwise be called for the next socket with the same descriptor number.
        if self._callbacks.transport is not None:
            self._callbacks.transport.abort()
        self._socket.close()
