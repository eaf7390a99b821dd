"""Runs the process of `cucmweb serve`: its sockets, its log, systemd, and its end at a signal."""

from __future__ import annotations

import logging
import resource
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import trio

from cucmd.service import systemd
from cucmd.service.log import set_up_logging
from cucmweb.admission import Callers
from cucmweb.config import WebConfig, for_addresses, parse_listen
from cucmweb.listening import open_sockets, written
from cucmweb.serve import serve
from cucmweb.token_file import TokenFile

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
