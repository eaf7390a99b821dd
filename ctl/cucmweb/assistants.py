"""Answers /mcp: the server of `cucmmcp`, behind the tokens and roles of this program.

    application.py -> Assistants -> the SDK, by ASGI -> cucmmcp -> the daemon, on behalf of somebody

Each caller has a server of its own, which is made at the caller's first request. Up to version
2025-11-25 of the protocol there are sessions, in which the person can be asked. So each session
belongs to one caller, and the SDK's limits hold for each caller. Later versions have no sessions.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from cucmctl.cli.exits import Failed
from cucmctl.commands.mask import piece_masking
from cucmd.job.request import OnBehalfOf
from cucmtrio import Client
from cucmweb.config import WebConfig
from cucmweb.exchange import Exchange
from cucmweb.problems import HttpProblem

if TYPE_CHECKING:
    from cucmctl.mask.pieces import PieceMasking

Message: TypeAlias = MutableMapping[str, Any]
Asgi: TypeAlias = Callable[..., Awaitable[None]]

_log = logging.getLogger("cucmweb")


class Assistants:
    """Answers the requests of all callers.

    daemon   the client for calls whose reply comes in pieces
    servers  the nursery in which the servers run
    """

    def __init__(self, config: WebConfig, daemon: Client, servers: trio.Nursery) -> None:
        self._config = config
        self._daemon = daemon
        self._nursery = servers
        self._lock = trio.Lock()
        self._masking: PieceMasking | None = None
        self._servers: dict[OnBehalfOf | None, Asgi] = {}

    async def answer(self, exchange: Exchange) -> None:
        """Answers a request. Raises `HttpProblem`, and what sending a reply raises."""
        if find_spec("mcp") is None:
            raise HttpProblem(
                404, "NoSuchPath", "/mcp needs the extra `mcp`, which is missing here"
            )
        with exchange.places.streams.held(exchange.caller):
            body = await exchange.channel.body(self._config.limits.body)
            async with self._lock:
                if exchange.caller not in self._servers:
                    await self._prepare()
                    await self._nursery.start(self._serve, exchange.caller)
                server = self._servers[exchange.caller]
            request = _AsgiRequest(exchange, body)
            await server(request.scope, request.receive, request.send)

    def stop(self) -> None:
        """Ends the sessions of older clients, which takes the SDK some seconds."""
        self._nursery.cancel_scope.cancel()

    async def _prepare(self) -> None:
        """Loads the SDK and the key of the masks. Raises `HttpProblem`."""

        def load() -> PieceMasking | None:
            # Otherwise the SDK logs each session with its id.
            logging.getLogger("mcp").setLevel(logging.WARNING)
            import cucmmcp.server  # noqa: F401, PLC0415  # takes seconds, so not at the start

            return piece_masking(self._config.socket) if self._config.mask_assistants else None

        try:
            self._masking = self._masking or await trio.to_thread.run_sync(load)
        except (Failed, OSError) as error:
            _log.error("answers at /mcp cannot be masked: %s", error)
            text = "the answers cannot be masked; the log of cucmweb says why"
            raise HttpProblem(503, "CannotMask", text) from error

    async def _serve(self, caller: OnBehalfOf | None, task_status: trio.TaskStatus[None]) -> None:
        """Serves one caller until cucmweb stops."""
        from mcp.server.transport_security import TransportSecuritySettings  # noqa: PLC0415

        from cucmmcp.server import Server  # noqa: PLC0415
        from cucmmcp.tools import Tools  # noqa: PLC0415

        may_operate = caller is None or caller.role == "operate"
        daemon, folder = self._daemon.on_behalf_of(caller), self._config.export_folder
        server = Server(Tools(daemon, may_operate, self._masking, folder))
        server.streamable_http_app(
            max_sessions=self._config.limits.streams_per_caller,
            # application.py has checked Host and Origin.
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        try:
            async with server.session_manager.run():
                self._servers[caller] = server.session_manager.asgi_app
                task_status.started()
                await trio.sleep_forever()
        except Exception:
            _log.exception("a defect in the server of an assistant")
        finally:
            self._servers.pop(caller, None)


@asynccontextmanager
async def assistants(config: WebConfig, daemon: Client) -> AsyncIterator[Assistants]:
    """Yields what answers /mcp. After the block, nothing is answered any more."""
    async with trio.open_nursery() as servers:
        yield (served := Assistants(config, daemon, servers))
        served.stop()


class _AsgiRequest:
    """Holds a request in the form in which ASGI wants it, and sends the reply to it."""

    def __init__(self, exchange: Exchange, body: bytes) -> None:
        channel = exchange.channel
        self.scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": channel.version,
            "method": channel.method,
            "scheme": "http",
            "path": channel.path,
            "raw_path": channel.path.encode(),
            "root_path": "",
            "query_string": channel.query.encode(),
            "headers": list(channel.headers),
            "client": None,
            "server": None,
        }
        self._exchange = exchange
        self._pieces = [body]

    async def receive(self) -> Message:
        """Returns the body. The next call waits until nobody can read the reply any more. The SDK
        makes this call while it makes a reply, so that it stops when the client is gone.
        """
        if self._pieces:
            return {"type": "http.request", "body": self._pieces.pop(), "more_body": False}
        await self._exchange.gone()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        channel = self._exchange.channel
        if message["type"] == "http.response.start":
            pairs = message["headers"]
            headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in pairs}
            channel.start(message["status"], headers)
            await channel.send(b"")  # a stream may have nothing to say for a while
        elif message.get("more_body"):
            await channel.send(message["body"])
        else:
            await channel.end(message.get("body", b""))
