"""The paths as an application: each operation at its path, and what is about cucmweb itself."""

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
from cucmweb.answers import ANSWERS, Answer
from cucmweb.config import WebLimits
from cucmweb.exchange import Disconnected, Exchange, Receive, Scope, Send
from cucmweb.liveness import check_daemon
from cucmweb.openapi import document
from cucmweb.operations import OPERATIONS, Form, Operation
from cucmweb.places import WebPlaces
from cucmweb.problems import HttpProblem, problem_of

# Seconds for a daemon that is there to say so.
_READY = 5.0

Own: TypeAlias = Callable[[Exchange], Awaitable[None]]


class Application:
    """An ASGI application, behind front.py. `events` answers the paths of event streams.
    `downloads` calls the daemon where its reply comes in pieces, `daemon` for all else.
    """

    def __init__(
        self, daemon: Client, downloads: Client, events: Answer, limits: WebLimits
    ) -> None:
        self._exchange = partial(
            Exchange, daemon=daemon, downloads=downloads, places=WebPlaces(limits), limits=limits
        )
        self._answers: Mapping[Form, Answer] = {**ANSWERS, "events": events}
        self._document = document()
        at: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
        for operation in OPERATIONS:
            at[operation.path][operation.verb] = operation
        routes = [Route(path, self._at(verbs), methods=list(verbs)) for path, verbs in at.items()]
        own = {"/openapi.json": self._openapi, "/healthz": _healthz, "/readyz": _Readiness().answer}
        routes += [Route(path, self._own(one), methods=["GET"]) for path, one in own.items()]
        self._router = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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


async def _healthz(exchange: Exchange) -> None:
    await exchange.whole(b'{"status":"alive"}')


class _Readiness:
    """Whether the daemon answers, and not why it does not: anybody may ask. As often as they like,
    so that those who ask at the same time are told together.
    """

    def __init__(self) -> None:
        self._asking = trio.Lock()
        self._asked = 0
        self._is_ready = False

    async def answer(self, exchange: Exchange) -> None:
        before = self._asked
        async with self._asking:
            if self._asked == before:  # nobody has asked since this one came
                self._asked += 1
                self._is_ready = await _is_ready(exchange.daemon)
        if not self._is_ready:
            raise HttpProblem(503, "DaemonUnavailable", "the daemon does not answer")
        await exchange.whole(b'{"status":"ready"}')


async def _is_ready(daemon: Client) -> bool:
    try:
        await check_daemon(daemon, _READY)
    except ClientError:
        return False
    return True


def _of_router(error: HTTPException) -> HttpProblem:
    if error.status_code == 405:
        problem = HttpProblem(405, "MethodNotAllowed", "this path has no such method")
        problem.headers |= {name.lower(): value for name, value in (error.headers or {}).items()}
        return problem
    return HttpProblem(404, "NoSuchPath", "no such path; /openapi.json has those that there are")


class _Endpoint:
    """Answers a request, as long as its client is there."""

    def __init__(self, answer: Own, exchange: Callable[[Scope, Receive, Send], Exchange]) -> None:
        self._answer = answer
        self._exchange = exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
