"""Lab nodes in this process, a client that types at them, and a small SFTP server they push to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import trio

from cucmd.ssh.bridge import on_asyncio, open_bridge
from cucmlab.faults import parse_fault
from cucmlab.laboratory import Lab, open_lab
from cucmlab.node import LabCounters
from cucmlab.options import LabOptions

PATIENCE = 20  # seconds that anything may take; none of it does


class Terminal(asyncssh.SSHClientSession[bytes]):
    """The client's end of a terminal: what has arrived, and waiting for more."""

    channel: asyncssh.SSHClientChannel[bytes]

    def __init__(self, lab: Lab, connection: asyncssh.SSHClientConnection) -> None:
        self.lab = lab
        self.connection = connection
        self.received = b""
        self.packets: list[bytes] = []
        self.closed = False
        self._news = trio.lowlevel.ParkingLot()

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self.channel = chan

    def data_received(self, data: bytes, datatype: Any) -> None:
        self.received += data
        self.packets.append(data)
        self._news.unpark_all()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._news.unpark_all()

    def type(self, keys: str) -> None:
        self.channel.write(keys.encode())

    async def expect(self, text: str) -> str:
        """Waits for `text`; returns what was received up to its end, and keeps the rest."""
        wanted = text.encode()
        with trio.fail_after(PATIENCE):
            while wanted not in self.received:
                assert not self.closed, self.received[-300:]
                await self._news.park()
        before, _, self.received = self.received.partition(wanted)
        return (before + wanted).decode("utf-8", "replace")

    async def run(self, command: str) -> str:
        """Types a command; returns its output, without the echo and the next prompt."""
        self.type(command + "\n")
        await self.expect(command + "\r\n")
        return (await self.expect("admin:")).removesuffix("admin:").replace("\r\n", "\n")

    async def until(self, condition: Callable[[LabCounters], bool]) -> LabCounters:
        """Waits until what the lab has counted meets the condition; returns it."""
        with trio.fail_after(PATIENCE):
            return await self.lab.until(condition)


class Inbox(asyncssh.SSHServer):
    """Takes what nodes push: an SFTP server of asyncssh, `folder` is its root."""

    key: asyncssh.SSHKey
    username, password = "in-target", "Drop-%s-here"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: list[asyncssh.SSHServerConnection] = []

    async def listen(self) -> None:
        """Opens it with a new host key; at the same port, if it has been open before."""
        self.key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=lambda: self,
            server_host_keys=[self.key],
            sftp_factory=lambda chan: asyncssh.SFTPServer(chan, chroot=str(self.folder).encode()),
            config=None,
            gss_host=None,
        )
        self.port = self._acceptor.get_port()

    async def close(self) -> None:
        """No new connection, and the ones there are cut, down to their last task."""
        assert self._acceptor is not None
        self._acceptor.close()
        await self._acceptor.wait_closed()
        for connection in self._connections:
            connection.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks, timeout=1)

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.append(conn)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (self.username, self.password)

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def answers(self) -> list[tuple[str, str]]:
        """The questions of `file get` in their order, each with its answer."""
        return [
            ("proceed [y/n]? ", "y"),
            ("SFTP server IP: ", "127.0.0.1"),
            ("SFTP server port [22]: ", str(self.port)),
            ("User ID: ", self.username),
            ("Password: ", self.password),
            ("Download directory: ", "/"),
        ]

    async def get(self, terminal: Terminal, command: str = "cm/trace/ccm/sdl") -> str:
        """Types a `file get activelog` and all answers; returns what was received meanwhile."""
        terminal.type(f"file get activelog {command}\n")
        output = ""
        for question, answer in self.answers():
            output += await terminal.expect(question)
            terminal.type(answer + "\n")
        return output


MakeLab = Callable[..., Awaitable[Lab]]
OpenTerminal = Callable[..., Awaitable[Terminal]]
Connect = Callable[..., Awaitable[asyncssh.SSHClientConnection]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with open_bridge(), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def make_lab(stack: AsyncExitStack) -> MakeLab:
    """`await make_lab("hang:command", nodes=2)`: faults, then options."""

    async def make(*faults: str, **options: Any) -> Lab:
        key = asyncssh.generate_private_key("ssh-rsa", key_size=1024).export_private_key()
        given = {"nodes": 1, "port": 0, "host_key": key, **options}
        parsed = tuple(parse_fault(fault) for fault in faults)
        return await stack.enter_async_context(open_lab(LabOptions(faults=parsed, **given)))

    return make


@pytest.fixture
def connect() -> Connect:
    """`await connect(lab, address)`: a connection to a node as its only client would make it."""

    async def opener(lab: Any, address: str, **given: Any) -> asyncssh.SSHClientConnection:
        host, port = address.split(":")
        alone = {"known_hosts": None, "client_keys": None, "agent_path": None, "config": None}
        login = {"username": lab.username, "password": lab.password, **given}
        with trio.fail_after(PATIENCE):
            return await on_asyncio(lambda: asyncssh.connect(host, int(port), **alone, **login))

    return opener


@pytest.fixture
def open_terminal(stack: AsyncExitStack, make_lab: MakeLab, connect: Connect) -> OpenTerminal:
    """`await open_terminal("no-echo", number=2, nodes=2)`: of a new lab, at the first prompt."""

    async def opener(*faults: str, number: int = 1, **options: Any) -> Terminal:
        lab = await make_lab(*faults, **options)
        connection = await connect(lab, lab.addresses[number - 1])
        stack.callback(connection.close)
        _, terminal = await on_asyncio(
            lambda: connection.create_session(
                lambda: Terminal(lab, connection), term_type="vt100", encoding=None
            )
        )
        await terminal.expect("admin:")
        return terminal

    return opener


@pytest.fixture
async def terminal(open_terminal: OpenTerminal) -> Terminal:
    return await open_terminal()


@pytest.fixture
async def inbox(stack: AsyncExitStack, tmp_path: Path) -> Inbox:
    folder = tmp_path / "inbox"
    folder.mkdir()
    inbox = Inbox(folder)
    await on_asyncio(inbox.listen)
    stack.push_async_callback(on_asyncio, inbox.close)
    return inbox
