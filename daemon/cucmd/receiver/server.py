"""Runs the SFTP server that nodes push their files to: opens upload targets, and closes them.

See the package's docstring for how a transfer goes.
"""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import trio

from cucmd.allowance import Quota
from cucmd.node_name import source_of
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.host_keys import load_host_keys
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.login_files import FileCount, LoginFiles
from cucmd.receiver.messages import Begin, LogLine
from cucmd.receiver.refusal_log import EVERY, RefusalLog
from cucmd.receiver.served_connection import ServedConnection
from cucmd.receiver.startups import Startups
from cucmd.receiver.upload_target import UploadTarget
from cucmd.worker.workers import Workers

# Connections that the kernel holds until they are accepted: every node at once.
_BACKLOG = 256
# Connections that are accepted before all else has its turn.
_ACCEPTS_PER_TURN = 16
# Seconds after an `accept` that failed: mostly there is no descriptor left, or no memory.
_ACCEPT_RETRY_SECONDS = 1.0
# Seconds between two looks at connections that have been logging in for too long.
_CHECK_SECONDS = 0.25
# Threads that open files: they wait for the same disk.
_OPENING_THREADS = 16
# Lines for the log that all processes together may say in a minute.
_MAX_LOG_LINES = 30

_log = logging.getLogger(__name__)


class Receiver:
    """Runs the server. `address` and `port` are where it listens."""

    def __init__(
        self, limits: ReceiverLimits, workers: Workers, begin: Begin, nursery: trio.Nursery
    ) -> None:
        self.address = ""
        self.port = 0
        self.limits = limits
        self.workers = workers
        self.begin = begin
        self.space = FreeSpace(limits.min_free_bytes, limits.min_free_ratio)
        self.files = FileCount()
        self.open_limiter = trio.CapacityLimiter(_OPENING_THREADS)
        self._nursery = nursery
        self._targets: dict[str, UploadTarget] = {}
        self._connections: dict[ServedConnection, Startups[ServedConnection]] = {}
        self._strangers = self._startups(limits.unauthenticated)
        self._expected: dict[str, Startups[ServedConnection]] = {}  # by the address of nodes
        self.refusals = RefusalLog()
        self._has_waiting = trio.Event()  # a connection, for a place
        self._log_lines = 0  # of the log, up to `_log_lines_until`
        self._log_lines_until = -math.inf

    def open_upload_target(
        self,
        folder: Path,
        *,
        name: str,
        node: str = "",
        prefix: str = "",
        quota: Quota | None = None,
        address: str = "",
    ) -> UploadTarget:
        """Opens a target with a login of its own. `folder` is made when the first client logs in.

        `name`: a job and a node, for messages. `node`, `prefix`: see `LoginFiles`. `address`: the
        node's, or "" where it is unknown; a node may come from another one too. Close the target
        with `aclose`.
        """
        received = LoginFiles(self.limits, quota or Quota(), self.files, node, prefix)
        source = source_of(address) if address else ""
        target = UploadTarget(folder, received, name, source, self._forget)
        self._targets[target.username] = target
        if source and source not in self._expected:
            self._expected[source] = self._startups(self.limits.unauthenticated_per_source)
        return target

    def _startups(self, limit: int) -> Startups[ServedConnection]:
        limits = self.limits
        per_source = limits.unauthenticated_per_source
        return Startups(limit, per_source, limits.waiting, limits.login_timeout_crowded)

    def _forget(self, target: UploadTarget) -> None:
        """Lets no connection log in to the target any more."""
        self._targets.pop(target.username, None)
        if not any(one.source == target.source for one in self._targets.values()):
            self._expected.pop(target.source, None)

    # For open_receiver.

    async def accept(self, listening: trio.SocketListener) -> None:
        """Accepts connections until it is cancelled."""
        said = False
        while True:
            try:
                for _ in range(_ACCEPTS_PER_TURN):
                    accepted, peer = await listening.socket.accept()
                    self._admit(socket.socket(fileno=accepted.detach()), source_of(peer[0]))
                    said = False
            except OSError as error:
                # accept(2) lists many that the network or a firewall can cause.
                if not said:
                    _log.error("receiver: cannot accept connections, keeps trying: %s", error)
                said = True
                await trio.sleep(_ACCEPT_RETRY_SECONDS)

    def close(self) -> None:
        for target in tuple(self._targets.values()):
            target.revoke()
        for connection in self._connections:
            connection.end()

    # Connections that have not logged in.

    def _admit(self, accepted: socket.socket, source: str) -> None:
        startups = self._expected.get(source, self._strangers)
        expected = startups is not self._strangers
        connection = ServedConnection(self, accepted, source, expected=expected)
        self._connections[connection] = startups
        if (closed := startups.enter(source, connection)) is not None:
            del self._connections[closed]
            closed.end()
            self._count_too_many(closed.source)
        self._begin_next(startups)
        if startups:
            self._has_waiting.set()

    def _begin_next(self, startups: Startups[ServedConnection]) -> None:
        """Gives places to those that wait, as far as there are any."""
        while (connection := startups.next(trio.current_time())) is not None:
            self._nursery.start_soon(self._run, connection)

    async def _run(self, connection: ServedConnection) -> None:
        try:
            await connection.run()
        finally:
            self.free_place(connection)
            del self._connections[connection]

    async def cut_overdue(self) -> None:
        """Cuts connections for others that wait, until it is cancelled."""
        while True:
            await self._has_waiting.wait()
            self._has_waiting = trio.Event()
            while waiting := [one for one in set(self._connections.values()) if one]:
                await trio.sleep(_CHECK_SECONDS)
                for startups in waiting:
                    while (connection := startups.overdue(trio.current_time())) is not None:
                        connection.end()
                        self._count_too_many(connection.source)
                        self.free_place(connection)

    def _count_too_many(self, source: str) -> None:
        """Notes that a connection was refused or cut because of a limit of ours.

        Each node of that address learns of it: which one it was, nobody can know.
        """
        reason = "too many others are logging in"
        self.log_refusal(source, f"refused because {reason}")
        for target in self._targets.values():
            if target.source == source:
                target.count_refusal(reason)

    # For a connection.

    def target(self, username: str) -> UploadTarget | None:
        return self._targets.get(username)

    def free_place(self, connection: ServedConnection) -> None:
        """Gives the place of a connection to the next one."""
        startups = self._connections[connection]
        startups.leave(connection)
        self._begin_next(startups)

    def log_refusal(self, source: str, reason: str) -> None:
        self.refusals.add(reason, source)

    def log_line(self, line: LogLine) -> None:
        """Logs what a process says, unless all of them have said too much in this minute."""
        if (now := trio.current_time()) >= self._log_lines_until:
            self._log_lines_until, self._log_lines = now + EVERY, 0
        self._log_lines += 1
        if self._log_lines <= _MAX_LOG_LINES:
            serious = line.level >= logging.ERROR
            _log.log(logging.ERROR if serious else logging.WARNING, "%s", line.text)
        elif self._log_lines == _MAX_LOG_LINES + 1:
            _log.error("receiver: its processes say too much: the rest of the minute is left out")


@asynccontextmanager
async def open_receiver(
    listen: tuple[str, int],
    host_key_dir: Path,
    workers: Workers,
    limits: ReceiverLimits | None = None,
    *,
    legacy_algorithms: bool = False,
) -> AsyncIterator[Receiver]:
    """Opens the receiver, which listens at `listen` (port 0: any free one) while the body runs.

    workers: has the role `RECEIVE`. Raises OSError where it cannot listen or write `host_key_dir`,
    and HostKeyUnusable.
    """
    limits = limits or ReceiverLimits()
    keys = await trio.to_thread.run_sync(load_host_keys, host_key_dir)
    begin = Begin(
        host_keys=tuple(key.export_private_key("openssh") for key in keys),
        limits=msgspec.structs.asdict(limits),
        legacy_algorithms=legacy_algorithms,
    )
    host, port = listen
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)
    async with AsyncExitStack() as stack:
        # The listeners are closed outside the nursery. A close is a checkpoint: in the nursery,
        # which is cancelled by then, it would raise Cancelled in place of an error of the body,
        # and the nursery would swallow both.
        for one in listeners:
            await stack.enter_async_context(one)
        async with trio.open_nursery() as nursery:
            receiver = Receiver(limits, workers, begin, nursery)
            receiver.address, receiver.port = listeners[0].socket.getsockname()[:2]
            for one in listeners:
                nursery.start_soon(receiver.accept, one)
            nursery.start_soon(receiver.cut_overdue)
            nursery.start_soon(receiver.refusals.run)
            try:
                yield receiver
            finally:
                receiver.close()
                nursery.cancel_scope.cancel()
