"""Accepts connections and serves each in its own task, within the limits of its user.

Nothing that a peer does ends the server; only its own cancellation does. Of a peer is believed what
the kernel says: its credentials when it connected, and that it has hung up.

A user at its limit of connections is told so, and nothing that it sends is read. Some of these
sockets stay open for a moment, because a client that still sends would not read the reason.
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
from cucmd.varlink.limits import COUNTED_SECONDS, OverLimit, SocketLimits, Users
from cucmd.varlink.service import MethodTable, ServiceInfo

log = logging.getLogger(__name__)

# Seconds that running calls have to end once the server is cancelled: enough for a watcher to read
# the last events, and a delay that nobody notices.
CLOSE_SECONDS = 0.25
# Connections that are accepted in one step of the loop: some milliseconds.
_MOST_ACCEPTED = 64
# Seconds without accepting after a step in which some were refused, or in which the process had no
# descriptor left. Peers wait in the kernel's queue meanwhile: 0.2 s where it is full.
_PAUSE = 0.05
_MOST_TOLD = 16
# Seconds between two looks for peers that have hung up.
_LOOK_EVERY = 0.5

_CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid
_GID = struct.Struct("I")
# asm-generic/socket.h, since Linux 4.13: so on x86 and ARM. Python does not know the name yet.
_SO_PEERGROUPS = 59
_MOST_PYTHON_READS = 1024  # bytes of an option: 256 groups


async def serve(
    listener: trio.SocketListener,
    interface: Interface,
    info: ServiceInfo,
    limits: SocketLimits,
    *,
    authorize: Authorize,
    may_operate: Callable[[Caller], bool] = lambda _: True,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until cancelled. Does not close the listener.

    authorize: `authorize(caller, method)` raises `PermissionDenied`.
    may_operate: says whether a user is trusted with long frames and many short connections.
    """
    users = Users(limits)
    parts = ServerParts(MethodTable(interface, info), users, authorize, may_operate)
    server = _VarlinkServer(parts)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.look_for_hang_ups)
        connections = await nursery.start(server.hold_connections)
        task_status.started()
        try:
            await server.accept(listener, connections)
        finally:
            server.ending.set()
            server.forget_told()


class _VarlinkServer:
    def __init__(self, parts: ServerParts) -> None:
        self.ending = trio.Event()
        self._parts = parts
        self._connections: dict[int, ServerConnection] = {}  # by descriptor
        self._told: list[socket.socket] = []

    async def hold_connections(
        self, task_status: trio.TaskStatus[trio.Nursery] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Holds the nursery of the connections, for CLOSE_SECONDS longer than the server lives."""
        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.shield = True
            task_status.started(nursery)
            await self.ending.wait()
            for connection in self._connections.values():
                connection.stop()
            nursery.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS

    async def accept(self, listener: trio.SocketListener, nursery: trio.Nursery) -> None:
        """Takes many connections in one step of the loop: a peer that connects and leaves as fast
        as it can fills the kernel's queue, and others wait behind it.
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
        """Returns whether it has refused some. Raises `OSError`."""
        refused = False
        for _ in range(_MOST_ACCEPTED):
            try:
                peer, _ = ours.accept()
            except BlockingIOError:
                break  # that was the last one
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
                with suppress(OSError):  # it has left already
                    peer.send(encode_reply(error.parameters, error=error.name))
                    peer.shutdown(socket.SHUT_WR)
                self._told.append(peer)
                if len(self._told) > _MOST_TOLD:
                    self._told.pop(0).close()
            else:
                stream = trio.SocketStream(trio.socket.from_stdlib_socket(peer))
                nursery.start_soon(self._handle, stream, caller, place)
        return refused

    def forget_told(self) -> None:
        while self._told:
            self._told.pop().close()

    async def _handle(self, stream: trio.SocketStream, caller: Caller, place: ExitStack) -> None:
        opened_at = trio.current_time()
        connection = ServerConnection(stream, caller, self._parts)
        descriptor = stream.socket.fileno()
        with place:
            async with stream:
                self._connections[descriptor] = connection
                try:
                    await connection.run()
                except Exception:
                    log.exception("a defect in a connection")
                finally:
                    del self._connections[descriptor]
            if not self._parts.may_operate(caller):
                await trio.sleep_until(opened_at + COUNTED_SECONDS)

    async def look_for_hang_ups(self) -> None:
        """Ends streams and calls whose peer has closed its socket, whatever they wait for.

        A read does not show it: what the peer sent before comes first, and its end looks the same
        for a peer that has only shut down its sending side and waits for replies. POLLHUP means the
        close alone.
        """
        while True:
            await trio.sleep(_LOOK_EVERY)
            self.forget_told()
            poll = select.poll()
            for descriptor in self._connections:
                poll.register(descriptor, 0)  # POLLHUP and POLLERR are always in
            for descriptor, _ in poll.poll(0):
                self._connections[descriptor].hang_up()


def peer_credentials(peer: socket.socket) -> Caller:
    """Raises `OSError` for a socket that is not a connected Unix one."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(credentials)
    try:
        packed = peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_PYTHON_READS)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        # A user of a directory service has more than Python can read.
        most = _MOST_PYTHON_READS // _GID.size
        text = "uid %d has more than %d groups; only the primary one counts"
        log.warning(text, uid, most, extra={"uid": uid})
        packed = b""
    groups = frozenset(group for (group,) in _GID.iter_unpack(packed))
    return Caller(uid, gid, groups, pid)
