"""Pushes files to the receiver, as the SFTP client of a simulated node.

When `Push.run` returns, it has closed its connection to the receiver. When it is cancelled, it cuts
the connection.
"""

from __future__ import annotations

import asyncio
import math
import posixpath
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from ipaddress import ip_address
from itertools import groupby
from typing import Protocol

import asyncssh
import msgspec

from cucmlab.faults import Fault, FaultKind
from cucmlab.files import BLOCK
from cucmlab.node import LabNode
from cucmlab.options import ALGORITHMS
from cucmlab.terminal import wait_forever

_OUTSTANDING = 64  # write requests at once, as in OpenSSH's sftp
_GREETING_PATIENCE = 5.0  # seconds that the node waits for the receiver's first byte
_UNREACHABLE_SILENCE = 120.0  # seconds that the node prints nothing if it cannot connect


class PushTarget(msgspec.Struct, frozen=True):
    host: str
    port: int
    username: str
    password: str
    directory: str

    def __repr__(self) -> str:
        return f"PushTarget({self.username}@{self.host}:{self.port}{self.directory})"


class PushedFile(msgspec.Struct, frozen=True):
    """Holds a file to send. `path` is below the download directory; `size` is the unpacked size."""

    path: str
    size: int
    modified: datetime
    blocks: Callable[[], Iterator[bytes]]


class PushFailed(Exception):
    """Raised if the receiver cannot be reached, or refuses the login or a request."""


class InvalidDirectory(PushFailed):
    """Raised if the download directory does not exist."""


class OnSent(Protocol):
    def __call__(self, size: int, *, whole: bool) -> None: ...


# (address, algorithm, fingerprint) -> whether the user accepts the key
Trust = Callable[[str, str, str], Awaitable[bool]]


class _PushClient(asyncssh.SSHClient):
    """Checks the receiver's key, and logs in once it is trusted."""

    def __init__(self, node: LabNode, receiver: PushTarget, trust: Trust | None) -> None:
        self._node = node
        self._receiver = receiver
        self._trust = trust
        self._key: asyncssh.SSHKey | None = None
        self._asked = False
        self.changed = False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._node.count("pushes_now")

    def connection_lost(self, exc: Exception | None) -> None:
        self._node.count("pushes_now", -1)

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        known = self._node.known_receivers.get((self._receiver.host, self._receiver.port))
        self.changed = known not in (None, key.get_fingerprint())
        self._key = None if known else key
        return not self.changed

    async def password_auth_requested(self) -> str | None:
        if self._asked or not await self._trusted():
            return None
        self._asked = True
        if self._node.plan.take(FaultKind.UPLOAD_WRONG_PASSWORD):
            return self._receiver.password + "-wrong"
        return self._receiver.password

    async def _trusted(self) -> bool:
        if self._key is None:
            return True
        host, port = self._receiver.host, self._receiver.port
        algorithm, fingerprint = self._key.get_algorithm(), self._key.get_fingerprint()
        if self._trust is not None:
            label = "RSA" if "rsa" in algorithm else "ECDSA"
            if not await self._trust(f"[{host}]:{port} ([{host}]:{port})", label, fingerprint):
                return False
        self._node.known_receivers[host, port] = fingerprint
        return True


class Push:
    """Pushes files to a receiver, over one connection.

    trust    asks the user about an unknown host key; if None, any new key is accepted
    halfway  is awaited once, in the middle of the first file
    on_sent  is called whenever bytes were sent
    """

    def __init__(
        self,
        node: LabNode,
        receiver: PushTarget,
        *,
        trust: Trust | None,
        halfway: Callable[[], Awaitable[None]],
        on_sent: OnSent,
    ) -> None:
        self._node = node
        self._receiver = receiver
        self._trust = trust
        self._halfway = halfway
        self._on_sent = on_sent
        self._written = 0
        self._mark: int | None = None  # the number of bytes after which `_interruption` is awaited
        self._interruption: Callable[[], Awaitable[None]] = halfway
        self._rate = 0.0
        # The existing folders, relative to the download directory; "" is the directory itself.
        self._made = {""}

    async def run(self, files: Sequence[PushedFile]) -> None:
        """Pushes the files in order. Raises PushFailed."""
        conn = await self._connect()
        try:
            self._expect_faults(files, conn)
            await self._push_all(conn, files)
            conn.close()
            await conn.wait_closed()
        except (asyncssh.Error, OSError) as error:
            raise PushFailed(str(error)) from None
        finally:
            conn.abort()

    # -- reaching the receiver

    async def _connect(self) -> asyncssh.SSHClientConnection:
        plan = self._node.plan
        if plan.take(FaultKind.UNREACHABLE):
            await wait_forever()
        sock = await self._reach()
        try:
            await self._wait_for_identification(sock, plan.take(FaultKind.SLOW_GREETING))
            return _unless_cancelled(await self._log_in(sock))
        except BaseException:
            # asyncssh may have closed the socket already. Closing it twice does no harm.
            sock.close()
            raise

    async def _reach(self) -> socket.socket:
        """Returns a socket that is connected to the receiver. Raises PushFailed.

        A node that cannot connect prints nothing until it gives up.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _UNREACHABLE_SILENCE
        try:
            async with asyncio.timeout_at(give_up):
                return await self._tcp(loop)
        except OSError as error:  # TimeoutError is an OSError
            await asyncio.sleep(give_up - loop.time())
            raise PushFailed(str(error)) from None

    async def _tcp(self, loop: asyncio.AbstractEventLoop) -> socket.socket:
        receiver = self._receiver
        found = await loop.getaddrinfo(receiver.host, receiver.port, type=socket.SOCK_STREAM)
        kind, _, _, _, address = found[0]
        sock = socket.socket(kind, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            # The receiver must see the address of the node, as in a real network.
            if ip_address(address[0]).is_loopback and kind is socket.AF_INET:
                sock.bind((self._node.member.address, 0))
            await loop.sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _wait_for_identification(self, sock: socket.socket, slow: Fault | None) -> None:
        """Waits until the first byte of the receiver has come. Does not read the byte."""
        if slow is not None:
            await asyncio.sleep(slow.number)
            raise PushFailed("the receiver was too slow")
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(sock, readable.set)
        try:
            async with asyncio.timeout(_GREETING_PATIENCE):
                await readable.wait()
        except TimeoutError:
            raise PushFailed("the receiver was too slow") from None
        finally:
            loop.remove_reader(sock)

    async def _log_in(self, sock: socket.socket) -> asyncssh.SSHClientConnection:
        client = _PushClient(self._node, self._receiver, self._trust)
        algorithms = ALGORITHMS[self._node.options.algorithms]
        try:
            return await asyncssh.connect(
                sock=sock,
                client_factory=lambda: client,
                username=self._receiver.username,
                known_hosts=([], [], []),
                client_keys=None,
                agent_path=None,
                config=None,
                preferred_auth="password",
                login_timeout=0,
                compression_algs=["none"],
                kex_algs=list(algorithms.kex),
                encryption_algs=list(algorithms.ciphers),
                mac_algs=list(algorithms.macs),
                server_host_key_algs=[*algorithms.host_keys, "ecdsa-sha2-nistp256"],
                client_version=algorithms.banner,
            )
        except (asyncssh.Error, OSError) as error:
            if client.changed:
                self._node.count("pushes_refused")
                await wait_forever()
            raise PushFailed(str(error)) from None

    # -- faults of the transfer

    def _expect_faults(
        self, files: Sequence[PushedFile], conn: asyncssh.SSHClientConnection
    ) -> None:
        plan = self._node.plan
        middle = files[0].size // 2 if files else 0
        self._mark, self._interruption = middle, self._halfway
        if stalled := plan.take(FaultKind.UPLOAD_STALLED):
            self._mark, self._interruption = int(stalled.number) or middle, wait_forever
        if cut := plan.take(FaultKind.UPLOAD_CUT):
            self._mark, self._interruption = int(cut.number) or middle, _cut_after(conn)
        if trickle := plan.take(FaultKind.TRICKLE):
            self._rate = trickle.number

    async def _interrupt_if_due(self) -> None:
        if self._mark is not None and self._written >= self._mark:
            self._mark = None
            await self._interruption()

    # -- files

    async def _push_all(
        self, conn: asyncssh.SSHClientConnection, files: Sequence[PushedFile]
    ) -> None:
        # `async with` would wait for the server at its exit, and a cancelled push must not wait.
        sftp = await conn.start_sftp_client()
        directory = self._receiver.directory
        if self._node.plan.take(FaultKind.INVALID_DIRECTORY) or not await sftp.isdir(directory):
            raise InvalidDirectory(directory)
        self._node.count("pushes_ever")
        for file in files:
            await self._make_folders(sftp, posixpath.dirname(file.path))
            await self._push(sftp, file, posixpath.join(directory, file.path))
        if self._mark is not None:
            await self._interruption()
        sftp.exit()

    async def _push(self, sftp: asyncssh.SFTPClient, file: PushedFile, path: str) -> None:
        # With block size 0 each write is one request. Otherwise asyncssh starts a task for each
        # block.
        handle = await sftp.open(path, "wb", block_size=0)
        mark = math.inf if self._mark is None else self._mark - self._written  # in this file
        pieces = _divided(file.blocks(), mark)
        for _, part in groupby(pieces, key=lambda piece: piece[0] >= mark):
            await self._interrupt_if_due()
            await self._write(handle, part, file.size)
        await self._interrupt_if_due()
        stamp = int(file.modified.timestamp())
        await handle.setstat(asyncssh.SFTPAttrs(permissions=0o644, atime=stamp, mtime=stamp))
        await handle.close()
        self._node.count("files_pushed")
        self._on_sent(0, whole=True)

    async def _make_folders(self, sftp: asyncssh.SFTPClient, folder: str) -> None:
        """Makes `folder` below the download directory, with its parents, unless it exists."""
        if folder in self._made:
            return
        await self._make_folders(sftp, posixpath.dirname(folder))
        path = posixpath.join(self._receiver.directory, folder)
        if not await sftp.isdir(path):
            await sftp.mkdir(path)
        self._made.add(folder)

    async def _write(
        self, handle: asyncssh.SFTPClientFile, blocks: Iterator[tuple[int, bytes]], size: int
    ) -> None:
        """Writes the blocks, with up to 64 requests at once."""
        outstanding = 1 if self._rate else min(_OUTSTANDING, -(-size // BLOCK) or 1)

        async def write_some() -> None:
            for offset, block in blocks:
                await self._write_block(handle, offset, block)

        writers = [asyncio.ensure_future(write_some()) for _ in range(outstanding)]
        try:
            await asyncio.gather(*writers)
        finally:
            # A TaskGroup would raise an ExceptionGroup instead of the error itself.
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)

    async def _write_block(
        self, handle: asyncssh.SFTPClientFile, offset: int, block: bytes
    ) -> None:
        # With a rate, four pieces are sent in a second, or single bytes if the rate is very low.
        piece = max(1, int(self._rate / 4)) if self._rate else len(block)
        for start in range(0, len(block), piece):
            part = block[start : start + piece]
            await handle.write(part, offset + start)
            self._written += len(part)
            self._node.count("bytes_pushed", len(part))
            self._on_sent(len(part), whole=False)
            if self._rate:
                await asyncio.sleep(len(part) / self._rate)


def _unless_cancelled(conn: asyncssh.SSHClientConnection) -> asyncssh.SSHClientConnection:
    """Raises CancelledError if this task was cancelled while asyncssh worked in a thread.

    trio-asyncio loses such a cancel.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        conn.abort()
        raise asyncio.CancelledError
    return conn


def _divided(blocks: Iterable[bytes], mark: float) -> Iterator[tuple[int, bytes]]:
    """Yields the blocks of a file with their offsets. Divides the block that contains `mark`."""
    offset = 0
    for block in blocks:
        before = int(min(max(mark - offset, 0), len(block)))
        for piece in filter(None, (block[:before], block[before:])):
            yield offset, piece
            offset += len(piece)


def _cut_after(conn: asyncssh.SSHClientConnection) -> Callable[[], Awaitable[None]]:
    async def cut() -> None:
        conn.abort()
        raise PushFailed("cut")

    return cut
