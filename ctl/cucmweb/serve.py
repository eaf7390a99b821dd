"""Serves HTTP at sockets. So far every reply says only who the request is of."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config, Sockets
from hypercorn.trio.run import worker_serve
from hypercorn.typing import ASGIFramework
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cucmweb.admission import Callers
from cucmweb.callers import NotLetIn
from cucmweb.config import WebConfig


async def serve(
    config: WebConfig,
    callers: Callers,
    sockets: Sequence[socket.socket],
    *,
    task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Until it is cancelled."""

    async def answer(request: Request) -> Response:
        return _answer(callers, request)

    application = Starlette(routes=[Route("/{path:path}", answer)])
    given = Sockets([], list(sockets), [])
    await worker_serve(
        ASGIWrapper(cast(ASGIFramework, application)),
        Config(),
        sockets=given,
        task_status=task_status,
    )


def _answer(callers: Callers, request: Request) -> Response:
    try:
        caller = callers.of(request.scope["client"], request.headers.raw)
    except NotLetIn as refused:
        headers = {"WWW-Authenticate": refused.challenge} if refused.challenge else None
        return JSONResponse({"detail": refused.reason}, refused.status, headers)
    return JSONResponse({"name": caller and caller.name, "role": caller and caller.role})
