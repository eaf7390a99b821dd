"""Makes the paths an application: each operation at its path, and what is about cucmweb itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeAlias

import trio
from starlette.exceptions import HTTPException
from starlette.routing import Route, Router

from cucmctl.client.errors import ClientError
from cucmctl.export.export import Damaged
from cucmtrio import Client
from cucmweb.answers import ANSWERS, SendReply
from cucmweb.config import WebLimits
from cucmweb.exchange import AsgiReceive, AsgiSend, Disconnected, Exchange, Scope
from cucmweb.liveness import Readiness
from cucmweb.openapi import document
from cucmweb.operations import OPERATIONS, Operation, ReplyForm
from cucmweb.places import WebPlaces
from cucmweb.problems import HttpProblem, problem_of

Own: TypeAlias = Callable[[Exchange], Awaitable[None]]


class Application:
    """Answers requests as an ASGI application, behind front.py. `events` answers the paths of event
    streams. `downloads` calls the daemon where its reply comes in pieces, `daemon` for all else.
    """

    def __init__(
        self, daemon: Client, downloads: Client, events: SendReply, limits: WebLimits
    ) -> None:
        self._exchange = partial(
            Exchange, daemon=daemon, downloads=downloads, places=WebPlaces(limits), limits=limits
        )
        self._answers: Mapping[ReplyForm, SendReply] = {**ANSWERS, "events": events}
        self._document = document()
        at: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
        for operation in OPERATIONS:
            at[operation.path][operation.verb] = operation
        routes = [Route(path, self._at(verbs), methods=list(verbs)) for path, verbs in at.items()]
        self._readiness = Readiness()
        own = {"/openapi.json": self._openapi, "/healthz": _healthz, "/readyz": self._readyz}
        routes += [Route(path, self._own(one), methods=["GET"]) for path, one in own.items()]
        self._router = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: AsgiReceive, send: AsgiSend) -> None:
        scope["app"] = self  # the router raises then, and answers nothing itself
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:
            raise _of_router(error) from None

    def _at(self, verbs: Mapping[str, Operation]) -> _Endpoint:
        async def answer(exchange: Exchange) -> None:
            operation = verbs["GET" if exchange.verb == "HEAD" else exchange.verb]
            if exchange.verb == "HEAD" and operation.form != "object":
                raise HttpProblem(405, "MethodNotAllowed", "HEAD is not answered here")
            await self._answers[operation.form](exchange, operation)

        return self._own(answer)

    def _own(self, answer: Own) -> _Endpoint:
        return _Endpoint(answer, self._exchange)

    async def _openapi(self, exchange: Exchange) -> None:
        await exchange.whole(self._document)

    async def _readyz(self, exchange: Exchange) -> None:
        """Does not say why it is not: anybody may ask."""
        if not await self._readiness.of(exchange.daemon):
            raise HttpProblem(503, "DaemonUnavailable", "the daemon does not answer")
        await exchange.whole(b'{"status":"ready"}')


async def _healthz(exchange: Exchange) -> None:
    await exchange.whole(b'{"status":"alive"}')


def _of_router(error: HTTPException) -> HttpProblem:
    if error.status_code == 405:
        problem = HttpProblem(405, "MethodNotAllowed", "this path has no such method")
        problem.headers |= {name.lower(): value for name, value in (error.headers or {}).items()}
        return problem
    return HttpProblem(404, "NoSuchPath", "no such path; /openapi.json has those that there are")


class _Endpoint:
    """Answers a request, as long as its client is there."""

    def __init__(
        self, answer: Own, exchange: Callable[[Scope, AsgiReceive, AsgiSend], Exchange]
    ) -> None:
        self._answer = answer
        self._exchange = exchange

    async def __call__(self, scope: Scope, receive: AsgiReceive, send: AsgiSend) -> None:
        exchange = self._exchange(scope, receive, send)
        raised: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.end_with_client, nursery.cancel_scope)
            try:
                await self._answer(exchange)
            except Exception as error:
                raised = error
            nursery.cancel_scope.cancel()
        match raised:
            case Damaged():
                raise HttpProblem(500, "Damaged", str(raised)) from raised
            case ClientError():
                raise problem_of(raised) from raised
            case Exception():
                raise raised
        if exchange.client_left:
            raise Disconnected
