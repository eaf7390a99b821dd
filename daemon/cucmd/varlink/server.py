"""A server: accepts connections and serves each in its own task, within the limits of its user.

The one rule: nothing that a peer does ends the server; only its own cancellation does.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence

import trio

from cucmd.varlink.connection import Authorize, Connection, ServerParts
from cucmd.varlink.framing import encode_reply
from cucmd.varlink.interface import Caller, Interface
from cucmd.varlink.peer import HangUps, caller_of
from cucmd.varlink.quota import Limits, OverLimit, Quota
from cucmd.varlink.service import MethodTable, ServiceInfo

log = logging.getLogger(__name__)

# Seconds that running calls have to end once the server is cancelled: enough for a watcher to read
# the last events, and a delay that nobody notices.
CLOSE_SECONDS = 0.25
# Seconds before the next try when the process has no descriptor left.
_RECOVERY = 0.1
# Connections that are accepted in one step of the loop: some milliseconds.
_MOST_ACCEPTED = 64
# Refused peers that may still read why: how many at once, and for how many seconds.
_MOST_REFUSED = 64
_REFUSED_SECONDS = 1.0


async def serve(
    listener: trio.SocketListener,
    interfaces: Sequence[Interface],
    info: ServiceInfo,
    limits: Limits,
    *,
    authorize: Authorize,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until cancelled. `authorize(caller, method)` raises `PermissionDenied`.

    Does not close the listener.
    """
    quota = Quota(limits, frozenset({0, os.geteuid()}))
    with HangUps() as hang_ups:
        server = _Server(ServerParts(MethodTable(interfaces, info), quota, authorize), hang_ups)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hang_ups.run)
            connections = await nursery.start(server.hold_connections)
            task_status.started()
            try:
                await server.accept(listener, connections)
            finally:
                server.ending.set()


class _Server:
    def __init__(self, parts: ServerParts, hang_ups: HangUps) -> None:
        self.ending = trio.Event()
        self._parts = parts
        self._hang_ups = hang_ups
        self._connections: set[Connection] = set()
        self._refused = 0

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
        as it can fills the kernel's queue with thousands, and others wait behind them.
        """
        failing = False
        with socket.socket(fileno=os.dup(listener.socket.fileno())) as ours:
            ours.setblocking(False)
            while True:
                await trio.lowlevel.wait_readable(ours)
                try:
                    for _ in range(_MOST_ACCEPTED):
                        peer, _ = ours.accept()
                        failing = False
                        connection = trio.socket.from_stdlib_socket(peer)
                        nursery.start_soon(self._handle, trio.SocketStream(connection))
                except BlockingIOError:
                    pass  # that was the last one
                except OSError as error:  # no descriptor, no memory; or a peer that has left
                    if not failing:
                        log.error("cannot accept connections, and keep trying: %s", error)  # noqa: TRY400  no defect
                    failing = True
                    await trio.sleep(_RECOVERY)

    async def _handle(self, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                caller = caller_of(stream.socket)
            except OSError as error:
                log.warning("dropped a connection without credentials: %s", error)
                return
            try:
                await self._serve(stream, caller)
            except OverLimit as over:
                log.info(
                    "refused a connection of uid %d: %s", caller.uid, over, extra=caller.for_log
                )
                await self._refuse(stream, over)
            except Exception:
                log.exception("a defect in a connection")

    async def _serve(self, stream: trio.SocketStream, caller: Caller) -> None:
        connection = Connection(stream, caller, self._parts)
        descriptor = stream.socket.fileno()
        with (
            self._parts.quota.connection(caller.uid),
            self._hang_ups.watch(descriptor, connection.hang_up),
        ):
            self._connections.add(connection)
            try:
                await connection.run()
            finally:
                self._connections.remove(connection)

    async def _refuse(self, stream: trio.SocketStream, over: OverLimit) -> None:
        """Sends the reason, then waits for the peer to close: else the reason could be lost."""
        error = self._parts.methods.too_many(over)
        if error is None or self._refused >= _MOST_REFUSED:
            return
        self._refused += 1
        try:
            with trio.move_on_after(_REFUSED_SECONDS):
                await stream.send_all(encode_reply(error.parameters, error=error.name))
                await stream.send_eof()
                while await stream.receive_some():
                    pass
        except trio.BrokenResourceError:
            pass  # it has closed already
        finally:
            self._refused -= 1
