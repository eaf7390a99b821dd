"""Answers a request: lets it in or refuses it, and gives it to what answers at its path.

What every request passes first:

Host         a name of the configuration, so that no other site's page reaches a local server
             by a name of its own (DNS rebinding)
Origin       where a browser sends it: the scheme, name and port by which cucmweb itself was called
caller       found by authentication.py. Paths that are open to everybody need no caller and no Host
rate         so many requests of each caller in each second of the clock
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias
from urllib.parse import unquote

import trio

from cucmctl.client.errors import ClientError
from cucmctl.export.save import Damaged
from cucmd.job.request import OnBehalfOf
from cucmtrio import Client
from cucmweb.authentication import RequestHead, authenticate
from cucmweb.config import WebConfig, accepts_host
from cucmweb.daemon_liveness import Readiness, until
from cucmweb.exchange import Exchange, Identify
from cucmweb.openapi import document
from cucmweb.operations import FOR_ANYBODY, OPERATIONS, Operation, ReplyForm
from cucmweb.places import WebPlaces
from cucmweb.problems import HttpProblem, problem_of
from cucmweb.replies import ANSWERS, SendReply
from cucmweb.server import HttpChannel
from cucmweb.token_file import TokenFile

Endpoint: TypeAlias = Callable[[Exchange], Awaitable[None]]

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Application:
    """Answers requests. `events` answers the paths of event streams. `downloads` calls the daemon
    where its reply comes in pieces, `daemon` for all else.
    """

    def __init__(
        self,
        daemon: Client,
        downloads: Client,
        events: SendReply,
        config: WebConfig,
        tokens: TokenFile,
    ) -> None:
        limits, places = config.limits, WebPlaces(config.limits)
        self._exchange = partial(
            Exchange, daemon=daemon, downloads=downloads, places=places, limits=limits
        )
        self._config = config
        self._tokens = tokens
        self._second = 0  # that of the newest request, and how many each caller made in it
        self._made: Counter[str] = Counter()
        self._answers: Mapping[ReplyForm, SendReply] = {**ANSWERS, "events": events}
        text = document()
        self._readiness = Readiness()
        # By pattern of a path, what answers each method there.
        self._paths: defaultdict[re.Pattern[str], dict[str, Endpoint]] = defaultdict(dict)
        for one in OPERATIONS:
            at = self._paths[re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", one.path))]
            at[one.verb] = partial(self._ask_daemon, one)
            if one.verb == "GET" and one.form == "object":
                at["HEAD"] = at["GET"]
        own: dict[str, Endpoint] = {
            "/openapi.json": lambda exchange: exchange.whole(text),
            "/healthz": lambda exchange: exchange.whole(b'{"status":"alive"}'),
            "/readyz": self._readyz,
        }
        for path, endpoint in own.items():
            self._paths[re.compile(re.escape(path))] = {"GET": endpoint, "HEAD": endpoint}

    async def answer(self, channel: HttpChannel) -> None:
        """Raises `HttpProblem`, and what sending a reply raises."""
        identify = (lambda: None) if channel.path in FOR_ANYBODY else self._let_in(channel)
        matches = (pattern.fullmatch(channel.path) for pattern in self._paths)
        if (match := next(filter(None, matches), None)) is None:
            text = "no such path; /openapi.json has those that there are"
            raise HttpProblem(404, "NoSuchPath", text)
        endpoints = self._paths[match.re]
        if (endpoint := endpoints.get(channel.method)) is None:
            problem = HttpProblem(405, "MethodNotAllowed", "this path has no such method")
            problem.headers["allow"] = ", ".join(endpoints)
            raise problem
        # A slash that is written %2F belongs to its segment.
        path = {name: unquote(value) for name, value in match.groupdict().items()}
        try:
            await endpoint(self._exchange(channel, path, identify))
        except Damaged as error:
            raise HttpProblem(500, "Damaged", str(error)) from error
        except ClientError as error:
            raise problem_of(error) from error

    def _let_in(self, channel: HttpChannel) -> Identify:
        """Raises `HttpProblem`. What is for anybody does not come here: it has no rate either,
        which one who asks could use up for all others.
        """
        arrival, proxy = RequestHead(channel.peer, channel.headers), self._config.proxy
        hosts = arrival.values("host")
        if len(hosts) != 1 or not accepts_host(self._config, hosts[0]):
            none = "host: is none of `hosts` of the configuration"
            raise HttpProblem(403, "WrongHost", none, field="host")
        said = arrival.values("x-forwarded-proto") if proxy.trusts(arrival.peer) else []
        own = f"{said[-1] if said else 'http'}://{hosts[0]}"
        for origin in arrival.values("origin"):
            if _without_default_port(origin) != _without_default_port(own):
                text = f"origin: expected {own}; behind a proxy X-Forwarded-Proto has the scheme"
                raise HttpProblem(403, "WrongOrigin", text, field="origin")

        def identify() -> OnBehalfOf | None:
            return authenticate(arrival, self._tokens.tokens(), proxy, datetime.now(UTC))

        who = identify()
        channel.by = f"'{who.name}'" if who else "the socket"
        if self._second != (second := int(trio.current_time())):
            self._second, self._made = second, Counter()
        name = who.name if who else ""
        self._made[name] += 1
        if self._made[name] > self._config.limits.requests:
            most = f"more than {self._config.limits.requests} requests a second"
            raise HttpProblem(429, "TooManyRequests", most)
        return identify

    async def _ask_daemon(self, operation: Operation, exchange: Exchange) -> None:
        asked = await exchange.parameters(operation)
        is_short = operation.form == "object" and operation.limited
        async with nullcontext() if is_short else until(exchange.gone):
            await self._answers[operation.form](exchange, operation, asked)

    async def _readyz(self, exchange: Exchange) -> None:
        """Does not say why it is not: anybody may ask."""
        if not await self._readiness.of(exchange.daemon):
            raise HttpProblem(503, "DaemonUnavailable", "the daemon does not answer")
        await exchange.whole(b'{"status":"ready"}')


def _without_default_port(origin: str) -> str:
    lower = origin.lower()
    return lower.removesuffix(_DEFAULT_PORTS.get(lower.partition("://")[0], ""))
