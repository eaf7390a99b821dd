"""The SFTP server that nodes push their files to: open an upload target, watch it, close it.

Nothing that a client does ends more than its own connection.

How a transfer goes. There is one target for each run of a node, with a login of its own that the
node is told at its command line; the node's own sftp client then connects and pushes.

    work on a node   open_upload_target()    -> UploadTarget: login, folder, accounting
    node             connects                -> Listener     one more of its address (ConnectRate)
                     key exchange            -> Connection   counted in Unauthenticated
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
    the receiver    cuts a connection that has not logged in within `login_timeout`, that sends
                    more than a login needs, whose place another one needs, that has tried three
                    wrong passwords, or that makes us keep replies which it does not read.
    the daemon      leaves `open_receiver`: revokes all targets and cuts all connections.

What is durable when.

    WRITE answered     nothing: the bytes are in the page cache.
    CLOSE answered OK  the file and its name: both are synced before the reply. Only now the file
                       counts as received.
    anything else      a connection that ends, a disk that is full, a revoked target: the file
                       stays on disk as far as it came, and is reported as incomplete.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import trio

from cucmd.allowance import Quota
from cucmd.receiver.accounting import Accounting
from cucmd.receiver.connect_rate import ConnectRate
from cucmd.receiver.connection import Connection
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.host_keys import HostKeyUnusable, key_pairs, load_host_keys
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.listener import accepting
from cucmd.receiver.names import Names
from cucmd.receiver.refusals import RefusalLog
from cucmd.receiver.session import Backlog, SftpSession
from cucmd.receiver.unauthenticated import AllTaken, Unauthenticated
from cucmd.receiver.upload_target import UploadTarget
from cucmd.ssh.algorithms import usual_algorithms
from cucmd.ssh.bridge import run_callbacks
from cucmd.ssh.peer import CHECK_EVERY, source_of

__all__ = [
    "HostKeyUnusable",
    "Receiver",
    "ReceiverLimits",
    "UploadTarget",
    "open_receiver",
]

_LAST_WAIT_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Receiver:
    """The server while it runs. `address` and `port` are where it listens; `connections` are those
    that are open, logged in or not.
    """

    def __init__(self, limits: ReceiverLimits, nursery: trio.Nursery) -> None:
        self.address = ""
        self.port = 0
        self.limits = limits
        self.unauthenticated: Unauthenticated[Connection] = Unauthenticated(limits.unauthenticated)
        self.space = FreeSpace(limits.min_free_bytes, limits.min_free_ratio)
        self.backlog = Backlog(limits)
        self.names = Names(limits)
        self.refusals = RefusalLog()
        self._rate = ConnectRate(limits.connect_burst, limits.connect_rate)
        self._nursery = nursery
        self._threads = trio.CapacityLimiter(limits.threads)
        self._targets: dict[str, UploadTarget] = {}
        self._expected: dict[str, set[UploadTarget]] = {}  # by the node's address
        self.connections: set[Connection] = set()
        self._closing = False

    def open_upload_target(
        self,
        folder: Path,
        *,
        name: str,
        node: str = "",
        prefix: str = "",
        quota: Quota | None = None,
        address: str = "",
    ) -> UploadTarget:
        """A target with a login of its own. `folder` is made when the first client logs in.

        `name`, `node`, `prefix`: see `Accounting`. `address`: the node's, for which room is kept
        until the target is closed; "": unknown. Close the target with `aclose`.
        """
        accounting = Accounting(name, quota or Quota(), self.limits, node, prefix, names=self.names)
        target = UploadTarget(folder, accounting, self.limits, self._forget_target)
        self._targets[target.username] = target
        if address:
            target.source = source_of(address)
            self._expected.setdefault(target.source, set()).add(target)
        return target

    # For connections and sessions; on the event loop.

    def target(self, username: str) -> UploadTarget | None:
        return self._targets.get(username)

    def expects(self, source: str) -> bool:
        """Whether a node of that address has an upload target."""
        return source in self._expected

    def may_connect(self, source: str) -> bool:
        """For the listener, before anything is done for a connection."""
        if self._rate.take(source, trio.current_time()):
            return True
        self.refused(source, "too many of that address did not log in")
        return False

    def admit(self, connection: Connection, source: str) -> bool:
        """Counts a new connection as not logged in. False: it is to be cut."""
        self.connections.add(connection)
        if self._closing:
            return False
        try:
            displaced = self.unauthenticated.enter(
                source, connection, expected=self.expects(source)
            )
        except AllTaken:
            self.refused(source, "too many others are logging in")
            return False
        if displaced is not None:
            self.refused(displaced.source, "too many others are logging in")
            displaced.abort()
        return True

    def logged_in(self, connection: Connection, source: str) -> None:
        self.unauthenticated.leave(source, connection)
        self._rate.give_back(source, trio.current_time())

    def refused(self, source: str, reason: str) -> None:
        """A connection was refused or cut because of a limit of ours: `reason` follows "because".

        Each node of that address learns of it: which one it was, nobody can know.
        """
        self.refusals.add(f"refused because {reason}", source)
        for target in self._expected.get(source, ()):
            target.refused += 1
            target.refused_why = reason

    def forget(self, connection: Connection, source: str) -> None:
        self.unauthenticated.leave(source, connection)
        self.connections.discard(connection)

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
            self.refusals.say()
            self._cut_excessive()

    def _cut_excessive(self) -> None:
        """Not in the loop above: its variables would hold the last connection, with all that it
        has received, while nobody connects.
        """
        for connection in tuple(self.connections):
            try:
                reason = connection.excess()
            except Exception:
                # A defect that one connection shows must not end the others.
                _log.exception("%s: the check of a connection failed", connection.source)
                reason = "its check failed"
            if reason:
                self.refusals.add(f"cut because {reason}", connection.source)
                self._cut(connection)

    def _cut(self, connection: Connection) -> None:
        try:
            connection.abort()
        except Exception:
            _log.exception("%s: a connection cannot be cut", connection.source)
            self.forget(connection, connection.source)  # nothing will say that it has ended

    async def close(self) -> None:
        """Revokes all targets, cuts all connections; 2 s at most. No new one may come any more."""
        self._closing = True
        self.refusals.flush()
        for target in tuple(self._targets.values()):
            target.revoke()
        for connection in tuple(self.connections):
            self._cut(connection)
        with trio.move_on_after(_LAST_WAIT_SECONDS, shield=True):
            while self.connections:
                await run_callbacks()

    def _forget_target(self, target: UploadTarget) -> None:
        self._targets.pop(target.username, None)
        expected = self._expected.get(target.source, set())
        expected.discard(target)
        if not expected:
            self._expected.pop(target.source, None)


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
        try:
            async with accepting(listen, options, receiver) as where:
                receiver.address, receiver.port = where
                nursery.start_soon(receiver.cut_excessive_connections)
                yield receiver
        finally:
            await receiver.close()
            nursery.cancel_scope.cancel()


def _options(
    receiver: Receiver, keys: list[asyncssh.SSHKey], *, legacy: bool
) -> asyncssh.SSHServerConnectionOptions:
    """Every option that a client could make use of, set here and not left to a default."""
    algorithms = usual_algorithms(legacy=legacy)
    options: dict[str, Any] = {
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
    return asyncssh.SSHServerConnectionOptions(**options)
