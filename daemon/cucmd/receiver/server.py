"""The SFTP server that nodes push their files to: open an upload target, watch it, close it.

The one rule: nothing that a client does ends more than its own connection.

How a transfer goes. There is one target for each run of a node, with a login of its own that the
node is told at its command line; the node's own sftp client then connects and pushes.

    work on a node   open_upload_target()    -> UploadTarget: login, folder, accounting
    node             connects, key exchange  -> Connection   counted in Unauthenticated
                     password                               the login names the target
                     opens SFTP              -> SftpSession  one for each connection
                     OPEN, WRITE, CLOSE      -> RequestHandler -> Upload -> file, Accounting
    work on a node   reads the target's counters and files() at any time; aclose() at its end

Which thread. All of it is on the event loop (asyncio runs inside trio's thread), except for
`RequestHandler.answer` and `close` and what they call: folder, upload, free_space. These run in
worker threads, `limits.threads` at most, one batch of a session at a time. `Accounting` is the one
object that both sides use. A session that has too many bytes waiting stops reading its channel, so
a slow disk slows the client down and does not fill our memory.

Who may end what.

    the client      closes: what it sent before is still written, then open files are given up.
    revoke()        by the work on the node: cancel, timeout, or a run that has ended. At once: the
                    login is refused, connections are cut, and no write begins after it. A thread
                    cannot be interrupted: the block that it is writing is the last.
    aclose()        revoke(), and waits 2 s at most for the connections and that block. After it,
                    files() changes no more.
    the receiver    cuts a connection that has not logged in within `login_timeout`, whose place
                    another address needs, that has tried three wrong passwords, or that makes
                    us keep replies which it does not read.
    the daemon      leaves `open_receiver`: revokes all targets and cuts all connections.

What is durable when.

    WRITE answered     nothing: the bytes are in the page cache.
    CLOSE answered OK  the file and its name: both are synced before the reply. Only now the file
                       counts as received.
    anything else      a connection that ends, a disk that is full, a revoked target: the file
                       stays on disk as far as it came, and is reported as incomplete.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import trio

from cucmd.allowance import Quota
from cucmd.receiver.accounting import Accounting
from cucmd.receiver.connection import Connection
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.host_keys import HostKeyUnusable, key_pairs, load_host_keys
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.names import Names
from cucmd.receiver.session import Backlog, SftpSession
from cucmd.receiver.unauthenticated import AllTaken, Unauthenticated
from cucmd.receiver.upload_target import UploadTarget
from cucmd.ssh.algorithms import server_algorithms
from cucmd.ssh.bridge import on_asyncio, run_callbacks
from cucmd.ssh.unread import CHECK_EVERY

__all__ = [
    "HostKeyUnusable",
    "Receiver",
    "ReceiverLimits",
    "UploadTarget",
    "open_receiver",
]

_BACKLOG = 256  # connections that the kernel holds until they are accepted: every node at once
_LAST_WAIT_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Receiver:
    """The server while it runs. `address` and `port` are where it listens."""

    def __init__(self, limits: ReceiverLimits, nursery: trio.Nursery) -> None:
        self.address = ""
        self.port = 0
        self.limits = limits
        self.unauthenticated: Unauthenticated[Connection] = Unauthenticated(limits.unauthenticated)
        self.space = FreeSpace(limits.min_free_bytes, limits.min_free_ratio)
        self.backlog = Backlog(limits)
        self.names = Names(limits)
        self._nursery = nursery
        self._threads = trio.CapacityLimiter(limits.threads)
        self._targets: dict[str, UploadTarget] = {}
        self._connections: set[Connection] = set()
        self._closing = False

    def open_upload_target(
        self,
        folder: Path,
        *,
        name: str,
        node: str = "",
        prefix: str = "",
        quota: Quota | None = None,
    ) -> UploadTarget:
        """A target with a login of its own. `folder` is made when the first client logs in.

        `name`, `node`, `prefix`: see `Accounting`. Close the target with `aclose`.
        """
        accounting = Accounting(name, quota or Quota(), self.limits, node, prefix, names=self.names)
        target = UploadTarget(folder, accounting, self.limits, self._forget_target)
        self._targets[target.username] = target
        return target

    # For connections and sessions; on the event loop.

    def target(self, username: str) -> UploadTarget | None:
        return self._targets.get(username)

    def admit(self, connection: Connection, source: str) -> str | None:
        """Why a new connection is refused, or None, and then it is counted as not logged in."""
        self._connections.add(connection)
        if self._closing:
            return "the receiver is closing"
        try:
            displaced = self.unauthenticated.enter(source, connection)
        except AllTaken:
            return "too many connections have not logged in"
        if displaced is not None:
            _log.warning("receiver: connection cut: its address has most that have not logged in")
            displaced.abort()
        return None

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def start(self, session: SftpSession, target: UploadTarget) -> None:
        self._nursery.start_soon(self._run, session, target)

    async def _run(self, session: SftpSession, target: UploadTarget) -> None:
        try:
            await session.run(self._threads)
        except Exception:
            # A defect in one session must not end the others.
            _log.exception("%s: the SFTP session failed", target.name)
        finally:
            target.session_ended()

    # For open_receiver.

    async def cut_excessive_connections(self) -> None:
        """Once a second: cuts connections for which asyncssh has no limit of its own."""
        while True:
            await trio.sleep(CHECK_EVERY)
            self._cut_excessive()

    def _cut_excessive(self) -> None:
        """Not in the loop above: its variables would hold the last connection, with all that it
        has received, while nobody connects.
        """
        for connection in tuple(self._connections):
            reason = connection.excess()
            if reason:
                _log.warning("receiver: connection cut: %s", reason)
                connection.abort()

    async def close(self, acceptor: asyncssh.SSHAcceptor) -> None:
        """Accepts no new connection, revokes all targets, cuts all connections; 2 s at most."""
        self._closing = True
        for target in tuple(self._targets.values()):
            target.revoke()
        for connection in tuple(self._connections):
            connection.abort()
        with trio.move_on_after(_LAST_WAIT_SECONDS, shield=True):
            await _stop_accepting(acceptor)
            while self._connections:
                await run_callbacks()
            await on_asyncio(acceptor.wait_closed)

    def _forget_target(self, target: UploadTarget) -> None:
        self._targets.pop(target.username, None)


@asynccontextmanager
async def open_receiver(
    listen: tuple[str, int],
    host_key_dir: Path,
    limits: ReceiverLimits | None = None,
    *,
    legacy_algorithms: bool = False,
) -> AsyncIterator[Receiver]:
    """The receiver, listening at `listen` (port 0: any free one) while the body runs.

    Must be entered below `open_bridge`. Raises OSError where it cannot listen or write
    `host_key_dir`, and HostKeyUnusable.
    """
    limits = limits or ReceiverLimits()
    keys = await trio.to_thread.run_sync(load_host_keys, host_key_dir)
    async with trio.open_nursery() as nursery:
        receiver = Receiver(limits, nursery)
        options = _options(receiver, keys, legacy=legacy_algorithms)
        acceptor = await on_asyncio(_listen, listen, options)
        try:
            receiver.address, receiver.port = acceptor.get_addresses()[0][:2]
            nursery.start_soon(receiver.cut_excessive_connections)
            yield receiver
        finally:
            await receiver.close(acceptor)
            nursery.cancel_scope.cancel()


async def _listen(where: tuple[str, int], options: dict[str, Any]) -> asyncssh.SSHAcceptor:
    try:
        return await asyncssh.listen(*where, backlog=_BACKLOG, reuse_address=True, **options)
    except OSError as error:
        if error.errno is None:  # asyncio since Python 3.12, where no address is one of this host
            raise OSError(errno.EADDRNOTAVAIL, str(error)) from error
        raise


async def _stop_accepting(acceptor: asyncssh.SSHAcceptor) -> None:
    """Closes the listening sockets, after every accepted one has become a connection.

    asyncio accepts in one callback and makes the connection in a later one. A server that is
    closed in between cannot take it, and asyncio prints a traceback for each.
    """
    for listening in acceptor.sockets:
        acceptor.get_loop().remove_reader(listening.fileno())
    try:
        await run_callbacks()
    finally:
        acceptor.close()


def _options(receiver: Receiver, keys: list[asyncssh.SSHKey], *, legacy: bool) -> dict[str, Any]:
    """Every option that a client could make use of, set here and not left to a default."""
    algorithms = server_algorithms(legacy=legacy)
    return {
        **algorithms.options(),
        "server_factory": lambda: Connection(receiver),
        "server_host_keys": key_pairs(keys, list(algorithms.host_keys)),
        "server_version": "cucmd",
        "config": None,
        "login_timeout": receiver.limits.login_timeout,
        # A node gives up on a server whose SSH version comes late (vos/NODES.md, section 5.4).
        "rdns_lookup": False,
        "public_key_auth": False,
        "host_based_auth": False,
        "gss_host": None,
        "authorized_client_keys": None,
        "allow_pty": False,
        "allow_scp": False,
        "agent_forwarding": False,
        "x11_forwarding": False,
        "line_editor": False,
        "encoding": None,
    }
