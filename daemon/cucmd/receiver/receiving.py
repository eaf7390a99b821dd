"""Runs a process that receives, from its first frame to its end.

Three kinds of threads:

    the event loop       asyncio, with asyncssh: connections, logins, sessions
    one that listens     to the daemon: grants bytes, and ends a login however much the loop has to
                         do at that moment
    those that write     `limits.threads` at most, one batch of a session at a time; but the writes
                         of one session of one login are the event loop's

Connections come by the door, from the first process. What is said to the daemon is sent by whoever
has it to say, before the client is answered: so the daemon knows of a file before its node can.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import socket
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn

import asyncssh
import msgspec

from cucmd.receiver.accounting import Accounting
from cucmd.receiver.connection import Connection, SshConnection
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.host_keys import key_pairs
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.login import ServedLogin
from cucmd.receiver.refusals import RefusalLog
from cucmd.receiver.requests import RequestHandler
from cucmd.receiver.session import SftpSession
from cucmd.receiver.unauthenticated import Unauthenticated
from cucmd.ssh.algorithms import usual_algorithms
from cucmd.ssh.library import prepare
from cucmd.ssh.peer import CHECK_EVERY
from cucmd.worker.forked import Channel, DaemonGone
from cucmd.worker.frames import (
    MOST_SAID,
    Begin,
    Expect,
    Forget,
    Grant,
    LogLine,
    OfLogin,
    Open,
    Refuse,
    ToReceiving,
    What,
)

# Accepted connections until they are made, which takes a millisecond or more: 200 nodes may come at
# the same moment. It is the oldest that goes then: its peer has waited longest, and may have gone.
_MOST_WAITING = 256
# Those that are taken from the door in one turn of the loop.
_AT_ONCE = 64

_BEGIN = msgspec.msgpack.Decoder(Begin)
_TOLD = msgspec.msgpack.Decoder(ToReceiving)

_log = logging.getLogger(__name__)


def before_forks() -> None:
    """Makes keys and options, as each process that receives does for itself.

    What the libraries load and keep for that is shared then: 1.1 MB of each.
    """
    prepare()
    made = [
        asyncssh.generate_private_key("ssh-rsa", key_size=1024),
        asyncssh.generate_private_key("ecdsa-sha2-nistp256"),
    ]
    keys = [asyncssh.import_private_key(key.export_private_key("openssh")) for key in made]
    options_for(keys, ReceiverLimits(), legacy=True)


def receive(channel: Channel) -> None:
    """Runs as a process that receives, also where nothing was done before the fork."""
    begin = channel.receive(_BEGIN)
    logging.getLogger().handlers[:] = [ToDaemon(channel)]
    prepare()
    asyncio.run(_receive(channel, begin))


async def _receive(channel: Channel, begin: Begin) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_error)
    limits = msgspec.convert(begin.limits, ReceiverLimits)
    receiving = Receiving(channel, limits, begin, loop)
    threading.Thread(target=receiving.listen, daemon=True).start()
    await receiving.make_connections()


def _log_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs the error of one callback: it belongs to one connection, and ends no other."""
    _log.error("asyncio: %s", context.get("message"), exc_info=context.get("exception"))


class ToDaemon(logging.Handler):
    """Sends what is logged to the daemon, which has the log."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(logging.WARNING)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._channel.send(LogLine(record.levelno, self.format(record)[:MOST_SAID]))
        except DaemonGone:
            _leave()


def _leave() -> NoReturn:
    """Ends the process: the daemon or the first process has gone, and nobody waits for anything."""
    os._exit(0)


class Receiving:
    """Receives, in its process. connections: those that are open, logged in or not."""

    def __init__(
        self,
        channel: Channel,
        limits: ReceiverLimits,
        begin: Begin,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.limits = limits
        self.refusals = RefusalLog(loop.call_later)
        self.connections: set[Connection] = set()
        self._channel = channel
        self._loop = loop
        self._taking = threading.Lock()  # what the daemon says
        processes = limits.processes + 1
        self._space = FreeSpace(limits.min_free_bytes, limits.min_free_ratio, processes)
        self._threads = ThreadPoolExecutor(limits.threads)
        self._unauthenticated: Unauthenticated[Connection] = Unauthenticated(limits.unauthenticated)
        self._logins: dict[str, ServedLogin] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[tuple[str, socket.socket]] = deque()
        self._came = asyncio.Event()
        self._next_look: asyncio.TimerHandle | None = None
        # It was looked at when it was made, by the daemon; which takes 0.15 s.
        asyncssh.set_default_skip_rsa_key_validation(True)
        keys = [asyncssh.import_private_key(key) for key in begin.host_keys]
        self._options = options_for(keys, limits, legacy=begin.legacy_algorithms)
        for expect in begin.expected:
            self._take(expect)

    def _tell(self, frame: OfLogin) -> None:
        try:
            self._channel.send(frame)
        except DaemonGone:
            _leave()

    def _open(self, login: str, what: What, path: str) -> int:
        try:
            return self._channel.open(Open(login, what, path))
        except DaemonGone:
            _leave()

    # What the daemon says, in a thread of its own.

    def listen(self) -> None:
        while True:
            self._channel.wait()
            self._take_all()

    def _take_all(self) -> None:
        """Takes what has come by now."""
        try:
            with self._taking:
                while self._channel.has_more():
                    self._take(self._channel.receive(_TOLD))
        except DaemonGone:
            _leave()

    def _take(self, told: ToReceiving) -> None:
        login = self._logins.get(told.login)
        match told:
            case Expect():
                accounting = Accounting(told.login, told.name, self.limits, self._tell)
                self._logins[told.login] = ServedLogin(told, accounting, self.limits, self._open)
            case Grant(_, size) if login:
                login.accounting.grant(size)
            case Refuse(_, message) if login:
                login.accounting.refused_by_the_daemon(message)
            case Forget(name) if login:
                del self._logins[name]
                login.accounting.revoke()  # or a connection might enter after the `abort`
                if login.is_used:  # a disk that hangs must not keep the others waiting
                    threading.Thread(target=login.end, daemon=True).start()
                else:
                    login.end()
                self._loop.call_soon_threadsafe(login.abort)

    # Connections.

    async def make_connections(self) -> None:
        """Makes them one after the other, as they come by the door. Does not return."""
        door = self._channel.door
        assert door is not None
        door.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(door, self._open_door, door)
        while True:
            while not self._waiting:
                self._came.clear()
                await self._came.wait()
            source, accepted = self._waiting.popleft()
            try:
                await loop.connect_accepted_socket(partial(self._made, source), accepted)
            except OSError:
                accepted.close()  # it has gone already
            await asyncio.sleep(0)

    def _made(self, source: str) -> SshConnection:
        mine: Any = copy.copy(self._options)  # to make them again takes longer than the rest
        mine.protocol_factory = lambda: Connection(self, source)
        return SshConnection(asyncio.get_running_loop(), mine)

    def _open_door(self, door: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                address, descriptors, _, _ = socket.recv_fds(door, 100, 1)
            except BlockingIOError:
                return
            except OSError:
                _leave()
            if not address:
                _leave()
            source = address.decode()
            if not descriptors:  # the kernel has cut it
                self._refused(source, "this process has no descriptor left")
                continue
            self._waiting.append((source, socket.socket(fileno=descriptors[0])))
            if len(self._waiting) > _MOST_WAITING:
                oldest, dropped = self._waiting.popleft()
                dropped.close()
                self._refused(oldest, "too many others are logging in")
            self._came.set()

    def login(self, username: str) -> ServedLogin | None:
        """Returns the login of that name. What the daemon has said of it before has come, but on a
        busy machine the thread that listens may not have had its turn since.
        """
        if username not in self._logins:
            self._take_all()
        return self._logins.get(username)

    def admit(self, connection: Connection) -> None:
        """Counts a new connection as not logged in."""
        self.connections.add(connection)
        self._look_later()
        displaced = self._unauthenticated.enter(connection.source, connection)
        if displaced is not None:
            self._refused(displaced.source, "too many others are logging in")
            displaced.abort()

    def logged_in(self, connection: Connection) -> None:
        self._unauthenticated.leave(connection.source, connection)

    def forget(self, connection: Connection) -> None:
        self._unauthenticated.leave(connection.source, connection)
        self.connections.discard(connection)

    def _refused(self, source: str, reason: str) -> None:
        """A connection was refused or cut because of a limit of ours: `reason` follows "because".

        Each node of that address learns of it: which one it was, nobody can know.
        """
        self.refusals.add(f"refused because {reason}", source)
        self._take_all()  # as in `login`
        for login in tuple(self._logins.values()):
            if login.source == source:
                login.turned_away(reason)

    # Sessions.

    def session(self, login: ServedLogin) -> SftpSession | None:
        handler = login.handler(self._space)
        if handler is None:
            return None

        def start(session: SftpSession) -> None:
            login.began(handler)  # now: a client may open sessions and never ask for SFTP
            task = asyncio.get_running_loop().create_task(self._run(session, login, handler))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return SftpSession(login, handler, self.limits, start, self.has_one)

    def has_one(self) -> bool:
        """Says whether it has one session, and no other node may log in here."""
        return len(self._tasks) == len(self._logins) == 1

    async def _run(self, session: SftpSession, login: ServedLogin, handler: RequestHandler) -> None:
        try:
            await session.run(self._threads)
        except Exception:
            # A defect in one session must not end the others.
            _log.exception("an SFTP session failed")
        finally:
            login.ended(handler)

    # Once a second, while there is a connection: what asyncssh has no limit of its own for.

    def _look_later(self) -> None:
        if self._next_look is None:
            loop = asyncio.get_running_loop()
            self._next_look = loop.call_later(CHECK_EVERY, self._look)

    def _look(self) -> None:
        self._next_look = None
        if self.connections:
            self._look_later()
        # Each in a callback of its own: what one raises is logged, and neither ends the looks nor
        # any other connection.
        loop = asyncio.get_running_loop()
        for connection in self.connections:
            loop.call_soon(self._check, connection)

    def _check(self, connection: Connection) -> None:
        reason: str | None = "its check failed"
        try:
            reason = connection.excess()
        finally:
            if reason:
                connection.abort()
                self.refusals.add(f"cut because {reason}", connection.source)


def options_for(
    keys: list[asyncssh.SSHKey], limits: ReceiverLimits, *, legacy: bool
) -> asyncssh.SSHServerConnectionOptions:
    """Sets every option that a client could make use of, and leaves none to a default."""
    algorithms = usual_algorithms(legacy=legacy)
    options: dict[str, Any] = {
        **algorithms.options(),
        "server_host_keys": key_pairs(keys, list(algorithms.host_keys)),
        "server_version": "cucmd",
        "config": None,
        "login_timeout": limits.login_timeout,
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
