"""Runs `cucmweb serve`: opens the sockets, talks to systemd, and serves until a signal comes."""

from __future__ import annotations

import logging
import math
import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import trio
from msgspec.structs import replace

from cucmctl.cli.printer import visible
from cucmctl.client.errors import ClientError
from cucmctl.sites.connection import AT_A_TIME, JITTER, Connection
from cucmctl.sites.places import Site
from cucmd.service import systemd
from cucmd.service.log import set_up_logging
from cucmtrio import open_client
from cucmtrio.events import events
from cucmweb.application import Application
from cucmweb.assistants import Assistants, assistants
from cucmweb.config import WebConfig, for_addresses, parse_listen
from cucmweb.event_streams import EventStreams
from cucmweb.handovers import Handovers, opened_handovers
from cucmweb.listeners import address_text, open_sockets
from cucmweb.page.live import Live
from cucmweb.page.sessions import Sessions
from cucmweb.places import DOWNLOADS
from cucmweb.server import HttpServer
from cucmweb.token_file import TokenFile

# Seconds until the watch of the daemon is started again after a refusal.
_PAUSE = 2.0
# Seconds until a site that could not be reached is tried again.
_LOGIN_AGAIN = 30.0

MakeApplication: TypeAlias = Callable[
    [WebConfig, Handovers, Mapping[str, Application | None]],
    AbstractAsyncContextManager[tuple[Application, EventStreams, Assistants]],
]

_log = logging.getLogger("cucmweb")


def run(config: WebConfig, *, trusts_network: bool) -> None:
    """Serves until SIGTERM or SIGINT. Raises `ConfigError` and `CannotListen`."""
    set_up_logging(logging.INFO)
    tokens = TokenFile(Path(config.tokens))
    if state := os.environ.get("STATE_DIRECTORY"):  # systemd sets it
        # The key and the map of the masks are there, for assistants and for handovers.
        os.environ.setdefault("XDG_DATA_HOME", state)
    with (
        opened_handovers(config) as handovers,
        open_sockets(parse_listen(config.listen)) as opened,
    ):
        sockets = [bound for bound, _ in opened]
        addresses = [address for _, address in opened]
        config = for_addresses(
            config, addresses, has_tokens=bool(tokens.tokens()), trusts_network=trusts_network
        )
        for address in addresses:
            _log.info("listening at %s, for the daemon at %s", address_text(address), config.socket)
        trio.run(_serve, config, tokens, sockets, handovers)


async def _serve(
    config: WebConfig,
    tokens: TokenFile,
    sockets: Sequence[socket.socket],
    handovers: Handovers,
) -> None:
    """Serves until a signal comes. Replies that have begun then get some seconds to end."""
    sites: dict[str, Application | None] = dict.fromkeys(config.sites)
    make, logins = partial(_application, tokens, Sessions()), trio.CapacityLimiter(AT_A_TIME)
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(one)) for one in sockets]
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with (
            make(config, handovers, sites) as (application, streams, mcp),
            trio.open_nursery() as serving,
        ):
            server = HttpServer(application.answer, config.limits, config.proxy)
            serving.start_soon(server.run, listeners)
            async with trio.open_nursery() as beside:
                beside.start_soon(_watch, config, streams)
                beside.start_soon(_feed_watchdog)
                beside.start_soon(handovers.run)
                for site in config.sites.values():
                    beside.start_soon(_keep_site, site, config, make, sites, logins)
                systemd.notify(READY=1)
                number = await anext(signals)
                _log.info("stopping on %s", signal.Signals(number).name)
                systemd.notify(STOPPING=1)
                # This ends all event streams, which would otherwise take up the grace period of the
                # replies.
                beside.cancel_scope.cancel()
            server.stop()
            mcp.stop()


@asynccontextmanager
async def _application(
    tokens: TokenFile,
    sessions: Sessions,
    config: WebConfig,
    handovers: Handovers,
    sites: Mapping[str, Application | None],
) -> AsyncIterator[tuple[Application, EventStreams, Assistants]]:
    """Yields what answers requests for one daemon, the event streams, which `_watch` has to feed,
    and what answers assistants.
    """
    live = Live()
    streams = EventStreams(live)
    async with (
        open_client(config.socket) as daemon,
        # One connection more, for the calls of daemon_liveness.py.
        open_client(config.socket, connections=DOWNLOADS + 1) as downloads,
        assistants(config, downloads) as mcp,
    ):
        application = Application(
            daemon,
            downloads,
            streams.send,
            config,
            tokens,
            live=live,
            assistants=mcp,
            handovers=handovers,
            sessions=sessions,
            sites=sites,
        )
        yield application, streams, mcp


async def _keep_site(
    site: Site,
    config: WebConfig,
    make: MakeApplication,
    sites: dict[str, Application | None],
    logins: trio.CapacityLimiter,
) -> None:
    """Connects to a site, and puts what answers its requests into `sites`. Never returns.

    Jobs of the site cannot be handed over here, and assistants cannot export them: their files
    would come here only to be sent away, and the program that exports knows only paths.
    """
    while True:
        await trio.sleep(random.uniform(0, JITTER))  # noqa: S311  # this is no secret
        try:
            connection = await trio.to_thread.run_sync(
                Connection, site, limiter=logins, abandon_on_cancel=True
            )
        except ClientError as error:
            _log.warning("site %s: %s", site.name, visible(str(error)))
            await trio.sleep(_LOGIN_AGAIN)
            continue
        here = replace(config, socket=connection, targets={}, export_folder="")
        try:
            with opened_handovers(here) as none:
                async with make(here, none, {}) as (there, streams, _):
                    sites[site.name] = there
                    await _watch(here, streams)
        finally:
            sites[site.name] = None
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(connection.close)


async def _feed_watchdog() -> None:
    """Notifies systemd's watchdog twice in each interval, while trio's loop makes progress."""
    interval = systemd.watchdog_interval()
    while interval is not None:
        systemd.notify(WATCHDOG=1)
        await trio.sleep(interval / 2)


async def _watch(config: WebConfig, streams: EventStreams) -> None:
    """Watches the daemon, and starts again if the watch ends, as after a refusal. All readers are
    cut off then, since they would miss events.
    """
    async with open_client(config.socket) as client:
        while True:
            try:
                async with events(
                    client, reconnect=math.inf, whole=streams.is_followed
                ) as job_events:
                    await streams.run(job_events)
            except ClientError as error:
                streams.log_refusal(error)
            await trio.sleep(_PAUSE)
