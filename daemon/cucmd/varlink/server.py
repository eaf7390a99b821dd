"""Accepts connections and serves each in its own task, within the limits of its user.

Nothing that a peer does ends the server. The kernel says who a peer is, and whether it has hung up.

A user at the limit of connections is sent an error, and nothing that it sends is read. Its sockets
stay open until it hangs up, or until there are many of them: if one were closed at once with bytes
unread, the kernel would reset the connection, and the client would not read the error.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack, suppress

import trio

from cucmd.varlink.connection import Authorize, ServerConnection, ServerParts
from cucmd.varlink.framing import encode_reply
from cucmd.varlink.interface import Caller, Interface
from cucmd.varlink.limits import COUNTED_SECONDS, OverLimit, Users
from cucmd.varlink.service import MethodTable, ServiceInfo

log = logging.getLogger(__name__)

# Seconds that running calls get to end after the server is cancelled. That is enough for a watcher
# to read the last events, and too short to be noticed.
CLOSE_SECONDS = 0.25
# Connections that are accepted in one step of the event loop, which takes some milliseconds.
_MOST_ACCEPTED = 64
# Seconds without accepting after a step in which connections were refused, or in which the process
# had no file descriptor left. Peers wait in the kernel's queue meanwhile, 0.2 s if it is full.
_PAUSE = 0.05
_MOST_REFUSED_KEPT = 16

_CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid
_GID = struct.Struct("I")
# From asm-generic/socket.h, on x86 and ARM, since Linux 4.13. Python does not have the name.
_SO_PEERGROUPS = 59
_LONGEST_OPTION = 1024  # bytes of a socket option that Python can read: 256 groups


async def serve(
    listener: trio.SocketListener,
    interface: Interface,
    info: ServiceInfo,
    users: Users,
    *,
    authorize: Authorize,
    may_operate: Callable[[Caller], bool] = lambda _: True,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until cancelled. Does not close the listener.

    users        counts and limits the connections
    authorize    `authorize(caller, method)` raises `PermissionDenied`
    may_operate  returns whether a user may send long frames and open many short connections
    """
    parts = ServerParts(MethodTable(interface, info), users, authorize, may_operate)
    with select.epoll() as hang_ups:
        server = _VarlinkServer(parts, hang_ups)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.wait_for_hang_ups)
            connections = await nursery.start(server.hold_connections)
            task_status.started()
            try:
                await server.accept(listener, connections)
            finally:
                server.ending.set()
                server.close_refused()


class _VarlinkServer:
    def __init__(self, parts: ServerParts, hang_ups: select.epoll) -> None:
        self.ending = trio.Event()
        self._parts = parts
        self._hang_ups = hang_ups  # has each peer once
        self._connections: dict[int, ServerConnection] = {}  # by descriptor
        # Also by descriptor, the oldest first. Kept open until the client has read the error.
        self._refused: dict[int, socket.socket] = {}

    async def hold_connections(
        self, task_status: trio.TaskStatus[trio.Nursery] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Holds the nursery of the connections, which ends CLOSE_SECONDS after the server."""
        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.shield = True
            task_status.started(nursery)
            await self.ending.wait()
            for connection in self._connections.values():
                connection.stop()
            nursery.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS

    async def accept(self, listener: trio.SocketListener, nursery: trio.Nursery) -> None:
        """Accepts connections, many in one step of the event loop. Otherwise a peer that connects
        and leaves as fast as it can would fill the kernel's queue, and others would have to wait.
        """
        failing = False
        with socket.socket(fileno=os.dup(listener.socket.fileno())) as ours:
            ours.setblocking(False)
            while True:
                await trio.lowlevel.wait_readable(ours)
                try:
                    pause = self._accept_some(ours, nursery)
                    failing = False
                except OSError as error:  # no descriptor, no memory, or a peer that has left
                    if not failing:
                        log.error("cannot accept connections, will keep trying: %s", error)  # noqa: TRY400  no defect
                    pause = failing = True
                if pause:
                    await trio.sleep(_PAUSE)

    def _accept_some(self, ours: socket.socket, nursery: trio.Nursery) -> bool:
        """Accepts waiting connections. Returns whether some were refused. Raises `OSError`."""
        refused = False
        for _ in range(_MOST_ACCEPTED):
            try:
                peer, _ = ours.accept()
            except BlockingIOError:
                break  # no further connection waits
            caller = peer_credentials(peer)
            place = ExitStack()
            try:
                place.enter_context(self._parts.users.hold(caller.uid, "connections"))
            except OverLimit as over:
                refused = True
                text = "refused a connection of uid %d: %s"
                log.warning(text, caller.uid, over, extra=caller.for_log)
                error = self._parts.methods.too_many(over)
                peer.setblocking(False)
                with suppress(OSError):  # the peer may have left already
                    peer.send(encode_reply(error.parameters, error=error.name))
                    peer.shutdown(socket.SHUT_WR)
                self._refused[peer.fileno()] = peer
                self._hang_ups.register(peer, select.EPOLLONESHOT)
                # Each costs a descriptor, which a user over the limit must not get any number of.
                if len(self._refused) > _MOST_REFUSED_KEPT:
                    self._close_refused(next(iter(self._refused)))
            else:
                stream = trio.SocketStream(trio.socket.from_stdlib_socket(peer))
                nursery.start_soon(self._handle, stream, caller, place)
        return refused

    def close_refused(self) -> None:
        """Closes the sockets of refused connections."""
        for descriptor in [*self._refused]:
            self._close_refused(descriptor)

    def _close_refused(self, descriptor: int) -> None:
        # Closing does not unregister the socket if another process has the socket too. A later
        # hang-up would then be taken for one of the connection that has this descriptor next.
        self._hang_ups.unregister(descriptor)
        self._refused.pop(descriptor).close()

    async def _handle(self, stream: trio.SocketStream, caller: Caller, place: ExitStack) -> None:
        opened_at = trio.current_time()
        connection = ServerConnection(stream, caller, self._parts)
        descriptor = stream.socket.fileno()
        with place:
            async with stream:
                self._connections[descriptor] = connection
                self._hang_ups.register(descriptor, select.EPOLLONESHOT)
                try:
                    await connection.run()
                except Exception:
                    log.exception("a defect in a connection")
                finally:
                    self._hang_ups.unregister(descriptor)  # as in `_close_refused`
                    del self._connections[descriptor]
            # The connection is closed, and its place stays taken for a moment: see limits.py.
            if not self._parts.may_operate(caller):
                await trio.sleep_until(opened_at + COUNTED_SECONDS)

    async def wait_for_hang_ups(self) -> None:
        """Ends streams and calls whose peer has closed its socket. Never returns.

        A read from the socket does not show that the peer has closed it: earlier bytes of the peer
        come first, and the end of the stream looks the same if the peer has only shut down its
        sending side and waits for replies. EPOLLHUP is set only after the peer has closed its
        socket, and need not be asked for.
        """
        while True:
            await trio.lowlevel.wait_readable(self._hang_ups)
            for descriptor, _ in self._hang_ups.poll(0):
                if descriptor in self._refused:
                    self._close_refused(descriptor)
                else:
                    self._connections[descriptor].hang_up()


def peer_credentials(peer: socket.socket) -> Caller:
    """Returns the credentials of the peer, from the kernel. Raises `OSError` for a socket that is
    not a connected Unix socket.
    """
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(credentials)
    try:
        packed = peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _LONGEST_OPTION)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        # A user of a directory service can have more groups than Python can read.
        most = _LONGEST_OPTION // _GID.size
        text = "uid %d is in more than %d groups; only its primary group counts"
        log.warning(text, uid, most, extra={"uid": uid})
        packed = b""
    groups = frozenset(group for (group,) in _GID.iter_unpack(packed))
    return Caller(uid, gid, groups, pid)
