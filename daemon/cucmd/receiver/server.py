"""The SFTP server that nodes push their files to: open an upload target, watch it, close it.

The one rule: nothing that a client does ends more than its own connection. The rooms behind this
door are on the map in `ssh/__init__.py`.
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
from cucmd.receiver.login_guard import LoginGuard
from cucmd.receiver.session import Backlog, SftpSession
from cucmd.receiver.upload_target import UploadTarget
from cucmd.ssh.algorithms import server_algorithms
from cucmd.ssh.bridge import on_asyncio, settle
from cucmd.ssh.unread import LOOK_EVERY

__all__ = [
    "HostKeyUnusable",
    "Receiver",
    "ReceiverLimits",
    "UploadTarget",
    "open_receiver",
]

_BACKLOG = 256  # connections that the kernel holds while we are busy: every node at once
_LAST_WAIT_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Receiver:
    """The server while it runs. `address` and `port` are where it listens."""

    def __init__(self, limits: ReceiverLimits, nursery: trio.Nursery) -> None:
        self.address = ""
        self.port = 0
        self.limits = limits
        self.guard = LoginGuard(limits)
        self.space = FreeSpace(limits.min_free_bytes, limits.min_free_ratio)
        self.backlog = Backlog(limits)
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
        """A target with a login of its own. `folder` is made when the first client comes.

        `name`, `node`, `prefix`: see `Accounting`. Close it with `aclose`.
        """
        accounting = Accounting(name, quota or Quota(), self.limits, node, prefix)
        target = UploadTarget(folder, accounting, self.limits, self._forget_target)
        self._targets[target.username] = target
        return target

    # For connections and sessions; on the event loop.

    def target(self, username: str) -> UploadTarget | None:
        return self._targets.get(username)

    def admit(self, connection: Connection, address: str) -> str | None:
        """Why a new connection is refused, or None, and then it is counted."""
        self._connections.add(connection)
        if self._closing:
            return "the receiver is closing"
        reason = self.guard.refusal(address, trio.current_time())
        if reason is None:
            self.guard.enter(address)
        return reason

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def start(self, session: SftpSession, target: UploadTarget) -> None:
        self._nursery.start_soon(self._run, session, target)

    async def _run(self, session: SftpSession, target: UploadTarget) -> None:
        try:
            await session.run(self._threads)
        except Exception:
            # A defect of ours in one session must not end the others.
            _log.exception("%s: the SFTP session failed", target.name)
        finally:
            target.session_ended()

    # For open_receiver.

    async def make_rounds(self) -> None:
        """Looks after what asyncssh does not bound."""
        while True:
            await trio.sleep(LOOK_EVERY)
            for connection in tuple(self._connections):
                reason = connection.overstays()
                if reason:
                    _log.warning("receiver: connection cut: %s", reason)
                    connection.abort()

    async def close(self, acceptor: asyncssh.SSHAcceptor) -> None:
        """No new connection, all targets revoked, all connections cut; bounded."""
        self._closing = True
        acceptor.close()
        for target in tuple(self._targets.values()):
            target.revoke()
        for connection in tuple(self._connections):
            connection.abort()
        with trio.move_on_after(_LAST_WAIT_SECONDS, shield=True):
            while self._connections:
                await settle()
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
            nursery.start_soon(receiver.make_rounds)
            yield receiver
        finally:
            await receiver.close(acceptor)
            nursery.cancel_scope.cancel()


async def _listen(where: tuple[str, int], options: dict[str, Any]) -> asyncssh.SSHAcceptor:
    try:
        return await asyncssh.listen(*where, backlog=_BACKLOG, reuse_address=True, **options)
    except OSError as error:
        if error.errno is None:  # how asyncio says, since Python 3.12, that no address is ours
            raise OSError(errno.EADDRNOTAVAIL, str(error)) from error
        raise


def _options(receiver: Receiver, keys: list[asyncssh.SSHKey], *, legacy: bool) -> dict[str, Any]:
    """Everything that a client could make use of, said and not left to a default."""
    algorithms = server_algorithms(legacy=legacy)
    return {
        **algorithms.options(),
        "server_factory": lambda: Connection(receiver),
        "server_host_keys": key_pairs(keys, list(algorithms.host_keys)),
        "server_version": "cucmd",
        "config": None,
        "login_timeout": receiver.limits.login_timeout,
        # A node gives up on a server that is slow to greet (vos/NODES.md, section 5.4).
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
