"""A server: accepts connections and serves each in its own task, within the limits of its user.

Nothing that a peer does ends the server; only its own cancellation does.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence

import trio

from cucmd.varlink.connection import Authorize, Connection, ServerParts
from cucmd.varlink.framing import encode_reply
from cucmd.varlink.interface import Interface
from cucmd.varlink.peer import HangUps, caller_of, uid_of
from cucmd.varlink.quota import Limits, OverLimit, Quota
from cucmd.varlink.refused import RefusedConnections
from cucmd.varlink.service import MethodTable, ServiceInfo
from cucmd.varlink.turns import Turns

log = logging.getLogger(__name__)

# Seconds that running calls have to end once the server is cancelled: enough for a watcher to read
# the last events, and a delay that nobody notices.
CLOSE_SECONDS = 0.25
# Seconds before the next try when the process has no descriptor left.
_RECOVERY = 0.1
# Connections that are accepted in one step of the loop: some milliseconds.
_MOST_ACCEPTED = 64
# Seconds after which a step ends in which peers were accepted and closed at once: to close one that
# has sent as much as the kernel takes is more work than to accept it.
_SLICE = 0.002
# Seconds without accepting, for each second of such a step, by the clock: on a busy machine it
# takes longer, and so does all that others wait for. Their peers wait in the kernel's queue
# meanwhile, for some hundredths of a second if it is full.
_REST_AFTER_REFUSALS = 9.0
# Refused peers that may still read why: how many of a user at once, and for how many seconds.
_MOST_TOLD = 16
_TOLD_SECONDS = 1.0


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
    privileged = frozenset({0, os.geteuid()})
    quota, turns = Quota(limits, privileged), Turns(privileged)
    with HangUps() as hang_ups, RefusedConnections() as refused:
        parts = ServerParts(MethodTable(interfaces, info), quota, authorize, turns)
        server = _Server(parts, hang_ups, refused)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hang_ups.run)
            nursery.start_soon(refused.run)
            connections = await nursery.start(server.hold_connections)
            task_status.started()
            try:
                await server.accept(listener, connections)
            finally:
                server.ending.set()


class _Server:
    def __init__(self, parts: ServerParts, hang_ups: HangUps, refused: RefusedConnections) -> None:
        self.ending = trio.Event()
        self._parts = parts
        self._turns = parts.turns
        self._hang_ups = hang_ups
        self._connections: set[Connection] = set()
        self._refused = refused
        self._told: Counter[int] = Counter()  # of each user, refused peers that may read why

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
        as it can fills the kernel's queue with thousands, and others wait behind them. Those of a
        user who has used its share of the time are closed at once.
        """
        failing = False
        with socket.socket(fileno=os.dup(listener.socket.fileno())) as ours:
            ours.setblocking(False)
            while True:
                await trio.lowlevel.wait_readable(ours)
                begun = time.perf_counter()
                try:
                    refused = self._accept_some(ours, nursery, begun + _SLICE)
                    failing = False
                except OSError as error:  # no descriptor, no memory; or a peer that has left
                    if not failing:
                        log.error("cannot accept connections, and keep trying: %s", error)  # noqa: TRY400  no defect
                    failing = True
                    await trio.sleep(_RECOVERY)
                else:
                    if refused:
                        await trio.sleep(_REST_AFTER_REFUSALS * (time.perf_counter() - begun))

    def _accept_some(self, ours: socket.socket, nursery: trio.Nursery, until: float) -> int:
        """Returns how many it has closed at once; after one of these it ends at `until`, by
        `time.perf_counter`. Raises `OSError`.
        """
        closed = 0
        for _ in range(_MOST_ACCEPTED):
            try:
                peer, _ = ours.accept()
            except BlockingIOError:
                break  # that was the last one
            uid = uid_of(peer)
            with self._turns.charged(uid):
                if self._turns.refuses(uid):
                    peer.close()
                    self._refused.add(uid, "it has used its share of the time")
                    closed += 1
                    if time.perf_counter() > until:
                        break
                else:
                    stream = trio.SocketStream(trio.socket.from_stdlib_socket(peer))
                    nursery.start_soon(self._handle, stream, uid)
        return closed

    async def _handle(self, stream: trio.SocketStream, uid: int) -> None:
        async with stream:
            try:
                caller = caller_of(stream.socket)
            except OSError as error:
                log.warning("dropped a connection without credentials: %s", error)
                return
            connection = Connection(stream, caller, self._parts)
            work = self._serve(stream, connection, uid)
            try:
                await self._turns.metered(uid, work, free=lambda: connection.upgraded)
            except OverLimit as over:
                self._refused.add(uid, str(over))
                await self._turns.metered(uid, self._refuse(stream, uid, over))
            except Exception:
                log.exception("a defect in a connection")

    async def _serve(self, stream: trio.SocketStream, connection: Connection, uid: int) -> None:
        descriptor = stream.socket.fileno()
        with (
            self._parts.quota.connection(uid),
            self._hang_ups.watch(descriptor, connection.hang_up),
        ):
            self._connections.add(connection)
            try:
                await connection.run()
            finally:
                self._connections.remove(connection)

    async def _refuse(self, stream: trio.SocketStream, uid: int, over: OverLimit) -> None:
        """Sends the reason, then waits for the peer to close: else the reason could be lost."""
        error = self._parts.methods.too_many(over)
        if error is None or self._told[uid] >= _MOST_TOLD:
            return
        self._told[uid] += 1
        try:
            with trio.move_on_after(_TOLD_SECONDS):
                await stream.send_all(encode_reply(error.parameters, error=error.name))
                await stream.send_eof()
                while await stream.receive_some():
                    pass
        except trio.BrokenResourceError:
            pass  # it has closed already
        finally:
            self._told[uid] -= 1
            if not self._told[uid]:
                del self._told[uid]
