"""Runs many simulated nodes in this process: `open_lab`, within a bridge to asyncio.

An idle node costs a listening socket and a few hundred bytes. It has no task, and it shares its
host key with the other nodes. When `open_lab` ends, no socket and no task of the lab is left.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncssh
import trio
from msgspec.structs import asdict

from cucmd.ssh.bridge import on_asyncio
from cucmlab.answers import LabMember
from cucmlab.faults import FaultKind, FaultPlan
from cucmlab.node import AllCounters, LabCounters, LabNode
from cucmlab.options import LabOptions
from cucmlab.ssh_server import NodeServer, new_host_key

_BACKLOG = 128
_CLOSING = 2.0


class Lab:
    """Holds simulated nodes that listen. `addresses` are `host:port`, in the nodes' order."""

    def __init__(
        self, options: LabOptions, sockets: list[socket.socket], key: asyncssh.SSHKey
    ) -> None:
        self.username = options.user
        self.password = options.password
        names = [sock.getsockname() for sock in sockets]
        self.addresses = tuple(f"{host}:{port}" for host, port in names)
        self._counters = AllCounters(options.nodes)
        self._tasks_before: set[asyncio.Task[Any]] = set()
        members = [LabMember(index, host) for index, (host, _) in enumerate(names, start=1)]
        self._servers = [
            NodeServer(LabNode(index, options, members, self._counters), sock, key)
            for index, sock in enumerate(sockets, start=1)
        ]

    @property
    def counters(self) -> LabCounters:
        """Returns the sums of the counters of all nodes."""
        return self._counters.total()

    async def wait_until_idle(self) -> LabCounters:
        """Waits until no connection, no terminal and no push is open.

        Returns the sums of the counters of all nodes.
        """
        return await self._counters.wait_until(
            lambda total: total.connections_now == total.sessions_now == total.pushes_now == 0
        )

    def report(self) -> dict[str, Any]:
        """Returns the sums as in LabCounters, and the counters of each node below `nodes`."""
        nodes = zip(self.addresses, self._counters.nodes, strict=True)
        return {**asdict(self.counters), "nodes": {name: asdict(node) for name, node in nodes}}

    async def _open(self) -> None:
        self._tasks_before = asyncio.all_tasks()
        for server in self._servers:
            server.open()

    async def _close(self) -> None:
        """Cuts all connections, then waits for their tasks for a limited time.

        These include the tasks of asyncssh. They may also include tasks of other users of the same
        bridge, which may go on for as long as they like.
        """
        for server in self._servers:
            server.close()
        # If a connection is cut during its login, its tasks end only after a thread has ended. If
        # the loop were closed before that, these tasks would raise an error or never end.
        tasks = asyncio.all_tasks() - self._tasks_before - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSING)


@asynccontextmanager
async def open_lab(options: LabOptions) -> AsyncIterator[Lab]:
    """Runs nodes while the body runs. `open_bridge()` must be open.

    Raises OSError if the lab cannot listen at an address.
    """
    key = await trio.to_thread.run_sync(_host_key, options.host_key)
    sockets: list[socket.socket] = []
    queued: list[socket.socket] = []
    try:
        for index in range(1, options.nodes + 1):
            sockets.append(_listen(options, index, queued))  # noqa: PERF401  each is closed below
        lab = Lab(options, sockets, key)
        await on_asyncio(lab._open)
        try:
            yield lab
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(2 * _CLOSING):
                await on_asyncio(lab._close)
                await lab.wait_until_idle()
    finally:
        for sock in (*sockets, *queued):
            sock.close()


def _host_key(pem: bytes | None) -> asyncssh.SSHKey:
    return new_host_key() if pem is None else asyncssh.import_private_key(pem)


def _listen(options: LabOptions, index: int, queued: list[socket.socket]) -> socket.socket:
    """Binds the socket of node number `index`.

    Nodes use 250 of each 256 addresses: those that end in .1 to .250, if the first one ends in .1.
    """
    offset = (index - 1) // 250 * 256 + (index - 1) % 250
    address = (str(options.address + offset), options.port)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
        plan = FaultPlan(options.faults, index)
        if plan.take(FaultKind.DROP_SYN):
            queued += _fill_queue(sock)
        elif not plan.take(FaultKind.REFUSE_TCP):  # a socket that does not listen refuses clients
            sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise OSError(
            error.errno, f"node {index}, {address[0]}:{address[1]}: {error.strerror}"
        ) from error
    return sock


def _fill_queue(sock: socket.socket) -> list[socket.socket]:
    """Fills the accept queue of a socket, so that Linux drops every further SYN.

    This needs no privilege. One connection fills a backlog of 0; a second one makes sure of that.
    """
    sock.listen(0)
    queued = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(2)]
    for client in queued:
        client.setblocking(False)
        client.connect_ex(sock.getsockname())
    return queued
