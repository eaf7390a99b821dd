"""Opens the socket to a node and the SSH connection on it, and ends both.

Every socket has one owner from the moment it is connected, and the owner waits until it is closed.

From connect to close:

    connect()             in trio. The caller owns the socket from here on, through a Link.
    Link.authenticate()   in asyncio: key exchange and authentication. asyncssh calls the ConnectionCallbacks
      or open_shell()     back: `connection_made`, the host key, the password.
    Link.write()          in trio. Output comes through the Inbox.
    Link.disconnect()     sends SSH's disconnect message and closes; or
    Link.abort()          closes at once.
    Link.wait_closed()    in trio, also if cancelled: returns when the socket is closed.

A cancel from trio may end `authenticate` or `open_shell` at any await. They clean up nothing. Their
caller does, always: `abort` (or `disconnect`), then `wait_closed`. This side ends a connection by
itself if the opener refuses it (a changed host key), or if the peer reads nothing, or sends packets
without end in which there is nothing. `end_reason` is then the reason, and takes precedence over any
error of asyncssh.

One private name of asyncssh is needed, `_transport`: `abort` drops that reference before asyncio
has closed it. Tests of the shell fail if it changes. It can go once asyncssh waits for the close.
So is `max_size` of asyncio's transport, which is not documented: it can go once one may say how
much is read at once.
`authenticate` makes the connection as `asyncssh.connect` does, by a constructor that is not
documented. It can be a call once asyncssh takes client_options that are made already.
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
# limit of 120 s and long before a command's 600 s. It is sshd that replies, so a command that
# prints nothing for minutes (vos/NODES.md, section 5.4) is not taken for a dead node.
# asyncssh is told to ask only while the node is silent: else it would make a timer for every read.
KEEPALIVE_SECONDS = 15
_KEEPALIVE_COUNT = 3

# Bytes that are read at once. asyncio reads 256 KiB: that may be 16,000 empty packets, which keep
# all others waiting for half a second.
_READ_BYTES = 1024

# Bytes that may come beside what a shell prints: a login takes some KB, and what waits in asyncssh
# is a window at most. And for each byte that is printed: a node may echo it in a packet of its own,
# which has some 80. And for each second: keepalives, ours answered and its own, and new keys every
# hour are 20 at most; but a command may print nothing for as many hours as its timeout has.
OVERHEAD = 256 * 1024
OVERHEAD_PER_BYTE = 200
OVERHEAD_PER_SECOND = 50

# vos/NODES.md, section 1: a PTY always.
_TERMINAL = "vt100"
_ROWS = 24

# After abort() a socket is closed by the third `run_callbacks`. On a busy loop these calls may take
# a second. The peer has no influence on it.
_CLOSE_TURNS = 8
_LAST_WAIT_SECONDS = 1


class ConnectionCallbacks(asyncssh.SSHClient):
    """Is called back by asyncssh while a connection is opened.

    connection: None before there is one; until then the link closes the socket itself.
    end_reason: why this side ended the connection; None: it did not.
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
        """Says how far the connection received_bytes, to explain a failure."""
        connection = self.connection
        return Progress(
            version_received=bool(connection and connection.get_extra_info("server_version")),
            hash_prefix=connection.get_hash_prefix() if connection else b"",
            legacy=self._legacy,
        )


class _ClientConnection(asyncssh.SSHClientConnection):
    """has_received: something received_bytes; whoever looks sets it back. received_bytes: bytes, as they are on the wire, less
    those that may come in each second.

    `check_overhead` is called if these are more than `allowed_bytes`, which it may raise.
    """

    has_received = False
    received_bytes = 0
    allowed_bytes = OVERHEAD
    check_overhead: Callable[[], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        selected: Any = transport
        selected.max_size = _READ_BYTES
        super().connection_made(transport)

    def data_received(self, data: bytes, datatype: asyncssh.DataType = None) -> None:
        self.has_received = True
        self.received_bytes += len(data)
        if self.received_bytes > self.allowed_bytes:
            self.check_overhead()
        super().data_received(data, datatype)


async def connect(host: str, port: int) -> socket.socket:
    """Connects a socket. No await follows the connect, because a cancel there would leak it.

    Raises NodeFailed.
    """
    try:
        stream = await trio.open_tcp_stream(host, port)
    except (OSError, UnicodeError) as error:
        raise unreachable(host, port, error) from error
    return socket.socket(fileno=stream.socket.detach())


@functools.lru_cache(maxsize=64)
def client_options(
    algorithms: Algorithms, host_keys: tuple[str, ...]
) -> asyncssh.SSHClientConnectionOptions:
    """Returns what is the same for all connections with these algorithms. Made once.

    Every option is given that asyncssh would otherwise read from a home directory or set by itself.
    """
    settings: dict[str, Any] = {
        **algorithms.options(),
        "server_host_key_algs": list(host_keys),
        # No key is trusted and none revoked, so that asyncssh asks our ConnectionCallbacks about every key. None
        # would trust all keys, and an empty value would read ~/.ssh/known_hosts.
        "known_hosts": ([], [], [], [], [], [], []),
        "config": None,
        "client_keys": None,
        "agent_path": None,
        "gss_host": None,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "public_key_auth": False,
        "host_based_auth": False,
        # Why in this order: see login.py. A public key costs one of the few attempts that a node
        # allows (vos/NODES.md, section 1).
        "preferred_auth": ["keyboard-interactive", "password"],
        # The caller's scopes are the deadlines.
        "connect_timeout": None,
        "login_timeout": 0,
        "keepalive_interval": 0,
        "keepalive_count_max": _KEEPALIVE_COUNT,
        # A disconnect message in Latin-1 must not be lost.
        "utf8_decode_errors": "replace",
    }
    return asyncssh.SSHClientConnectionOptions(username="", **settings)


class _OpenLinks:
    """Holds those from `authenticate` to `wait_closed`, looked at once a second by one timer.

    A timer for each was a turn of both loops for each node and second.
    """

    def __init__(self) -> None:
        self._links: dict[Link, None] = {}
        self._next: asyncio.TimerHandle | None = None

    def add(self, link: Link) -> None:
        """Is to be called in asyncio."""
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
        self._schedule(loop)  # a defect of one must not end the looks at the others
        for link in tuple(self._links):
            link.check()


_OPEN_LINKS: trio.lowlevel.RunVar[_OpenLinks] = trio.lowlevel.RunVar("links")


def _links() -> _OpenLinks:
    """Returns those of this run of trio."""
    try:
        return _OPEN_LINKS.get()
    except LookupError:
        _OPEN_LINKS.set(_OpenLinks())
        return _OPEN_LINKS.get()


class Link:
    """Has the socket, and the SSH connection on it once there is one; owned by exactly one caller.

    `authenticate` and `open_shell` run in asyncio, and clean up nothing: `wait_closed` does. From
    `authenticate` on, the connection to a node that reads nothing is aborted.
    """

    def __init__(self, sock: socket.socket, opener: ConnectionCallbacks) -> None:
        # A node that was named by an IPv4 address within IPv6 is told the IPv4 address.
        self.local_address: str = sock.getsockname()[0].removeprefix("::ffff:")
        try:
            self.peer_address: str = str(sock.getpeername()[0])
        except OSError:
            self.peer_address = ""  # the node has reset the connection already
        self._socket = sock
        self._opener = opener
        self._connection: _ClientConnection | None = None
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._inbox: Inbox | None = None
        self._where = ""
        self._authenticated = False
        self._keepalive_on = False  # for a sign of life

    @property
    def end_reason(self) -> Exception | None:
        """Says why this side ended the connection; None: it did not."""
        return self._opener.end_reason

    async def authenticate(
        self, host: str, port: int, settings: asyncssh.SSHClientConnectionOptions
    ) -> asyncssh.SSHClientConnection:
        """Exchanges keys and authenticates, unless the opener ends it.

        As `asyncssh.connect` does it, which would make the client_options again, in a thread, for each
        connection.
        """
        self._where = address(host, port)
        _links().add(self)
        loop = asyncio.get_running_loop()
        mine: Any = copy.copy(settings)
        mine.host, mine.port, mine.username = host, port, self._opener.username
        mine.protocol_factory = lambda: self._opener
        mine.waiter = loop.create_future()
        connection = self._connection = _ClientConnection(loop, mine, wait="auth")
        connection.check_overhead = self._check_overhead
        try:
            await loop.create_connection(lambda: connection, sock=self._socket)
            connection.set_extra_info(host=host, port=port)
            await mine.waiter
        finally:
            mine.waiter.cancel()  # else asyncio reports an error that nobody waits for
        if self.end_reason is not None:  # asyncssh raises no error after our abort()
            raise self.end_reason
        self._authenticated = True
        return connection

    def check(self) -> None:
        """Once a second: aborts if the node reads nothing, and has a silent one asked for a sign of
        life. asyncssh ends the connection if the last `_KEEPALIVE_COUNT` were not answered.
        """
        connection = self._connection
        if connection is None or self._opener.connection is None or self.end_reason is not None:
            return
        connection.received_bytes = max(0, connection.received_bytes - OVERHEAD_PER_SECOND)
        if count_unread(connection) > MAX_UNREAD:
            self._abort_with(connection, "requests without end and reads no reply")
            return
        if self._authenticated and self._keepalive_on == connection.has_received:
            self._keepalive_on = not connection.has_received
            connection.set_keepalive(KEEPALIVE_SECONDS if self._keepalive_on else 0)
        connection.has_received = False

    def _check_overhead(self) -> None:
        connection = self._connection
        assert connection is not None
        printed = self._inbox.received_bytes if self._inbox else 0
        connection.allowed_bytes = OVERHEAD + OVERHEAD_PER_BYTE * printed
        if connection.received_bytes > connection.allowed_bytes and self.end_reason is None:
            self._abort_with(connection, "packets without end in which there is nothing")

    def _abort_with(self, connection: _ClientConnection, what: str) -> None:
        self._opener.end_reason = fail(Code.CONNECTION_LOST, f"{self._where} sends {what}")
        connection.abort()

    async def open_shell(
        self,
        host: str,
        port: int,
        settings: asyncssh.SSHClientConnectionOptions,
        inbox: Inbox,
        columns: int,
    ) -> None:
        """Does what `authenticate` does, then opens a PTY and a shell."""
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
        """Says whether something has come, the end perhaps, that asyncio has not read yet."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:  # it is lost, or closed
            return True
        return True

    def write(self, data: bytes) -> None:
        """Raises BrokenPipeError if the session has ended."""
        if self._channel is None:
            raise BrokenPipeError
        self._channel.write(data)

    def end_session(self) -> None:
        """Sends EOF and closes our side of the session. Waits for nothing."""
        if self._channel is not None:
            self._channel.write_eof()
            self._channel.close()

    def disconnect(self) -> None:
        """Sends the disconnect message and closes. asyncssh does not wait until it has arrived."""
        connection = self._opener.connection
        if connection is not None and not connection.is_closed():
            connection.disconnect(asyncssh.DISC_BY_APPLICATION, "closed by cucmd")

    def abort(self) -> None:
        if self._opener.connection is not None:
            self._opener.connection.abort()

    async def wait_closed(self) -> None:
        """Returns when the socket is closed. Follows `disconnect` or `abort`; not cancellable."""
        _links().remove(self)
        with trio.move_on_after(_LAST_WAIT_SECONDS, shield=True):
            for _ in range(_CLOSE_TURNS):
                if self._socket.fileno() == -1:
                    break
                await run_callbacks()
        # Still open: asyncssh never began, or the asyncio loop is too busy. An abort takes the
        # transport's reader and writer out of the loop at once. Otherwise they would stay
        # registered for the next socket that gets the same descriptor number.
        if self._opener.transport is not None:
            self._opener.transport.abort()
        self._socket.close()
