"""Answers a request: refuses it, or passes it to the function for its path.

These are checked first:

Host         has to be a name of the configuration, so that a page of another site cannot reach this
             server under a name of that site (DNS rebinding)
Origin       if a browser sends it, has to be the scheme, name and port by which cucmweb was called
caller       has to be known to authentication.py

Paths that are open to everybody are answered without these checks.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias
from urllib.parse import unquote

import msgspec

from cucmctl.client.errors import ClientError
from cucmd.job.request import OnBehalfOf
from cucmtrio import Client
from cucmweb.assistants import Assistants
from cucmweb.authentication import RequestHead, authenticate
from cucmweb.config import WebConfig, accepts_host
from cucmweb.daemon_liveness import Readiness, until
from cucmweb.exchange import Exchange, Identify, encode
from cucmweb.handovers import Handovers, answer
from cucmweb.openapi import document
from cucmweb.operations import FOR_ANYBODY, OPERATIONS, Operation, ReplyForm
from cucmweb.page import pages
from cucmweb.page.live import Live
from cucmweb.page.pages import OPEN, UI
from cucmweb.page.render import environment
from cucmweb.page.sessions import Sessions
from cucmweb.page.visit import redirect
from cucmweb.parameters import invalid
from cucmweb.places import WebPlaces
from cucmweb.problems import HttpProblem, problem_of
from cucmweb.replies import ANSWERS, SendReply, send_metrics
from cucmweb.server import HttpChannel
from cucmweb.token_file import TokenFile

Endpoint: TypeAlias = Callable[[Exchange], Awaitable[None]]

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Application:
    """Answers requests.

    daemon      the client for calls with one reply
    downloads   the client for calls whose reply comes in pieces
    events      answers the paths of event streams
    live        tells the streams of the page what has changed
    assistants  answers /mcp
    handovers   the jobs that are handed over
    sessions    the people who have signed in
    sites       name -> what answers below /sites/NAME, or None while that site cannot be reached
    """

    def __init__(
        self,
        daemon: Client,
        downloads: Client,
        events: SendReply,
        config: WebConfig,
        tokens: TokenFile,
        *,
        live: Live,
        assistants: Assistants,
        handovers: Handovers,
        sessions: Sessions,
        sites: Mapping[str, Application | None],
    ) -> None:
        limits, places = config.limits, WebPlaces(config.limits)
        self._exchange = partial(
            Exchange, daemon=daemon, downloads=downloads, places=places, limits=limits
        )
        self._config = config
        self._tokens = tokens
        self._sessions = sessions
        self._sites = sites
        self._handovers = handovers
        self._answers: Mapping[ReplyForm, SendReply] = {
            **ANSWERS,
            "events": events,
            "metrics": partial(send_metrics, per_node=config.metrics.per_node),
        }
        self._for_anybody = FOR_ANYBODY | ({"/metrics"} if config.metrics.open else set())
        self._readiness = Readiness()
        # Pattern of a path -> HTTP method -> the function that answers it.
        self._paths: defaultdict[re.Pattern[str], dict[str, Endpoint]] = defaultdict(dict)
        for operation in OPERATIONS:
            ask = self._ask_handovers if operation.own else self._ask_daemon
            endpoint = partial(ask, operation)
            self._add(operation.where, endpoint, has_head=operation.form == "object")
        self._add(
            "GET /openapi.json", lambda exchange: exchange.whole(document(exchange.channel.base))
        )
        self._add("GET /healthz", lambda exchange: exchange.whole(b'{"status":"alive"}'))
        self._add("GET /readyz", self._readyz)
        for verb in ("GET", "POST", "DELETE"):
            self._add(f"{verb} /mcp", assistants.answer, has_head=False)
        environment()  # now, so that nobody waits for it
        for where, handler in pages.ROUTES.items():
            endpoint = partial(
                pages.answer,
                handler,
                live=live,
                sessions=self._sessions,
                tokens=tokens,
                handovers=handovers,
            )
            self._add(where, endpoint, has_head=handler not in pages.NO_HEAD)

    def _add(self, where: str, endpoint: Endpoint, *, has_head: bool = True) -> None:
        """Adds a path such as `GET /jobs/{job_id}`.

        has_head  a HEAD is answered like the GET, and its body is dropped. For a reply in pieces
                  the daemon would make all pieces only for them to be dropped.
        """
        verb, _, path = where.partition(" ")
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path.replace(".", r"\."))
        endpoints = self._paths[re.compile(pattern)]
        endpoints[verb] = endpoint
        if verb == "GET" and has_head:
            endpoints["HEAD"] = endpoint

    async def answer(self, channel: HttpChannel) -> None:
        """Answers a request. Raises `HttpProblem`, and what sending a reply raises."""
        if self._sites:
            channel.sites = tuple(self._sites)
        at_site = re.fullmatch(r"/sites/([^/]+)(/.*)", channel.path)
        if at_site and at_site[1] in self._sites:
            channel.base, channel.path = f"/sites/{at_site[1]}", at_site[2]
            # While a site cannot be reached, this application answers for it, with an error or
            # with the form to sign in.
            if (application := self._sites[at_site[1]]) is not None:
                await application.answer(channel)
                return
        accepted = b",".join(value for name, value in channel.headers if name == b"accept")
        if channel.path in ("/", "/ui") and b"text/html" in accepted:
            await redirect(channel, UI)
            return
        try:
            await self._answer(channel)
        except HttpProblem as problem:
            if channel.status or not channel.path.startswith(UI):
                raise
            await pages.show_problem(channel, problem)

    async def _answer(self, channel: HttpChannel) -> None:
        is_open = channel.path in self._for_anybody
        identify, caller = (lambda: None, None) if is_open else self._check(channel)
        if channel.base and self._sites and not OPEN.fullmatch(channel.path):
            name = channel.base.removeprefix("/sites/")
            text = f"the site {name} cannot be reached now; the log of cucmweb says why"
            raise HttpProblem(503, "SiteUnreachable", text)
        matches = (pattern.fullmatch(channel.path) for pattern in self._paths)
        if (match := next(filter(None, matches), None)) is None:
            text = "there is no such path; /openapi.json lists the paths for programs"
            raise HttpProblem(404, "NoSuchPath", text)
        endpoints = self._paths[match.re]
        if (endpoint := endpoints.get(channel.method)) is None:
            problem = HttpProblem(405, "MethodNotAllowed", "this path does not have that method")
            problem.headers["allow"] = ", ".join(endpoints)
            raise problem
        # The path was matched before it is unquoted, so %2F does not separate segments.
        path = {name: unquote(value) for name, value in match.groupdict().items()}
        try:
            await endpoint(self._exchange(channel, path, identify, caller))
        except ClientError as error:
            raise problem_of(error) from error

    def _check(self, channel: HttpChannel) -> tuple[Identify, OnBehalfOf | None]:
        """Checks a request. Returns the function that finds out who made it, and who that is.
        Raises `HttpProblem`.
        """
        head, proxy = RequestHead(channel.peer, channel.headers), self._config.proxy
        hosts = head.values("host")
        if len(hosts) != 1 or not accepts_host(self._config, hosts[0]):
            text = "host: expected one of `hosts` of the configuration"
            raise HttpProblem(403, "WrongHost", text, field="host")
        # Only the proxy can know whether the browser used https. From anybody else the header could
        # make a foreign Origin look like our own.
        schemes = head.values("x-forwarded-proto") if proxy.trusts(head.peer) else []
        own = f"{schemes[-1] if schemes else 'http'}://{hosts[0]}"
        for origin in head.values("origin"):
            if _without_default_port(origin) != _without_default_port(own):
                text = f"origin: expected {own}; a proxy has to send X-Forwarded-Proto"
                raise HttpProblem(403, "WrongOrigin", text, field="origin")

        def identify() -> OnBehalfOf | None:
            tokens, now = self._tokens.tokens(), datetime.now(UTC)
            if channel.path.startswith(UI):
                if OPEN.fullmatch(channel.path):
                    return None
                token = self._sessions.token_of(head.values("cookie"), tokens, now)
                # What a proxy says, or a token, comes first: a browser sends a cookie unasked.
                others = ("authorization", proxy.header, proxy.role_header)
                if token and not any(head.values(name) for name in others if name):
                    return OnBehalfOf(token.name, token.role)
            return authenticate(head, tokens, proxy, now)

        caller = identify()
        if not OPEN.fullmatch(channel.path):
            channel.caller = f"'{caller.name}'" if caller else "an operator"
        return identify, caller

    async def _ask_daemon(self, operation: Operation, exchange: Exchange) -> None:
        parameters = await exchange.parameters(operation)
        # A short call ends by its own limit of time. Any other reply goes on until the daemon has
        # sent everything, so somebody has to watch whether it is still wanted.
        is_short = operation.form == "object" and operation.limited
        async with nullcontext() if is_short else until(exchange.gone):
            await self._answers[operation.form](exchange, operation, parameters)

    async def _ask_handovers(self, operation: Operation, exchange: Exchange) -> None:
        call = encode(await exchange.parameters(operation))
        try:
            request = msgspec.json.decode(call, type=operation.request)
        except msgspec.ValidationError as error:  # its text has the types, and not the values
            text, _, field = str(error).removesuffix("`").rpartition("`")
            raise invalid(field.removeprefix("$."), text.removesuffix(" - at ")) from None
        reply = await answer(self._handovers, exchange, request)
        await exchange.whole(msgspec.json.encode(reply), operation.status)

    async def _readyz(self, exchange: Exchange) -> None:
        """Answers /readyz. Everybody may ask, so it does not say why the daemon is not ready."""
        if not await self._readiness.check(exchange.daemon):
            raise HttpProblem(503, "DaemonUnavailable", "the daemon does not answer")
        await exchange.whole(b'{"status":"ready"}')


def _without_default_port(origin: str) -> str:
    lower = origin.lower()
    return lower.removesuffix(_DEFAULT_PORTS.get(lower.partition("://")[0], ""))
