"""Lab nodes in this process, a client that types at them, and a small SFTP server they push to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import trio

from cucmd.lab.faults import parse_fault
from cucmd.lab.laboratory import Lab, open_lab
from cucmd.lab.options import LabOptions
from cucmd.ssh.bridge import on_asyncio, open_bridge

PATIENCE = 20  # seconds that anything may take; none of it does


class Terminal(asyncssh.SSHClientSession[bytes]):
    """The client's end of a terminal: what has arrived, and waiting for more."""

    def __init__(self) -> None:
        self.received = b""
        self.packets: list[bytes] = []
        self.closed = False
        self._news = trio.lowlevel.ParkingLot()
        self.connection: asyncssh.SSHClientConnection | None = None
        self.channel: asyncssh.SSHClientChannel[bytes] | None = None

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
        assert self.channel is not None
        self.channel.write(keys.encode())

    async def more(self) -> None:
        """Something more has arrived, or the end."""
        assert not self.closed, self.received[-300:]
        await self._news.park()

    async def expect(self, text: str) -> str:
        """Waits for `text`; returns what was received up to its end, and keeps the rest."""
        wanted = text.encode()
        with trio.fail_after(PATIENCE):
            while wanted not in self.received:
                await self.more()
        before, _, self.received = self.received.partition(wanted)
        return (before + wanted).decode("utf-8", "replace")

    async def run(self, command: str) -> str:
        """Types a command; returns its output, without the echo and the next prompt."""
        self.type(command + "\n")
        await self.expect(command + "\r\n")
        return (await self.expect("admin:")).removesuffix("admin:").replace("\r\n", "\n")

    async def ends(self) -> None:
        with trio.fail_after(PATIENCE):
            while not self.closed:
                await self._news.park()

    def disconnect(self) -> None:
        assert self.connection is not None
        self.connection.close()

    def abort(self) -> None:
        assert self.connection is not None
        self.connection.abort()


async def connect(lab: Lab, number: int = 1, **given: Any) -> asyncssh.SSHClientConnection:
    """A connection to a node as its only client would make it."""
    host, port = lab.addresses[number - 1].split(":")
    options = {
        "username": lab.username,
        "password": lab.password,
        "known_hosts": None,
        "client_keys": None,
        "agent_path": None,
        "config": None,
        **given,
    }

    async def opener() -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(host, int(port), **options)

    with trio.fail_after(PATIENCE):
        return await on_asyncio(opener)


@asynccontextmanager
async def logged_in(lab: Lab, number: int = 1, **given: Any) -> AsyncIterator[Terminal]:
    """Opens a terminal of a node, before the greeting."""
    connection = await connect(lab, number, **given)
    try:
        _, terminal = await on_asyncio(
            lambda: connection.create_session(Terminal, term_type="vt100", encoding=None)
        )
        terminal.connection = connection
        yield terminal
    finally:
        connection.close()


@asynccontextmanager
async def prompted(lab: Lab, number: int = 1) -> AsyncIterator[Terminal]:
    """Opens a terminal of a node, at the first prompt."""
    async with logged_in(lab, number) as terminal:
        await terminal.expect("admin:")
        yield terminal


class Inbox:
    """Takes what nodes push: an SFTP server of asyncssh, `folder` is its root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.username, self.password = "in-target", "Drop-%s-here"
        self.key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
        self.acceptor: asyncssh.SSHAcceptor | None = None
        self.connections: set[Any] = set()

    async def listen(self) -> None:
        self.acceptor = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=lambda: _Connection(self),
            server_host_keys=[self.key],
            sftp_factory=lambda chan: asyncssh.SFTPServer(chan, chroot=str(self.folder).encode()),
            config=None,
            gss_host=None,
        )
        self.port = self.acceptor.get_port()

    async def close(self) -> None:
        """No new connection, and the ones there are cut, down to their last task."""
        assert self.acceptor is not None
        self.acceptor.close()
        await self.acceptor.wait_closed()
        for connection in tuple(self.connections):
            connection.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks, timeout=1)

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def answers(self, directory: str = "/") -> Sequence[tuple[str, str]]:
        """The questions of `file get` in their order, each with its answer."""
        return (
            ("proceed [y/n]? ", "y"),
            ("SFTP server IP: ", "127.0.0.1"),
            ("SFTP server port [22]: ", str(self.port)),
            ("User ID: ", self.username),
            ("Password: ", self.password),
            ("Download directory: ", directory),
        )


class _Connection(asyncssh.SSHServer):
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._connection: Any = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._inbox.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._inbox.connections.discard(self._connection)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (self._inbox.username, self._inbox.password)


async def get(
    terminal: Terminal, inbox: Inbox, command: str = "cm/trace/ccm/sdl", directory: str = "/"
) -> str:
    """Types a `file get activelog` and all answers; returns what was received meanwhile."""
    terminal.type(f"file get activelog {command}\n")
    output = ""
    for question, answer in inbox.answers(directory):
        output += await terminal.expect(question)
        terminal.type(answer + "\n")
    return output


async def within(awaited: Awaitable[Any]) -> Any:
    with trio.fail_after(PATIENCE):
        return await awaited


MakeLab = Callable[..., Awaitable[Lab]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with open_bridge(), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def host_key() -> bytes:
    return asyncssh.generate_private_key("ssh-rsa", key_size=1024).export_private_key()


@pytest.fixture
async def make_lab(stack: AsyncExitStack, host_key: bytes) -> MakeLab:
    """`await make_lab("hang:command", nodes=2)`: faults, then options."""

    async def make(*faults: str, **options: Any) -> Lab:
        given = {"nodes": 1, "port": 0, "host_key": host_key, **options}
        parsed = tuple(parse_fault(fault) for fault in faults)
        return await stack.enter_async_context(open_lab(LabOptions(faults=parsed, **given)))

    return make


@pytest.fixture
async def inbox(stack: AsyncExitStack, tmp_path: Path) -> Inbox:
    folder = tmp_path / "inbox"
    folder.mkdir()
    inbox = Inbox(folder)
    await on_asyncio(inbox.listen)
    stack.push_async_callback(on_asyncio, inbox.close)
    return inbox


@pytest.fixture
async def lab(make_lab: MakeLab) -> Lab:
    return await make_lab()


@pytest.fixture
async def terminal(lab: Lab) -> AsyncIterator[Terminal]:
    """Opens a terminal at the first prompt of the only node."""
    async with prompted(lab) as terminal:
        yield terminal


@pytest.fixture
def client() -> Any:
    """What this file offers besides fixtures."""

    class Offer:
        logged_in, prompted = staticmethod(logged_in), staticmethod(prompted)
        connect, get, within = staticmethod(connect), staticmethod(get), staticmethod(within)

        @staticmethod
        async def reopen(inbox: Inbox) -> None:
            """Opens the same target at the same port, with another host key."""
            await on_asyncio(inbox.close)
            inbox.key = Inbox(inbox.folder).key
            await on_asyncio(inbox.listen)

    return Offer
