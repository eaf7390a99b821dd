"""Opens, reads, writes and closes a node's command line over SSH, from trio.

`open_shell` returns an open shell, or raises and leaves no connection.
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
    """Is an open command line: the `Shell` of `node/ports.py`, where its methods are described.
    Only for one reader at a time.

    lost: why the connection broke, once `receive` has returned b""; None if the node ended the
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
        # A packet is read in many turns of the loop, and is in the inbox only once it is whole.
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
        """Closes the shell: EOF, channel, disconnect, socket; the last two take 1 s at most. May be
        called again.
        """
        try:
            self._link.end_session()
            await self._inbox.closed.wait()
        finally:
            self._link.disconnect()
            await self._link.wait_closed()


async def open_shell(  # noqa: PLR0917  # all of them are needed
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
    """Connects, logs in with the password, and starts a shell on a PTY.

    columns: of the terminal, at which the node may wrap what it echoes.
    mask: removes secrets from the node's text before it is used in a message.

    Has no deadline of its own. Cancelled at any point, it leaves no socket open. Must be called
    below `open_bridge`. Raises NodeFailed with connection_refused, connection_lost,
    host_unreachable, host_key_changed, host_key_unknown, auth_failed, no_common_algorithm, or
    not_a_node where no SSH server answers.
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
            # Also if the login was cancelled: a key in memory alone is forgotten by a restart.
            try:
                with trio.CancelScope(shield=True):
                    await known.flush()
            except OSError as error:
                # Not an error of this node. The key stays in memory; the next flush tries again.
                _log.error("cannot write %s: %s", known.path, error)
    except (NodeFailed, trio.Cancelled):
        raise
    except Exception as error:
        cause = _failure_of((host, port), login, error, mask)
        if cause is error:
            raise
        raise cause from error
    finally:
        login.forget()
    return Shell(host, port, link, inbox)


def _failure_of(node: tuple[str, int], login: NodeLogin, error: Exception, mask: Mask) -> Exception:
    if login.end_reason is not None:
        return login.end_reason
    if not isinstance(error, asyncssh.Error | OSError):
        # A peer that breaks the protocol makes asyncssh raise anything; so does a defect. The text
        # of the error may be the peer's, so it goes through the mask and not into a traceback.
        said = f"{type(error).__name__}: {printable(mask(str(error)))}"
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.warning("%s: unexpected error of asyncssh: %s\n%s", address(*node), said, where)
    return failed_login(node, login.username, error, login.progress(), mask)
