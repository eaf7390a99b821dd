"""Accepts the receiver's connections.

A connection that may not come costs one `accept` and one `close`, and accepting takes a third of
the loop at most, however many come. One that may come is made into a connection of asyncssh in its
turn, one at a time: that takes a millisecond or more, and a hundred of them in one turn of the loop
would hold up everybody else. Those of expected addresses are made first.

asyncio's own server accepts up to 256 at once and makes a protocol of each, before anybody can
be asked.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import asyncssh
import trio

from cucmd.ssh.bridge import on_asyncio
from cucmd.ssh.peer import source_of
from cucmd.ssh.turns import SLICE

_BACKLOG = 256  # connections that the kernel holds until they are accepted: every node at once

# Seconds after an `accept` that failed. Mostly the process has no descriptor left, or the kernel no
# memory, which is over once others have closed. But accept(2) lists many more, which the network or
# a firewall can cause, and none of them may end the daemon.
_RECOVERY = 1.0

# Accepted connections of addresses that are not expected, until they are made. It is the oldest
# that goes then: its peer has waited longest, and may have gone.
_MOST_WAITING = 128

_log = logging.getLogger(__name__)


class Admission(Protocol):
    """The receiver, as far as the listener asks it. `source`: what `source_of` returns."""

    def may_connect(self, source: str) -> bool:
        """Asked once for each connection."""

    def expects(self, source: str) -> bool: ...
    def refused(self, source: str, reason: str) -> None:
        """A connection that `may_connect` has let in is closed nevertheless."""


@asynccontextmanager
async def accepting(
    listen: tuple[str, int],
    options: asyncssh.SSHServerConnectionOptions,
    admission: Admission,
) -> AsyncIterator[tuple[str, int]]:
    """Accepts at `listen` while the body runs; yields address and port.

    No connection is made after the end. Raises OSError where it cannot listen.
    """
    host, port = listen
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)
    sockets = [socket.socket(fileno=one.socket.detach()) for one in listeners]
    accepted = Accepted(admission)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_make_connections, accepted, options)
            for one in sockets:
                one.setblocking(False)
                nursery.start_soon(_Accepting(one, accepted, admission).run)
            yield sockets[0].getsockname()[:2]
            nursery.cancel_scope.cancel()
    finally:
        accepted.close()
        for one in sockets:
            one.close()


class Accepted:
    """Accepted sockets that are not made into a connection of asyncssh yet."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._expected: deque[socket.socket] = deque()
        self._others: deque[tuple[str, socket.socket]] = deque()
        self._added = trio.Event()

    def add(self, source: str, accepted: socket.socket) -> None:
        if self._admission.expects(source):
            self._expected.append(accepted)
        else:
            self._others.append((source, accepted))
            if len(self._others) > _MOST_WAITING:
                oldest, dropped = self._others.popleft()
                dropped.close()
                self._admission.refused(oldest, "too many others are logging in")
        self._added.set()

    async def next(self) -> socket.socket:
        """The next one. Its caller owns it."""
        while not self._expected and not self._others:
            self._added = trio.Event()
            await self._added.wait()
        return self._expected.popleft() if self._expected else self._others.popleft()[1]

    def close(self) -> None:
        for one in (*self._expected, *(accepted for _, accepted in self._others)):
            one.close()
        self._expected.clear()
        self._others.clear()


class _Accepting:
    def __init__(
        self,
        listener: socket.socket,
        accepted: Accepted,
        admission: Admission,
    ) -> None:
        self._listener = listener
        self._accepted = accepted
        self._admission = admission
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
            source = source_of(peer[0])
            if self._admission.may_connect(source):
                self._accepted.add(source, accepted)
            else:
                accepted.close()


async def _make_connections(
    accepted: Accepted, options: asyncssh.SSHServerConnectionOptions
) -> None:
    """Hands them to asyncssh, which owns them from then on. Needs no network, so no cancel."""
    while True:
        one = await accepted.next()
        with trio.CancelScope(shield=True), suppress(OSError):  # it has gone already
            await on_asyncio(_make_connection, one, options)


async def _make_connection(
    accepted: socket.socket, options: asyncssh.SSHServerConnectionOptions
) -> None:
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(
        lambda: asyncssh.SSHServerConnection(loop, options), accepted
    )
