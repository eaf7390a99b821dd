"""Runs the SSH server of one simulated node: accepts connections, checks logins, opens terminals.

Every connection is counted when it is accepted and when it is closed. The counters distinguish an
orderly close by the client, any other close by the client, and a cut by the node.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from functools import cache, partial
from typing import Any

import asyncssh

from cucmlab.console import NodeChannel
from cucmlab.faults import FaultKind, Step
from cucmlab.node import LabNode
from cucmlab.options import ALGORITHMS, UNCOMMON_KEX
from cucmlab.terminal import wait_forever

_log = logging.getLogger(__name__)
_MOST_SESSIONS = 10


def new_host_key() -> asyncssh.SSHKey:
    """Makes a host key of the kind that an appliance has. This takes up to a second."""
    return asyncssh.generate_private_key("ssh-rsa", key_size=2048)


@cache
def _other_host_key() -> asyncssh.SSHKey:
    """Returns the key that nodes show after their key has changed."""
    return new_host_key()


class NodeServer:
    """Holds a node's listening socket and the connections that it has accepted."""

    def __init__(self, node: LabNode, sock: socket.socket, key: asyncssh.SSHKey) -> None:
        self._node = node
        self._sock = sock
        self._key = key
        self.key_shown = False  # whether a client that has sent something has seen the key
        self._closed = False
        self._unserved: set[socket.socket] = set()  # accepted, but no protocol has them yet
        self._transports: set[Callable[[], None]] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        plan = self._node.plan
        if plan.take(FaultKind.REFUSE_TCP) or plan.take(FaultKind.DROP_SYN):
            return  # for DROP_SYN, the connections that fill the queue must stay in it
        asyncio.get_running_loop().add_reader(self._sock, self._accept)

    def close(self) -> None:
        """Stops accepting connections, and cuts those that are open."""
        self._closed = True
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()
        for cut in tuple(self._transports):
            cut()
        for task in tuple(self.tasks):
            task.cancel()

    # -- TCP

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except OSError as error:
            _log.warning("node %d: accept: %s", self._node.index, error)
            return
        sock.setblocking(False)
        self._node.count("connections_ever")
        self._node.count("connections_now")
        self._unserved.add(sock)
        self.start(self._serve(sock)).add_done_callback(partial(self._served, sock))

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts a task of this node. An exception that the task raises is a defect of the lab."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._node.count("defects")
            _log.error("node %d: defect of the lab", self._node.index, exc_info=error)

    async def _serve(self, sock: socket.socket) -> None:
        plan = self._node.plan
        if plan.take(FaultKind.HANG, Step.ACCEPT):
            await self._speak_no_ssh(sock, b"")
        elif plan.take(FaultKind.NOT_SSH):
            await self._speak_no_ssh(sock, os.urandom(256) + b"\r\n")
        elif plan.take(FaultKind.CLOSE_AFTER_ACCEPT) or plan.take(FaultKind.DROP, Step.ACCEPT):
            pass  # the connection is closed when this task ends
        else:
            await self._speak_ssh(sock)

    def _served(self, sock: socket.socket, _task: asyncio.Task[None]) -> None:
        """Closes the socket if no protocol has taken it over. `_serve` has ended, or never ran."""
        if sock in self._unserved:
            self._unserved.discard(sock)
            sock.close()
            self._node.count("cut_by_node")
            self._node.count("connections_now", -1)

    async def _speak_no_ssh(self, sock: socket.socket, greeting: bytes) -> None:
        """Sends the greeting and then nothing more, until the client closes."""
        reader, writer = await asyncio.open_connection(sock=sock)
        self._unserved.discard(sock)
        ending = "cut_by_node"
        try:
            writer.write(greeting)
            while await reader.read(4096):
                pass
            ending = "closed_cleanly"
        except OSError:
            ending = "dropped"
        finally:
            writer.transport.abort()
            self._node.count(ending)
            self._node.count("connections_now", -1)

    async def _speak_ssh(self, sock: socket.socket) -> None:
        node = self._node
        algorithms = ALGORITHMS[node.options.algorithms]
        changed = self.key_shown and node.plan.take(FaultKind.KEY_CHANGED)
        kex = (UNCOMMON_KEX,) if node.plan.take(FaultKind.KEX) else algorithms.kex
        connection = NodeConnection(node, self, sock)
        try:
            await asyncssh.run_server(
                sock,
                server_factory=lambda: connection,
                server_host_keys=[_other_host_key() if changed else self._key],
                server_version=algorithms.banner,
                kex_algs=list(kex),
                encryption_algs=list(algorithms.ciphers),
                mac_algs=list(algorithms.macs),
                signature_algs=list(algorithms.host_keys),
                compression_algs=["none"],
                login_timeout=0,
                line_editor=False,
                encoding=None,
                agent_forwarding=False,
                gss_host=None,  # otherwise asyncssh looks up the name of this host
                config=None,
            )
        except (asyncssh.Error, OSError):
            pass  # the client has closed, or was refused; `connection` has counted that

    def opened(self, sock: socket.socket, cut: Callable[[], None]) -> None:
        self._unserved.discard(sock)
        self._transports.add(cut)
        if self._closed:
            # asyncssh prepares the options of a connection in a thread. If the task is cancelled
            # during that time, trio-asyncio loses the cancel, and the connection is made anyway.
            asyncio.get_running_loop().call_soon(cut)

    def lost(self, cut: Callable[[], None]) -> None:
        self._transports.discard(cut)
        self._node.count("connections_now", -1)


class NodeConnection(asyncssh.SSHServer):
    """Serves one SSH connection to a node."""

    def __init__(self, node: LabNode, server: NodeServer, sock: socket.socket) -> None:
        self.node = node
        self._server = server
        self._sock = sock
        self._conn: asyncssh.SSHServerConnection | None = None
        self._cut_by_node = False
        self._logged_in = False

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        self._server.opened(self._sock, self.cut)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.lost(self.cut)
        if self._conn is not None and self._conn.get_extra_info("client_version"):
            self._server.key_shown = True
        if self._cut_by_node:
            self.node.count("cut_by_node")
        else:
            clean = _closed_in_order(exc, logged_in=self._logged_in)
            self.node.count("closed_cleanly" if clean else "dropped")

    def cut(self) -> None:
        """Ends the connection without an SSH disconnect message."""
        self._cut_by_node = True
        if self._conn is not None:
            self._conn.abort()

    # -- login

    def begin_auth(self, username: str) -> bool:
        self._server.key_shown = True
        return True

    def auth_completed(self) -> None:
        self._logged_in = True
        self.node.count("logins")

    def password_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        return await self._check_login(username, password)

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        return "", "", "", [("Password: ", False)]

    async def validate_kbdint_response(self, username: str, responses: list[str]) -> bool:  # type: ignore[override]  # asyncssh takes an awaitable here, its stub of list is invariant
        return len(responses) == 1 and await self._check_login(username, responses[0])

    async def _check_login(self, username: str, password: str) -> bool:
        node, plan = self.node, self.node.plan
        if plan.take(FaultKind.HANG, Step.LOGIN):
            await wait_forever()
        if plan.take(FaultKind.DROP, Step.LOGIN):
            self.cut()
            await wait_forever()
        right = (username, password) == (node.options.user, node.options.password)
        refused = plan.take(FaultKind.REFUSE_LOGIN) or self._locked_out()
        if right and not refused:
            return True
        node.refused_logins += 1
        node.count("logins_refused")
        return False

    def _locked_out(self) -> bool:
        lockout = self.node.plan.take(FaultKind.LOCKOUT)
        return lockout is not None and self.node.refused_logins >= lockout.number

    # -- sessions

    def session_requested(self) -> bool | NodeChannel:
        if self.node.counters.sessions_now >= _MOST_SESSIONS:
            return False
        return NodeChannel(self.node, self.cut, self._server.start)


def _closed_in_order(exc: Exception | None, *, logged_in: bool) -> bool:
    """Says whether the client has closed the connection in an orderly way.

    asyncssh passes None after a disconnect "by application", another DisconnectError for any other
    reason, and ConnectionLost if the bytes just ended. The latter, and a reset, count as orderly
    only before the login: clients whose login fails often close without a disconnect message.
    """
    if isinstance(exc, (asyncssh.ConnectionLost, ConnectionError)):
        return not logged_in
    return exc is None or isinstance(exc, asyncssh.DisconnectError)
