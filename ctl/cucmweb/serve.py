"""Runs `cucmweb serve`: its sockets, systemd and signals, and HTTP until a signal ends it.

Each connection is hypercorn's, over a stream that has a client take what is sent within some
seconds: hypercorn sends behind a shield, so that nothing but the end of the stream frees it.

`TCPServer` and `WorkerContext` of hypercorn are not its public interface, which takes no streams of
ours; with a way to give it those they would not be needed. Two private names of it are replaced,
each until hypercorn offers what stands beside it. The dependency is bounded at the minor version
that was tried, and a test fails where a name changes.

    `_check_protocol` of H11Protocol  a setting for HTTP/1.1 alone
    `_read_data` of TCPServer         the idle timer is stopped where the client has left
"""

from __future__ import annotations

import logging
import math
import resource
import signal
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from cucmctl.client.errors import ClientError
from cucmd.service import systemd
from cucmd.service.log import set_up_logging
from cucmtrio import open_client
from cucmtrio.events import events
from cucmweb.application import Application
from cucmweb.config import WebConfig, for_addresses, parse_listen
from cucmweb.events import EventStreams
from cucmweb.front import Callers, Front
from cucmweb.listening import open_sockets, written
from cucmweb.places import DOWNLOADS
from cucmweb.token_file import TokenFile

# Seconds in which replies that have begun may end, once it is stopped.
_GRACE = 3.0
# Seconds until the daemon is asked again for its events, where it has refused.
_PAUSE = 2.0
# Connections at once, beside those of event streams; and those that wait for one of these to end.
_MOST_BESIDE = 200
_MOST_WAITING = 200
# Bytes that are sent under one deadline: what a client that reads slowly, but reads, manages.
_PIECE = 64 * 1024

_log = logging.getLogger("cucmweb")


def run(config: WebConfig) -> None:
    """Serves until SIGTERM or SIGINT. Raises `UnusableFile` and `CannotListen`."""
    set_up_logging(logging.INFO)
    _allow_all_descriptors()
    tokens = TokenFile(Path(config.tokens))
    with open_sockets(parse_listen(config.listen)) as opened:
        sockets = [bound for bound, _ in opened]
        addresses = [address for _, address in opened]
        config = for_addresses(config, addresses, has_tokens=bool(tokens.tokens()))
        for address in addresses:
            _log.info("listening at %s, for the daemon at %s", written(address), config.socket)
        trio.run(_until_stopped, config, Callers(tokens, config.proxy), sockets)


def _allow_all_descriptors() -> None:
    """Raises the limit of descriptors, mostly 1024 at first: a client each would take more."""
    first, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if first < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _until_stopped(
    config: WebConfig, callers: Callers, sockets: Sequence[socket.socket]
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, config, callers, sockets)
            nursery.start_soon(_feed_watchdog)
            systemd.notify(READY=1)
            number = await anext(signals)
            _log.info("stopping on %s", signal.Signals(number).name)
            systemd.notify(STOPPING=1)
            nursery.cancel_scope.cancel()


async def _feed_watchdog() -> None:
    """Notifies twice in each interval of systemd's watchdog, while trio's loop makes progress."""
    interval = systemd.watchdog_interval()
    while interval is not None:
        systemd.notify(WATCHDOG=1)
        await trio.sleep(interval / 2)


async def serve(
    config: WebConfig,
    callers: Callers,
    sockets: Sequence[socket.socket],
    *,
    task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until it is cancelled; then replies that have begun have some seconds. Closes the
    sockets.
    """
    limits = config.limits
    streams = EventStreams()
    async with (
        open_client(config.socket) as daemon,
        open_client(config.socket, connections=DOWNLOADS + 1) as downloads,  # one for liveness.py
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_watch, config, streams)
        application = Application(daemon, downloads, streams.send, limits)
        front = Front(application, config, callers)
        server = _HttpServer(front, limits.patience, limits.streams + _MOST_BESIDE)
        listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(one)) for one in sockets]
        task_status.started()
        await server.run(listeners)


async def _watch(config: WebConfig, streams: EventStreams) -> None:
    """Watches the daemon. Where that answers with what ends a watch, such as a refusal, it begins
    anew: all readers are cut off, since nobody knows what it would have told them.
    """
    async with open_client(config.socket) as client:
        while True:
            try:
                async with events(client, reconnect=math.inf, whole=streams.is_followed) as told:
                    await streams.run(told)
            except ClientError as error:
                _log.error("no events come from the daemon: %s", error)
            await trio.sleep(_PAUSE)


class _HttpServer:
    def __init__(self, front: Front, patience: float, most: int) -> None:
        self._front = ASGIWrapper(cast(Any, front))
        self._patience = patience
        self._places = trio.CapacityLimiter(most)
        self._ending = trio.Event()
        self._context = WorkerContext(None)
        self._config = Config()
        self._config.include_server_header = False
        self._config.keep_alive_timeout = patience
        self._config.errorlog = logging.getLogger("cucmweb.hypercorn")

    async def run(self, listeners: list[trio.SocketListener]) -> None:
        async with trio.open_nursery() as nursery:
            connections = await nursery.start(self._hold)
            try:
                await trio.serve_listeners(self._handle, listeners, handler_nursery=connections)
            finally:
                self._ending.set()

    async def _hold(
        self, task_status: trio.TaskStatus[trio.Nursery] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Holds the nursery of the connections, for some seconds longer than the server lives."""
        async with trio.open_nursery() as connections:
            connections.cancel_scope.shield = True
            task_status.started(connections)
            await self._ending.wait()
            await self._context.terminated.set()
            connections.cancel_scope.deadline = trio.current_time() + _GRACE

    async def _handle(self, stream: trio.SocketStream) -> None:
        """Closes it where too many wait for a place, and where none is free within `patience`."""
        async with stream, AsyncExitStack() as stack:
            if self._places.statistics().tasks_waiting >= _MOST_WAITING:
                return
            with trio.move_on_after(self._patience) as patience:
                await stack.enter_async_context(self._places)
            if not patience.cancelled_caught:
                await self._serve(stream)

    async def _serve(self, stream: trio.SocketStream) -> None:
        with trio.CancelScope() as scope:
            patient = PatientStream(stream, self._patience, scope)
            try:
                taken = cast(Any, patient)  # it wants one for TLS, by its types
                await _Http1(self._front, self._config, self._context, {}, taken)
            except Exception:
                _log.exception("a defect in a connection")


class _Http1(TCPServer):
    """Serves a connection of HTTP/1.1 only. For who asks for HTTP/2 hypercorn would go on in that,
    where a connection without a request never ends; and some programs ask with every request
    (`h2c`).
    """

    @property
    def protocol(self) -> Any:
        return self._http1

    @protocol.setter
    def protocol(self, wrapper: Any) -> None:
        self._http1 = wrapper.protocol
        self._http1._check_protocol = _keep_protocol

    async def _read_data(self) -> None:
        """Reads to its end. Who has left is not waited for as one who may ask again."""
        await super()._read_data()
        await self.idle_task.stop()


async def _keep_protocol(_request: object) -> None:
    pass


class PatientStream(trio.abc.Stream):
    """Ends a connection where its peer does not take what is sent within `patience` seconds:
    64 KiB each time, which all but the slowest take.

    scope  what is cancelled where nothing can be sent any more: hypercorn would wait for ever to go
           on with a request that has come behind the one whose reply was cut off
    """

    def __init__(self, stream: trio.SocketStream, patience: float, scope: trio.CancelScope) -> None:
        self.socket = stream.socket
        self._stream = stream
        self._patience = patience
        self._scope = scope

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        for begin in range(0, len(view), _PIECE):
            try:
                with trio.fail_after(self._patience):
                    await self._stream.send_all(view[begin : begin + _PIECE])
            except (trio.TooSlowError, trio.BrokenResourceError) as error:
                self._scope.cancel()
                raise trio.BrokenResourceError("the client does not read") from error

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()
