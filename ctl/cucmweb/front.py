"""Holds what every request passes first: whom it is of, and limits.

Host         a name of the configuration, so that no other site's page reaches a local server
             by a name of its own (DNS rebinding)
Origin       where a browser sends it: the scheme, name and port by which cucmweb itself was called
caller       by the rule of callers.py; what is for anybody is asked for by nobody, of any host
rate         so many requests a second of each caller
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from functools import partial

import trio

from cucmd.job.request import OnBehalfOf
from cucmweb.application import Application
from cucmweb.callers import Arrival, NotLetIn, caller_of
from cucmweb.config import ProxySettings, WebConfig, accepts_host
from cucmweb.operations import FOR_ANYBODY
from cucmweb.problems import HttpProblem
from cucmweb.server import HttpChannel
from cucmweb.token_file import TokenFile

# Callers whose rates are kept; the one that has not called for longest is forgotten.
_MOST_CALLERS = 10_000
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Callers:
    """Says who a request is of, by the tokens and the time of that moment."""

    def __init__(self, tokens: TokenFile, proxy: ProxySettings) -> None:
        self._tokens = tokens
        self._proxy = proxy

    def of(self, arrival: Arrival) -> OnBehalfOf | None:
        """Does what `caller_of` does. Raises `HttpProblem`."""
        try:
            return caller_of(arrival, self._tokens.tokens(), self._proxy, datetime.now(UTC))
        except NotLetIn as refused:
            problem = HttpProblem(refused.status, "NotLetIn", refused.reason)
            if refused.challenge:
                problem.headers["www-authenticate"] = refused.challenge
            raise problem from None


class Front:
    """Lets a request in to the application, or refuses it."""

    def __init__(self, application: Application, config: WebConfig, callers: Callers) -> None:
        self._application = application
        self._config = config
        self._callers = callers
        self._rates = RequestRates(config.limits.requests)

    async def answer(self, channel: HttpChannel) -> None:
        """Raises `HttpProblem`, and what sending a reply raises."""
        if channel.path in FOR_ANYBODY:  # nor has it a rate, which one could use up for all others
            await self._application.answer(channel, None, lambda: None)
            return
        arrival = Arrival(channel.peer, channel.headers)
        self._check_host(arrival)
        identify = partial(self._callers.of, arrival)
        who = identify()
        channel.by = f"'{who.name}'" if who else "the socket"
        if not self._rates.take(who.name if who else ""):
            most = f"more than {self._config.limits.requests} requests a second"
            raise HttpProblem(429, "TooManyRequests", most)
        await self._application.answer(channel, who, identify)

    def _check_host(self, arrival: Arrival) -> None:
        hosts = arrival.values("host")
        if len(hosts) != 1 or not accepts_host(self._config, hosts[0]):
            none = "host: is none of `hosts` of the configuration"
            raise HttpProblem(403, "WrongHost", none, field="host")
        proxy = self._config.proxy
        said = arrival.values("x-forwarded-proto") if proxy.trusts(arrival.peer) else []
        own = f"{said[-1] if said else 'http'}://{hosts[0]}"
        for origin in arrival.values("origin"):
            if _without_default_port(origin) != _without_default_port(own):
                text = f"origin: expected {own}; behind a proxy X-Forwarded-Proto has the scheme"
                raise HttpProblem(403, "WrongOrigin", text, field="origin")


def _without_default_port(origin: str) -> str:
    lower = origin.lower()
    return lower.removesuffix(_DEFAULT_PORTS.get(lower.partition("://")[0], ""))


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
