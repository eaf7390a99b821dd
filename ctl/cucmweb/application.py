"""Answers a request at its path: an operation of the table, or what is about cucmweb itself."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import TypeAlias
from urllib.parse import unquote

from cucmctl.client.errors import ClientError
from cucmctl.export.export import Damaged
from cucmd.job.request import OnBehalfOf
from cucmtrio import Client
from cucmweb.answers import ANSWERS, SendReply
from cucmweb.config import WebLimits
from cucmweb.exchange import Exchange
from cucmweb.liveness import Readiness, until
from cucmweb.openapi import document
from cucmweb.operations import OPERATIONS, Operation, ReplyForm
from cucmweb.places import WebPlaces
from cucmweb.problems import HttpProblem, problem_of
from cucmweb.server import HttpChannel

Endpoint: TypeAlias = Callable[[Exchange], Awaitable[None]]


class Application:
    """Answers requests, behind front.py. `events` answers the paths of event streams. `downloads`
    calls the daemon where its reply comes in pieces, `daemon` for all else.
    """

    def __init__(
        self, daemon: Client, downloads: Client, events: SendReply, limits: WebLimits
    ) -> None:
        self._exchange = partial(
            Exchange, daemon=daemon, downloads=downloads, places=WebPlaces(limits), limits=limits
        )
        self._answers: Mapping[ReplyForm, SendReply] = {**ANSWERS, "events": events}
        self._document = document()
        self._readiness = Readiness()
        # By pattern of a path, what answers each method there.
        self._paths: defaultdict[re.Pattern[str], dict[str, Endpoint]] = defaultdict(dict)
        for one in OPERATIONS:
            at = self._paths[re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", one.path))]
            at[one.verb] = partial(self._ask_daemon, one)
            if one.verb == "GET" and one.form == "object":
                at["HEAD"] = at["GET"]
        own = {"/openapi.json": self._openapi, "/healthz": _healthz, "/readyz": self._readyz}
        for path, endpoint in own.items():
            self._paths[re.compile(re.escape(path))] = {"GET": endpoint, "HEAD": endpoint}

    async def answer(
        self,
        channel: HttpChannel,
        who: OnBehalfOf | None,
        identify: Callable[[], OnBehalfOf | None],
    ) -> None:
        """Raises `HttpProblem`. identify: finds out again who asks, while the reply goes on."""
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
            await endpoint(self._exchange(channel, path, who, identify))
        except Damaged as error:
            raise HttpProblem(500, "Damaged", str(error)) from error
        except ClientError as error:
            raise problem_of(error) from error

    async def _ask_daemon(self, operation: Operation, exchange: Exchange) -> None:
        asked = await exchange.parameters(operation)
        is_short = operation.form == "object" and operation.limited
        async with nullcontext() if is_short else until(exchange.gone):
            await self._answers[operation.form](exchange, operation, asked)

    async def _openapi(self, exchange: Exchange) -> None:
        await exchange.whole(self._document)

    async def _readyz(self, exchange: Exchange) -> None:
        """Does not say why it is not: anybody may ask."""
        if not await self._readiness.of(exchange.daemon):
            raise HttpProblem(503, "DaemonUnavailable", "the daemon does not answer")
        await exchange.whole(b'{"status":"ready"}')


async def _healthz(exchange: Exchange) -> None:
    await exchange.whole(b'{"status":"alive"}')
