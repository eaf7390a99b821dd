"""Opens, reads, writes and closes a node's command line over SSH, from trio.

`open_shell` either returns an open shell, or raises an exception and leaves no connection open.
"""

from __future__ import annotations

import logging
import traceback

import asyncssh
import trio

from cucmd.failure import Code, NodeFailed, fail
from cucmd.node_name import address
from cucmd.ssh.algorithms import host_key_order, usual_algorithms
from cucmd.ssh.bridge import on_asyncio
from cucmd.ssh.causes import Mask, failed_login, printable
from cucmd.ssh.inbox import Inbox
from cucmd.ssh.known_hosts import KnownHosts, Policy
from cucmd.ssh.link import Link, client_options, connect
from cucmd.ssh.node_login import NodeLogin, Steps

_log = logging.getLogger(__name__)


class Shell:
    """Provides an open command line of a node to one reader at a time.

    This is the `Shell` of `node/ports.py`, where its methods are described.

    lost: once `receive` has returned b"", why the connection broke, or None if the node ended the
        session in order.
    """

    def __init__(self, host: str, port: int, link: Link, inbox: Inbox) -> None:
        self.local_address = link.local_address
        self.peer_address = link.peer_address
        self._address = address(host, port)
        self._link = link
        self._inbox = inbox

    @property
    def lost(self) -> str | None:
        return f"{self._address}: {self._inbox.lost}" if self._inbox.lost else None

    async def receive(self) -> bytes:
        data = await self._inbox.receive()
        if not data and self._link.end_reason is not None:
            raise self._link.end_reason
        return data

    @property
    def has_come(self) -> bool:
        # The inbox gets the data of an SSH packet only once the whole packet was read. So look into
        # the socket's buffer as well.
        return self._inbox.has_come or self._link.has_come

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        await self._inbox.writable.wait()
        try:
            self._link.write(data)
        except OSError:
            if self._link.end_reason is not None:
                raise self._link.end_reason from None
            reason = self.lost or f"{self._address} has ended the session"
            raise fail(Code.CONNECTION_LOST, reason) from None

    async def aclose(self) -> None:
        """Sends EOF, waits until the node closes the channel, disconnects, and closes the socket.

        The last two steps take 1 s at most. This may be called again.
        """
        try:
            self._link.end_session()
            await self._inbox.closed.wait()
        finally:
            self._link.disconnect()
            await self._link.wait_closed()


async def open_shell(  # noqa: PLR0917  # every argument is needed
    host: str,
    port: int,
    username: str,
    password: str,
    policy: Policy,
    known: KnownHosts,
    steps: Steps,
    *,
    columns: int,
    mask: Mask,
) -> Shell:
    """Connects to a node, logs in with the password, and returns a shell on a PTY.

    columns: the width of the terminal. The node may wrap longer lines when it echoes them.
    mask: removes secrets from the node's text before the text is used in a message.

    The caller sets the deadlines. A cancel at any point leaves no socket open. The caller must run
    in the body of `open_bridge`, or in a task that the body started.

    Raises NodeFailed with connection_refused, connection_lost, host_unreachable, host_key_changed,
    host_key_unknown, auth_failed, no_common_algorithm, or not_a_node if no SSH server answers.
    """
    algorithms = usual_algorithms(legacy=policy.legacy_algorithms)
    types = frozenset(line.algorithm for line in known.trusted(host, port))
    settings = client_options(algorithms, tuple(host_key_order(algorithms, types)))
    login = NodeLogin((host, port), (username, password), policy, known, steps, mask)
    inbox = Inbox(mask)
    try:
        link = Link(await connect(host, port), login)
        try:
            steps.connected()
            await on_asyncio(link.open_shell, host, port, settings, inbox, columns)
        except BaseException:
            link.abort()
            await link.wait_closed()
            raise
        finally:
            # Write a new host key to the file even if the login was cancelled. Otherwise a restart
            # of the daemon would forget the key.
            try:
                with trio.CancelScope(shield=True):
                    await known.flush()
            except OSError as error:
                # The work on the node goes on. The key stays in memory for the next flush.
                _log.error("cannot write %s: %s", known.path, error)
    except (NodeFailed, trio.Cancelled):
        raise
    except Exception as error:
        if login.end_reason is error:
            raise
        if login.end_reason is not None:
            raise login.end_reason from error
        if not isinstance(error, asyncssh.Error | OSError):
            # asyncssh may raise any exception if the peer breaks the protocol, or because of a
            # defect. The text of the exception may come from the peer, and a traceback would log it
            # unmasked. So the log gets the masked text and the stack.
            said = f"{type(error).__name__}: {printable(mask(str(error)))}"
            stack = "".join(traceback.format_tb(error.__traceback__))
            where = address(host, port)
            _log.warning("%s: unexpected error of asyncssh: %s\n%s", where, said, stack)
        raise failed_login((host, port), login.username, error, login.progress(), mask) from error
    finally:
        login.forget()
    return Shell(host, port, link, inbox)
