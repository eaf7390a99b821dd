"""Accepts the receiver's connections.

The one rule: a connection that may not come costs one `accept` and one `close`, and accepting takes
a third of the loop at most, however many come.

asyncio's own server accepts up to 256 at once and makes a protocol of each, before anybody can
be asked.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncssh
import trio

from cucmd.ssh.bridge import on_asyncio
from cucmd.ssh.source import source_of
from cucmd.ssh.turns import SLICE

_BACKLOG = 256  # connections that the kernel holds until they are accepted: every node at once

# Seconds after an `accept` that failed. Mostly the process has no descriptor left, or the kernel no
# memory, which is over once others have closed. But accept(2) lists many more, which the network or
# a firewall can cause, and none of them may end the daemon.
_RECOVERY = 1.0

_log = logging.getLogger(__name__)

MayConnect = Callable[[str], bool]


@asynccontextmanager
async def accepting(
    listen: tuple[str, int],
    options: asyncssh.SSHServerConnectionOptions,
    may_connect: MayConnect,
) -> AsyncIterator[tuple[str, int]]:
    """Accepts at `listen` while the body runs; yields address and port.

    `may_connect` is asked with the address (`source_of`) of each connection. No connection is made
    after the end. Raises OSError where it cannot listen.
    """
    host, port = listen
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)
    sockets = [socket.socket(fileno=one.socket.detach()) for one in listeners]
    try:
        async with trio.open_nursery() as nursery:
            for one in sockets:
                one.setblocking(False)
                nursery.start_soon(_Accepting(one, options, may_connect, nursery).run)
            yield sockets[0].getsockname()[:2]
            nursery.cancel_scope.cancel()
    finally:
        for one in sockets:
            one.close()


class _Accepting:
    def __init__(
        self,
        listener: socket.socket,
        options: asyncssh.SSHServerConnectionOptions,
        may_connect: MayConnect,
        nursery: trio.Nursery,
    ) -> None:
        self._listener = listener
        self._options = options
        self._may_connect = may_connect
        self._nursery = nursery
        self._failing = False

    async def run(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._listener)
            began = time.perf_counter()
            try:
                self._accept_for_a_slice(began + SLICE)
            except OSError as error:
                if not self._failing:
                    _log.error("receiver: cannot accept connections, keeps trying: %s", error)
                self._failing = True
                await trio.sleep(_RECOVERY)
            await trio.sleep(2 * (time.perf_counter() - began))

    def _accept_for_a_slice(self, until: float) -> None:
        while time.perf_counter() < until:
            try:
                accepted, peer = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            self._failing = False
            if self._may_connect(source_of(peer[0])):
                self._nursery.start_soon(self._connect, accepted)
            else:
                accepted.close()

    async def _connect(self, accepted: socket.socket) -> None:
        """Hands it to asyncssh, which owns it from then on. Needs no network, so no cancel."""
        with trio.CancelScope(shield=True), suppress(OSError):  # it has gone already
            await on_asyncio(_make_connection, accepted, self._options)


async def _make_connection(
    accepted: socket.socket, options: asyncssh.SSHServerConnectionOptions
) -> None:
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(
        lambda: asyncssh.SSHServerConnection(loop, options), accepted
    )
