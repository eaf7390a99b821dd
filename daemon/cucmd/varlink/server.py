"""Accepts connections and serves each in its own task, within the limits of its user.

Nothing that a peer does ends the server; only its own cancellation does. Of a peer is believed what
the kernel says: its credentials when it connected, and that it has hung up.
"""

from __future__ import annotations

import array
import ctypes
import errno
import logging
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from cucmd.varlink.connection import Authorize, ServerConnection, ServerParts
from cucmd.varlink.framing import encode_reply
from cucmd.varlink.interface import Caller, Interface
from cucmd.varlink.limits import CONNECTION, OverLimit, SocketLimits, Users
from cucmd.varlink.service import MethodTable, ServiceInfo

log = logging.getLogger(__name__)

# Seconds that running calls have to end once the server is cancelled: enough for a watcher to read
# the last events, and a delay that nobody notices.
CLOSE_SECONDS = 0.25
# Connections that are accepted in one step of the loop: some milliseconds.
_MOST_ACCEPTED = 64
# Seconds without accepting after a step in which some were closed at once, or in which the process
# had no descriptor left. Peers wait in the kernel's queue meanwhile: 0.2 s where it is full.
_PAUSE = 0.05
# Seconds in which a refused peer may read why.
_TOLD_SECONDS = 1.0

_CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid
_GID = struct.Struct("I")
# asm-generic/socket.h, since Linux 4.13: so on x86 and ARM. Python does not know the name yet.
_SO_PEERGROUPS = 59
_MOST_PYTHON_READS = 1024  # bytes of an option; 256 groups


async def serve(
    listener: trio.SocketListener,
    interface: Interface,
    info: ServiceInfo,
    limits: SocketLimits,
    *,
    authorize: Authorize,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until cancelled. `authorize(caller, method)` raises `PermissionDenied`.

    Does not close the listener.
    """
    users = Users(limits, frozenset({0, os.geteuid()}))
    with HangUps() as hang_ups:
        server = _VarlinkServer(
            ServerParts(MethodTable(interface, info), users, authorize), hang_ups
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hang_ups.run)
            connections = await nursery.start(server.hold_connections)
            task_status.started()
            try:
                await server.accept(listener, connections)
            finally:
                server.ending.set()


class _VarlinkServer:
    def __init__(self, parts: ServerParts, hang_ups: HangUps) -> None:
        self.ending = trio.Event()
        self._parts = parts
        self._users = parts.users
        self._hang_ups = hang_ups
        self._connections: set[ServerConnection] = set()

    async def hold_connections(
        self, task_status: trio.TaskStatus[trio.Nursery] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Holds the nursery of the connections, for CLOSE_SECONDS longer than the server lives."""
        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.shield = True
            task_status.started(nursery)
            await self.ending.wait()
            for connection in self._connections:
                connection.stop()
            nursery.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS

    async def accept(self, listener: trio.SocketListener, nursery: trio.Nursery) -> None:
        """Takes many connections in one step of the loop: a peer that connects and leaves as fast
        as it can fills the kernel's queue, and others wait behind it. Those of a user who has
        connected too often are closed at once.
        """
        failing = False
        with socket.socket(fileno=os.dup(listener.socket.fileno())) as ours:
            ours.setblocking(False)
            while True:
                await trio.lowlevel.wait_readable(ours)
                try:
                    rest = self._accept_some(ours, nursery)
                    failing = False
                except OSError as error:  # no descriptor, no memory; or a peer that has left
                    if not failing:
                        log.error("cannot accept connections, and keep trying: %s", error)  # noqa: TRY400  no defect
                    rest = failing = True
                if rest:
                    await trio.sleep(_PAUSE)

    def _accept_some(self, ours: socket.socket, nursery: trio.Nursery) -> bool:
        """Returns whether it has closed some at once. Raises `OSError`."""
        closed = False
        for _ in range(_MOST_ACCEPTED):
            try:
                peer, _ = ours.accept()
            except BlockingIOError:
                break  # that was the last one
            caller = caller_of(peer)
            if self._users.refuses(caller.uid):
                peer.close()
                closed = True
                _log_refused(caller, "it has used its share of the time")
            else:
                self._users.charge(caller.uid, CONNECTION)
                stream = trio.SocketStream(trio.socket.from_stdlib_socket(peer))
                nursery.start_soon(self._handle, stream, caller)
        return closed

    async def _handle(self, stream: trio.SocketStream, caller: Caller) -> None:
        connection = ServerConnection(stream, caller, self._parts)
        async with stream:
            try:
                await self._serve(stream, connection, caller)
            except OverLimit as over:
                _log_refused(caller, over)
                await self._refuse(stream, caller, over)
            except Exception:
                log.exception("a defect in a connection")

    async def _serve(
        self, stream: trio.SocketStream, connection: ServerConnection, caller: Caller
    ) -> None:
        descriptor = stream.socket.fileno()
        with (
            self._users.hold(caller.uid, "connections"),
            self._hang_ups.watch(descriptor, connection.hang_up),
        ):
            self._connections.add(connection)
            try:
                await connection.run()
            finally:
                self._connections.remove(connection)

    async def _refuse(self, stream: trio.SocketStream, caller: Caller, over: OverLimit) -> None:
        """Sends the reason, then waits for the peer to close: else the reason could be lost."""
        error = self._parts.methods.too_many(over)
        try:
            with self._users.hold(caller.uid, "refused"), trio.move_on_after(_TOLD_SECONDS):
                await stream.send_all(encode_reply(error.parameters, error=error.name))
                await stream.send_eof()
                while await stream.receive_some():
                    pass
        except (OverLimit, trio.BrokenResourceError):
            pass  # too many are being told, or it has closed already


def _log_refused(caller: Caller, reason: object) -> None:
    uid, extra = caller.uid, caller.for_log
    log.warning("refused a connection of uid %d: %s", uid, reason, extra=extra)


def caller_of(peer: socket.socket) -> Caller:
    """Raises `OSError` for a socket that is not a connected Unix one."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(credentials)
    return Caller(uid, gid, frozenset(_groups(peer)), pid)


def _groups(peer: socket.socket) -> Iterator[int]:
    try:
        packed = peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_PYTHON_READS)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        packed = _long_option(peer.fileno(), _SO_PEERGROUPS)
    return (group for (group,) in _GID.iter_unpack(packed))


def _long_option(descriptor: int, option: int) -> bytes:
    """Reads an option too long for Python: users of a directory service have hundreds of groups."""
    size = ctypes.c_uint32(65536 * _GID.size)  # NGROUPS_MAX
    value = array.array("B", bytes(size.value))
    address, _ = value.buffer_info()
    libc = ctypes.CDLL(None, use_errno=True)
    asked = (descriptor, socket.SOL_SOCKET, option, ctypes.c_void_p(address), ctypes.byref(size))
    if libc.getsockopt(*asked) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return value.tobytes()[: size.value]


class HangUps:
    """Notices when a peer closes its socket, whatever its connection is doing meanwhile.

    A read does not show it: what the peer sent before comes first, and its end looks the same
    for a peer that has only shut down its sending side and waits for replies. EPOLLHUP means the
    close alone. One epoll serves all connections: no task and no descriptor for each of them.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Callable[[], None]] = {}

    def __enter__(self) -> HangUps:
        return self

    def __exit__(self, *details: object) -> None:
        self._epoll.close()

    @contextmanager
    def watch(self, descriptor: int, on_hang_up: Callable[[], None]) -> Iterator[None]:
        """Calls `on_hang_up` once, if the peer hangs up while the body runs."""
        self._epoll.register(descriptor, 0)  # EPOLLHUP and EPOLLERR are always in
        self._watched[descriptor] = on_hang_up
        try:
            yield
        finally:
            self._forget(descriptor)

    async def run(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            for descriptor, _ in self._epoll.poll(0):
                on_hang_up = self._watched[descriptor]
                self._forget(descriptor)  # EPOLLHUP stays set, and would be reported for ever
                on_hang_up()

    def _forget(self, descriptor: int) -> None:
        if self._watched.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)
