"""Runs the process that serves one connection, from its first message to its end.

The process has one thread with an event loop for asyncssh. It waits for the disk and for the daemon
inside that loop, because it serves nobody else. The daemon can kill it at any time.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import asyncssh
import msgspec

from cucmd.receiver.connection import Connection, SshConnection
from cucmd.receiver.daemon_client import DaemonClient
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.host_keys import key_pairs
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.messages import MAX_LOG_LINE, Begin, ConnectionEnded, LogLine, ToProcess
from cucmd.ssh.algorithms import usual_algorithms
from cucmd.ssh.asyncssh_setup import prepare_asyncssh
from cucmd.ssh.unread_bytes import CHECK_SECONDS
from cucmd.worker.forked import Channel, DaemonGone

_BEGIN = msgspec.msgpack.Decoder(Begin)
_ANSWER = msgspec.msgpack.Decoder(ToProcess)

_log = logging.getLogger(__name__)


def before_forks() -> None:
    """Makes keys and options, as every process that serves a connection does later for itself.

    The libraries then load modules and fill caches. If the fork server has done so before, all
    processes share that memory, and each takes 1.1 MB less.
    """
    prepare_asyncssh()
    made = [
        asyncssh.generate_private_key("ssh-rsa", key_size=1024),
        asyncssh.generate_private_key("ecdsa-sha2-nistp256"),
    ]
    keys = [asyncssh.import_private_key(key.export_private_key("openssh")) for key in made]
    server_options(keys, ReceiverLimits(), legacy=True)


def receive(channel: Channel) -> None:
    """Serves one connection. This is the function of the role `receive`."""
    begin, descriptor = channel.receive(_BEGIN), channel.receive_descriptor()
    logging.getLogger().handlers[:] = [LogToDaemon(channel)]
    prepare_asyncssh()
    loop = asyncio.new_event_loop()
    loop.set_default_executor(InlineExecutor())
    loop.run_until_complete(_serve(channel, begin, socket.socket(fileno=descriptor)))
    channel.send(ConnectionEnded())


async def _serve(channel: Channel, begin: Begin, accepted: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_error)
    limits = msgspec.convert(begin.limits, ReceiverLimits)
    space = FreeSpace(limits.min_free_bytes, limits.min_free_ratio, limits.connections_in_all)
    ended = asyncio.Event()
    login = DaemonClient(channel)
    connection = Connection(login, limits, space, ended.set)
    # The check of an RSA key takes 0.15 s, and the daemon has done it when it loaded the key.
    asyncssh.set_default_skip_rsa_key_validation(True)
    keys = [asyncssh.import_private_key(key) for key in begin.host_keys]
    options: Any = server_options(keys, limits, legacy=begin.legacy_algorithms)
    options.protocol_factory = lambda: connection
    try:
        await loop.connect_accepted_socket(lambda: SshConnection(loop, options), accepted)
    except OSError:  # the client has closed the connection already
        return
    while not ended.is_set():
        # asyncssh itself has no limits for the memory that `reason_to_cut` checks.
        if reason := connection.reason_to_cut():
            _log.warning("%s: a connection is cut because %s", login.name or "receiver", reason)
            connection.abort()
        try:
            await asyncio.wait_for(ended.wait(), CHECK_SECONDS)
        except TimeoutError:
            pass


def _log_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _log.error("asyncio: %s", context.get("message"), exc_info=context.get("exception"))


class InlineExecutor(ThreadPoolExecutor):
    """Runs functions in the calling thread, because this process may start no thread.

    asyncssh uses an executor to prepare the options for a user name, which takes 0.1 ms.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **named))
        except Exception as error:
            done.set_exception(error)
        return done


class LogToDaemon(logging.Handler):
    """Sends log records to the daemon, which writes the log."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(logging.WARNING)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(DaemonGone):  # the daemon is about to kill this process
            self._channel.send(LogLine(record.levelno, self.format(record)[:MAX_LOG_LINE]))
            self._channel.receive(_ANSWER)


def server_options(
    keys: list[asyncssh.SSHKey], limits: ReceiverLimits, *, legacy: bool
) -> asyncssh.SSHServerConnectionOptions:
    """Returns the options of the server. Every option that could help an attacker is set."""
    algorithms = usual_algorithms(legacy=legacy)
    options: dict[str, Any] = {
        **algorithms.options(),
        "server_host_keys": key_pairs(keys, list(algorithms.host_keys)),
        "server_version": "cucmd",
        "config": None,
        "login_timeout": limits.login_timeout,
        # A look-up of the client's name could delay our SSH version, and a node gives up on a
        # server whose version comes late (vos/NODES.md, section 5.4).
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
