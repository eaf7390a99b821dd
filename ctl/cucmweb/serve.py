"""Runs `cucmweb serve`: its sockets, systemd and signals, until a signal ends it."""

from __future__ import annotations

import logging
import math
import resource
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import trio

from cucmctl.client.errors import ClientError
from cucmd.service import systemd
from cucmd.service.log import set_up_logging
from cucmtrio import open_client
from cucmtrio.events import events
from cucmweb.application import Application
from cucmweb.config import WebConfig, for_addresses, parse_listen
from cucmweb.event_streams import EventStreams
from cucmweb.listeners import open_sockets, written
from cucmweb.places import DOWNLOADS
from cucmweb.server import HttpServer
from cucmweb.token_file import TokenFile

# Seconds until the daemon is asked again for its events, where it has refused.
_PAUSE = 2.0

_log = logging.getLogger("cucmweb")


def run(config: WebConfig, *, trusts_network: bool) -> None:
    """Serves until SIGTERM or SIGINT. Raises `ConfigError` and `CannotListen`."""
    set_up_logging(logging.INFO)
    # The limit of descriptors, mostly 1024 at first, is raised: a client each would take more.
    first, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if first < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    tokens = TokenFile(Path(config.tokens))
    with open_sockets(parse_listen(config.listen)) as opened:
        sockets = [bound for bound, _ in opened]
        addresses = [address for _, address in opened]
        config = for_addresses(
            config, addresses, has_tokens=bool(tokens.tokens()), trusts_network=trusts_network
        )
        for address in addresses:
            _log.info("listening at %s, for the daemon at %s", written(address), config.socket)
        trio.run(_serve, config, tokens, sockets)


async def _serve(config: WebConfig, tokens: TokenFile, sockets: Sequence[socket.socket]) -> None:
    """Serves until a signal comes; then replies that have begun have some seconds."""
    streams = EventStreams()
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(one)) for one in sockets]
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with (
            open_client(config.socket) as daemon,
            # One more for daemon_liveness.py.
            open_client(config.socket, connections=DOWNLOADS + 1) as downloads,
            trio.open_nursery() as serving,
        ):
            application = Application(daemon, downloads, streams.send, config, tokens)
            server = HttpServer(application.answer, config.limits, config.proxy)
            serving.start_soon(server.run, listeners)
            async with trio.open_nursery() as beside:
                beside.start_soon(_watch, config, streams)
                beside.start_soon(_feed_watchdog)
                systemd.notify(READY=1)
                number = await anext(signals)
                _log.info("stopping on %s", signal.Signals(number).name)
                systemd.notify(STOPPING=1)
                beside.cancel_scope.cancel()  # which ends all streams of events
            server.stop()


async def _feed_watchdog() -> None:
    """Notifies twice in each interval of systemd's watchdog, while trio's loop makes progress."""
    interval = systemd.watchdog_interval()
    while interval is not None:
        systemd.notify(WATCHDOG=1)
        await trio.sleep(interval / 2)


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
                streams.log_refusal(error)
            await trio.sleep(_PAUSE)
