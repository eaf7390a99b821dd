"""Runs SSH servers in this process as nodes, with and without faults, on the same bridge."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import trio

from cucmd.ssh.algorithms import usual_algorithms
from cucmd.ssh.bridge import on_asyncio, open_bridge, run_callbacks
from cucmd.ssh.known_hosts import KnownHosts, Policy
from cucmd.ssh.node_login import Steps
from cucmd.ssh.shell import Shell, open_shell

USERNAME, PASSWORD = "administrator", "Sw0rdf1sh-%s-\N{SNOWMAN}"  # of the lab


@dataclass
class Node:
    """Describes a simulated node: how it authenticates, and what has happened to it."""

    methods: tuple[str, ...] = ("password",)
    # The challenges of keyboard-interactive, each a list of (prompt, echo).
    challenges: Sequence[Sequence[tuple[str, bool]]] = ((("Password: ", False),),)
    opens_session: bool = True
    opens_pty: bool = True
    password_expired: bool = False
    answers: list[list[str]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    terminal: tuple[str | None, tuple[int, ...]] | None = None
    connections: int = 0
    sessions: list[Prompt] = field(default_factory=list)
    port: int = 0
    key: asyncssh.SSHKey | None = None


class Prompt(asyncssh.SSHServerSession[bytes]):
    """Runs the node's end of a shell, which the test controls."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.received = b""
        self.channel: asyncssh.SSHServerChannel[bytes] | None = None
        node.sessions.append(self)

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self.channel = chan

    def pty_requested(self, term_type: str | None, term_size: Any, term_modes: Any) -> bool:
        self.node.terminal = (term_type, tuple(term_size[:2]))
        return self.node.opens_pty

    def shell_requested(self) -> bool:
        return True

    def session_started(self) -> None:
        self.send(b"admin:")

    def send(self, data: bytes) -> None:
        assert self.channel is not None
        self.channel.write(data)

    def data_received(self, data: bytes, datatype: Any) -> None:
        self.received += data
        if self.received.endswith((b"quit\r", b"quit\n")):
            self.send(b"quit\r\nbye")
            assert self.channel is not None
            self.channel.exit(0)

    def eof_received(self) -> bool:
        self.node.events.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.node.events.append("session closed")


class _Server(asyncssh.SSHServer):
    def __init__(self, node: Node) -> None:
        self.node = node
        self.round = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.node.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.node.connections -= 1
        self.node.events.append(f"disconnected: {exc}" if exc else "disconnected in order")

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return "password" in self.node.methods

    def validate_password(self, username: str, password: str) -> bool:
        self.node.events.append("password")
        if self.node.password_expired:
            raise asyncssh.PasswordChangeRequired("Your password has expired.")
        return (username, password) == (USERNAME, PASSWORD)

    def kbdint_auth_supported(self) -> bool:
        return "keyboard-interactive" in self.node.methods

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        self.node.events.append("keyboard-interactive")
        self.round = 0
        return self._challenge()

    def _challenge(self) -> Any:
        return "", "", "", list(self.node.challenges[self.round])

    def validate_kbdint_response(self, username: str, responses: Any) -> Any:
        self.node.answers.append(list(responses))
        self.round += 1
        if self.round < len(self.node.challenges):
            return self._challenge()
        return PASSWORD in {text for answer in self.node.answers for text in answer}

    def session_requested(self) -> Any:
        return Prompt(self.node) if self.node.opens_session else False


def host_key(algorithm: str = "ecdsa-sha2-nistp256") -> asyncssh.SSHKey:
    return asyncssh.generate_private_key(algorithm)


@asynccontextmanager
async def serve(
    node: Node,
    keys: Sequence[asyncssh.SSHKey] = (),
    port: int = 0,
    *,
    server: type[_Server] = _Server,
    **options: Any,
) -> AsyncIterator[Node]:
    """Lets the node listen on a free port of loopback. `server` decides how it authenticates."""
    keys = keys or [host_key()]
    merged = {**usual_algorithms(legacy=True).options(), **options}

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            port,
            server_host_keys=list(keys),
            server_factory=lambda: server(node),
            encoding=None,
            line_editor=False,
            gss_host=None,
            config=None,
            **merged,
        )

    acceptor = await on_asyncio(listen)
    node.port, node.key = acceptor.get_port(), keys[0]
    try:
        yield node
    finally:
        acceptor.close()
        with trio.CancelScope(shield=True):
            for _ in range(5):
                await run_callbacks()


@asynccontextmanager
async def raw_peer(handler: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[int]:
    """Runs a TCP server that is not an SSH server, and yields its port."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, handler, 0)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def open_sockets() -> int:
    """Returns how many sockets this process has."""
    names = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
    return sum(os.path.islink(name) and "socket:" in os.readlink(name) for name in names)


def sockets_to(port: int) -> list[int]:
    """Returns the descriptors of our own sockets that are connected to the node at this port."""
    inodes = set()
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[2].rpartition(":")[2], 16) == port:
            inodes.add(f"socket:[{fields[9]}]")
    fds = [fd for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]
    return [int(fd) for fd in fds if os.readlink(f"/proc/self/fd/{fd}") in inodes]


async def until(condition: Callable[[], bool]) -> None:
    """Lets both loops run until a condition holds. No virtual time passes."""
    with trio.fail_after(10):
        while not condition():
            await run_callbacks()
            await trio.lowlevel.checkpoint()


@pytest.fixture
async def bridge() -> AsyncIterator[None]:
    async with open_bridge():
        yield


@pytest.fixture
async def node(bridge: None) -> AsyncIterator[Node]:
    async with serve(Node()) as listening:
        yield listening


@pytest.fixture
def known(tmp_path: Path) -> KnownHosts:
    return KnownHosts(tmp_path / "known_hosts")


@pytest.fixture
def connect(known: KnownHosts) -> Callable[..., Awaitable[Shell]]:
    """Returns a function that opens a shell on a port of loopback, with defaults for the rest."""

    async def opener(port: int, **given: Any) -> Shell:
        with trio.fail_after(30):
            return await open_shell(
                given.get("host", "127.0.0.1"),
                port,
                given.get("username", USERNAME),
                given.get("password", PASSWORD),
                given.get("policy", Policy()),
                given.get("known", known),
                Steps(given.get("on_phase", lambda phase: None)),
                columns=200,
                mask=given.get("mask", str),
            )

    return opener


@pytest.fixture
def ssh() -> Any:
    """Returns the functions and classes of this file for tests."""

    class Offer:
        node, serve, raw_peer = staticmethod(Node), staticmethod(serve), staticmethod(raw_peer)
        host_key, until = staticmethod(host_key), staticmethod(until)
        open_sockets, sockets_to = staticmethod(open_sockets), staticmethod(sockets_to)
        username, password, server = USERNAME, PASSWORD, _Server

    return Offer
