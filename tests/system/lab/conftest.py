"""Runs lab nodes in this process, and a small SFTP server to which they push."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from cucmd.ssh.bridge import on_asyncio, open_bridge
from cucmlab.faults import parse_fault
from cucmlab.laboratory import Lab, open_lab
from cucmlab.options import LabOptions


class Inbox(asyncssh.SSHServer):
    """Runs an SFTP server of asyncssh for the files that nodes push. `folder` is its root."""

    username, password = "in-target", "Drop-%s-here"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: list[asyncssh.SSHServerConnection] = []

    async def listen(self) -> None:
        """Opens the server at any free port."""
        key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: self,
            server_host_keys=[key],
            sftp_factory=lambda chan: asyncssh.SFTPServer(chan, chroot=str(self.folder).encode()),
            config=None,
            gss_host=None,
        )
        self.port = self._acceptor.get_port()

    async def close(self) -> None:
        """Closes the server and cuts its connections; waits a second for their tasks."""
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


MakeLab = Callable[..., Awaitable[Lab]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with open_bridge(), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def make_lab(stack: AsyncExitStack) -> MakeLab:
    """Runs a lab: `await make_lab("hang:command", nodes=2)` has faults, then options."""

    async def make(*faults: str, **options: Any) -> Lab:
        key = asyncssh.generate_private_key("ssh-rsa", key_size=1024).export_private_key()
        given = {"nodes": 1, "port": 0, "host_key": key, **options}
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
