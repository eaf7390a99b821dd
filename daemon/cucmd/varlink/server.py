"""A server: connections accepted, each served in a task of its own, up to what each user may hold.

The one rule: nothing that a peer does ends it; only its own cancellation does.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

import trio

from cucmd.varlink.connection import Authorize, Connection, ServerParts
from cucmd.varlink.framing import encode_reply
from cucmd.varlink.interface import Interface
from cucmd.varlink.peer import HangUps, caller_of
from cucmd.varlink.quota import Limits, OverLimit, Quota
from cucmd.varlink.service import Offer, ServiceInfo

log = logging.getLogger(__name__)

# Seconds that calls have to end once the server is cancelled: enough for a watcher to read what
# happened last, too little for anybody to wait for.
FAREWELL = 0.25
# Seconds before the next try when the process has no descriptor left.
_RECOVERY = 0.1
# Peers that are turned away and may still read why: how many at once, and for how many seconds.
_MOST_LEAVING = 64
_LEAVE_WITHIN = 1.0


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

    The listener stays open; whoever opened it closes it.
    """
    quota = Quota(limits, frozenset({0, os.geteuid()}))
    with HangUps() as hang_ups:
        server = _Server(ServerParts(Offer(interfaces, info), quota, authorize), hang_ups)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hang_ups.run)
            connections = await nursery.start(server.keep)
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
        self._leaving = 0

    async def keep(
        self, task_status: trio.TaskStatus[trio.Nursery] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """The nursery of the connections. It outlasts a cancellation by the farewell."""
        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.shield = True
            task_status.started(nursery)
            await self.ending.wait()
            for connection in self._connections:
                connection.stop()
            nursery.cancel_scope.deadline = trio.current_time() + FAREWELL

    async def accept(self, listener: trio.SocketListener, nursery: trio.Nursery) -> None:
        failing = False
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:  # no descriptor, no memory; or a peer that has left again
                if not failing:
                    log.error("cannot accept connections, and keep trying: %s", error)  # noqa: TRY400  no defect
                failing = True
                await trio.sleep(_RECOVERY)
            else:
                failing = False
                nursery.start_soon(self._welcome, stream)

    async def _welcome(self, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                await self._serve(stream)
            except OverLimit as over:
                await self._turn_away(stream, over)
            except OSError as error:
                log.warning("dropped a connection, for the kernel does not say whose: %s", error)
            except Exception:
                log.exception("a defect in a connection")

    async def _serve(self, stream: trio.SocketStream) -> None:
        caller = caller_of(stream.socket)
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

    async def _turn_away(self, stream: trio.SocketStream, over: OverLimit) -> None:
        """Says why, and waits for the peer to leave: a close at once could lose what was said."""
        log.info("turned a connection away: %s", over)
        error = self._parts.offer.too_many(over)
        if error is None or self._leaving >= _MOST_LEAVING:
            return
        self._leaving += 1
        try:
            with trio.move_on_after(_LEAVE_WITHIN):
                await stream.send_all(encode_reply(error.parameters, error=error.name))
                await stream.send_eof()
                while await stream.receive_some():
                    pass
        except trio.BrokenResourceError:
            pass  # it has left
        finally:
            self._leaving -= 1
