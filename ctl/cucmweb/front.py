"""Holds what every request passes first: its id, whom it is of, limits; and how its end is told.

request id   X-Request-ID where it is sane, else a new one; in the reply, the log, and the
             daemon's log where it goes there
Host         a name of the configuration, so that no other site's page reaches a local server
             by a name of its own (DNS rebinding); Origin, where a browser sends it, too
caller       by the rule of callers.py; what is for anybody is asked for by nobody, of any host
rate         so many requests a second of each caller
patience     seconds in which a client has to take each piece
"""

from __future__ import annotations

import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeAlias

import trio

from cucmd.job.request import OnBehalfOf
from cucmweb.callers import Arrival, NotLetIn, caller_of
from cucmweb.config import ProxySettings, WebConfig, accepts_host
from cucmweb.exchange import AsgiReceive, AsgiSend, Disconnected, Message, Scope
from cucmweb.operations import FOR_ANYBODY
from cucmweb.problems import HttpProblem
from cucmweb.token_file import TokenFile

AsgiApplication: TypeAlias = Callable[[Scope, AsgiReceive, AsgiSend], Awaitable[None]]

# As the daemon takes it for a call's request_id: printable ASCII, short.
_SANE_ID = re.compile(rb"[ -~]{1,128}")
# Callers whose rates are kept; the one that has not called for longest is forgotten.
_MOST_CALLERS = 10_000

_log = logging.getLogger("cucmweb")


class Front:
    """Stands before another ASGI application."""

    def __init__(self, inner: AsgiApplication, config: WebConfig, callers: Callers) -> None:
        self._inner = inner
        self._config = config
        self._callers = callers
        self._rates = RequestRates(config.limits.requests)

    async def __call__(self, scope: Scope, receive: AsgiReceive, send: AsgiSend) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close"})
            return
        answered = _Answered(scope, receive, send, self._config.limits.patience)
        try:
            self._admit(scope)
            await self._inner(scope, answered.receive, answered.send)
        except HttpProblem as problem:
            await answered.refuse(problem)
        except Disconnected:
            pass
        except Exception:
            _log.exception("a defect in request %s", answered.request_id)
            await answered.refuse(HttpProblem(500, "InternalError", "a defect; the log has it"))
        finally:
            answered.log()
        await answered.read_rest()

    def _admit(self, scope: Scope) -> None:
        """Raises `HttpProblem`."""
        if scope["http_version"] not in ("1.0", "1.1"):
            raise HttpProblem(505, "Http1Only", "expected HTTP/1.1")
        if scope["path"] in FOR_ANYBODY:
            return  # nor has it a rate, which one who asks could use up for all others
        if not self._rates.take(self._identify(scope)):
            most = f"more than {self._config.limits.requests} requests a second"
            raise HttpProblem(429, "TooManyRequests", most)

    def _identify(self, scope: Scope) -> str:
        """Finds out who asks. Returns the name, empty at the Unix socket. Raises `HttpProblem`."""
        arrival = Arrival(scope["client"][0] if scope["client"] else None, scope["headers"])
        self._check_host(arrival)
        try:
            caller = self._callers.of(scope["client"], scope["headers"])
        except NotLetIn as refused:
            raise _not_let_in(refused) from None
        scope["state"] |= {"who": caller, "by": f"'{caller.name}'" if caller else "the socket"}
        return caller.name if caller else ""

    def _check_host(self, arrival: Arrival) -> None:
        hosts = arrival.values("host")
        if len(hosts) != 1 or not accepts_host(self._config, hosts[0]):
            raise _wrong("host", "WrongHost")
        for origin in arrival.values("origin"):
            if not accepts_host(self._config, origin.rpartition("//")[2]):
                raise _wrong("origin", "WrongOrigin")


def _wrong(header: str, code: str) -> HttpProblem:
    return HttpProblem(
        403, code, f"{header}: is none of `hosts` of the configuration", field=header
    )


def _not_let_in(refused: NotLetIn) -> HttpProblem:
    problem = HttpProblem(refused.status, "NotLetIn", refused.reason)
    if refused.challenge:
        problem.headers["www-authenticate"] = refused.challenge
    return problem


class Callers:
    """Says who a request is of, by the tokens and the time of that moment."""

    def __init__(self, tokens: TokenFile, proxy: ProxySettings) -> None:
        self._tokens = tokens
        self._proxy = proxy

    def of(
        self, client: tuple[str, int] | None, headers: Sequence[tuple[bytes, bytes]]
    ) -> OnBehalfOf | None:
        """Does what `callers.caller_of` does. `client` and `headers` are those of ASGI."""
        arrival = Arrival(client[0] if client else None, headers)
        return caller_of(arrival, self._tokens.tokens(), self._proxy, datetime.now(UTC))


class RequestRates:
    """Limits how many requests each caller may make: as many at once as in a second, and so many
    more each second.
    """

    def __init__(self, each_second: float) -> None:
        self._each_second = each_second
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # with when that was

    def take(self, caller: str) -> bool:
        now = trio.current_time()
        left, at = self._left.pop(caller, (self._each_second, now))
        left = min(self._each_second, left + (now - at) * self._each_second)
        allowed = left >= 1
        self._left[caller] = left - allowed, now
        if len(self._left) > _MOST_CALLERS:
            self._left.popitem(last=False)
        return allowed


class _Answered:
    """Holds the two ends of a request, with what is known of its reply."""

    def __init__(self, scope: Scope, receive: AsgiReceive, send: AsgiSend, patience: float) -> None:
        self.request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = self.request_id
        scope["state"] |= {"who": None, "by": "nobody"}
        self._scope = scope
        self._receive = receive
        self._send = send
        self._patience = patience
        self._status = 0  # of the reply, once its head was sent
        self._body_ended = False
        self._began = trio.current_time()

    async def receive(self) -> Message:
        message = await self._receive()
        self._body_ended |= not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", self.request_id.encode()),
                (b"cache-control", b"no-store"),
                (b"x-content-type-options", b"nosniff"),
            ]
        with trio.move_on_after(self._patience) as patience:
            await self._send(message)
        if patience.cancelled_caught:
            raise Disconnected

    async def refuse(self, problem: HttpProblem) -> None:
        """Replies with it, or ends the connection, where a reply has begun."""
        if self._status:
            _log.warning("request %s was cut off: %s", self.request_id, problem)
            return
        body = problem.document(self.request_id)
        headers = {
            "content-type": "application/problem+json",
            "content-length": str(len(body)),
            **problem.headers,
        }
        named = [(name.encode(), text.encode()) for name, text in headers.items()]
        start = {"type": "http.response.start", "status": problem.status, "headers": named}
        try:
            await self.send(start)
            await self.send({"type": "http.response.body", "body": body, "more_body": False})
        except Disconnected:
            pass

    async def read_rest(self) -> None:
        """Takes what comes of a body that nobody reads: the server keeps its connection until that
        was taken.
        """
        with trio.move_on_after(self._patience):
            while not self._body_ended:
                await self.receive()

    def log(self) -> None:
        status = f"{self._status} {HTTPStatus(self._status).phrase}" if self._status else "no reply"
        _log.info(
            "%s %s by %s: %s, %.3f s, request %s",
            self._scope["method"],
            ascii(self._scope["path"])[1:-1],
            self._scope["state"]["by"],
            status,
            trio.current_time() - self._began,
            self.request_id,
        )


def _request_id(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(given) == 1 and _SANE_ID.fullmatch(given[0]):
        return bytes(given[0]).decode()
    return secrets.token_hex(8)
