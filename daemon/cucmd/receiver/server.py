"""Runs the SFTP server to which nodes push their files. `__init__.py` explains a transfer."""

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

# Connections that the kernel holds until they are accepted. All nodes may connect at once.
_BACKLOG = 256
# Seconds to wait after an `accept` that failed, mostly for want of descriptors or memory.
_ACCEPT_RETRY_SECONDS = 1.0
# Seconds between two searches for connections that take too long to log in.
_CHECK_SECONDS = 0.25
# Threads that open files. More would only wait for the same disk.
_OPENING_THREADS = 16
# Log lines of all processes together in a minute.
_MAX_LOG_LINES = 30

_log = logging.getLogger(__name__)


class Receiver:
    """Runs the server, which listens at `address` and `port`."""

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
        self._expected: dict[str, Startups[ServedConnection]] = {}  # by source
        self.refusals = RefusalLog()
        self._has_waiting = trio.Event()  # set when a connection has to wait
        self._log_lines = 0  # lines of the processes in the minute that ends at `_log_lines_until`
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
        """Opens a target with a login of its own. Close it with `aclose`.

        folder: where the files go. It is made when the first client logs in.
        name: a job and a node, for messages.
        node, prefix: see `LoginFiles`.
        quota: how many bytes the node and its job may still receive.
        address: the node's address, or "" if it is unknown. The node may also connect from another
            address, but then its login competes with those of strangers.
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
        """Removes a target, so that its login is no longer valid."""
        self._targets.pop(target.username, None)
        # Several jobs may work on a node, and several nodes may have the address of one NAT. The
        # address counts as a stranger's only after the last of them.
        if not any(one.source == target.source for one in self._targets.values()):
            self._expected.pop(target.source, None)

    @property
    def connection_count(self) -> int:
        """Returns how many connections of clients there are, also before their login."""
        return len(self._connections)

    # Called by `open_receiver`.

    async def accept(self, listening: trio.SocketListener) -> None:
        """Accepts connections until cancelled."""
        is_logged = False
        while True:
            try:
                # Each `accept` is a checkpoint, so other tasks get their turn in between.
                accepted, peer = await listening.socket.accept()
                self._admit(socket.socket(fileno=accepted.detach()), source_of(peer[0]))
                is_logged = False
            except OSError as error:
                # accept(2) lists many errors that the network or a firewall can cause.
                if not is_logged:
                    _log.error("receiver: cannot accept connections, keeps trying: %s", error)
                is_logged = True
                await trio.sleep(_ACCEPT_RETRY_SECONDS)

    def close(self) -> None:
        """Revokes all targets, and ends all connections."""
        for target in tuple(self._targets.values()):
            target.revoke()
        for connection in self._connections:
            connection.end()

    # Connections before their login.

    def _admit(self, accepted: socket.socket, source: str) -> None:
        """Lets a new connection wait, and starts the waiting connections that may log in now."""
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
        while (connection := startups.next(trio.current_time())) is not None:
            self._nursery.start_soon(self._run, connection)

    async def _run(self, connection: ServedConnection) -> None:
        try:
            await connection.run()
        finally:
            self.free_place(connection)
            del self._connections[connection]

    async def cut_overdue(self) -> None:
        """Cuts connections that take too long to log in while others wait. Runs until cancelled."""
        while True:
            await self._has_waiting.wait()
            self._has_waiting = trio.Event()
            # A `Startups` is true while a connection waits in it. While none waits, this task
            # sleeps, and only `login_timeout` limits a login.
            while waiting := [one for one in set(self._connections.values()) if one]:
                await trio.sleep(_CHECK_SECONDS)
                for startups in waiting:
                    while (connection := startups.overdue(trio.current_time())) is not None:
                        connection.end()
                        self._count_too_many(connection.source)
                        # Its process may take a second to end. The next client does not wait that
                        # long, and `leave` may be repeated when the process has ended.
                        self.free_place(connection)

    def _count_too_many(self, source: str) -> None:
        """Logs and counts a connection that was refused or cut because too many log in.

        Every node of this address counts it, because the daemon cannot know which node it was.
        """
        reason = "too many others are logging in"
        self.refusals.add(f"refused because {reason}", source)
        for target in self._targets.values():
            if target.source == source:
                target.count_refusal(reason)

    # Called by connections, as their `Owner`.

    def target(self, username: str) -> UploadTarget | None:
        """Returns the target of a login, or None if there is no such login."""
        return self._targets.get(username)

    def free_place(self, connection: ServedConnection) -> None:
        """Starts the next waiting connection, because this one has logged in or ended."""
        startups = self._connections[connection]
        startups.leave(connection)
        self._begin_next(startups)

    def log_line(self, line: LogLine) -> None:
        """Logs a line of a process, unless the processes have logged too much in this minute."""
        if (now := trio.current_time()) >= self._log_lines_until:
            self._log_lines_until, self._log_lines = now + EVERY, 0
        self._log_lines += 1
        if self._log_lines <= _MAX_LOG_LINES:
            serious = line.level >= logging.ERROR
            _log.log(logging.ERROR if serious else logging.WARNING, "%s", line.text)
        elif self._log_lines == _MAX_LOG_LINES + 1:
            _log.error("receiver: its processes log too much; the rest of this minute is left out")


@asynccontextmanager
async def open_receiver(
    listen: tuple[str, int],
    host_key_dir: Path,
    workers: Workers,
    limits: ReceiverLimits | None = None,
    *,
    legacy_algorithms: bool = False,
) -> AsyncIterator[Receiver]:
    """Runs the receiver while the body runs.

    listen: the address and port to listen at. Port 0 takes any free port.
    host_key_dir: the folder of the server's host keys.
    workers: must have the role `RECEIVE`.

    Raises OSError if it cannot listen or cannot write to `host_key_dir`, and HostKeyUnusable.
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
        # The listeners are closed outside of the nursery, because closing is a checkpoint. Inside
        # the nursery, which is cancelled by then, it would raise Cancelled in place of an exception
        # of the body, and the nursery would swallow both.
        for listener in listeners:
            await stack.enter_async_context(listener)
        async with trio.open_nursery() as nursery:
            receiver = Receiver(limits, workers, begin, nursery)
            receiver.address, receiver.port = listeners[0].socket.getsockname()[:2]
            for listener in listeners:
                nursery.start_soon(receiver.accept, listener)
            nursery.start_soon(receiver.cut_overdue)
            nursery.start_soon(receiver.refusals.run)
            try:
                yield receiver
            finally:
                receiver.close()
                nursery.cancel_scope.cancel()
