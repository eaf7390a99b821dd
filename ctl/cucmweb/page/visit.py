"""Holds one visit of a page: the request with its caller, and how a view is shown to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

from msgspec.structs import replace

from cucmctl.client import methods
from cucmctl.client.method_call import MethodCall
from cucmd import __version__
from cucmd.job.request import OnBehalfOf
from cucmd.protocol.jobs import Job
from cucmtrio.calls import Items
from cucmweb.exchange import Exchange
from cucmweb.handovers import Handovers
from cucmweb.page.live import Live
from cucmweb.page.render import render, zone_named, zone_text
from cucmweb.page.sessions import COOKIE, Sessions, cookie
from cucmweb.problems import HttpProblem
from cucmweb.server import HttpChannel
from cucmweb.token_file import TokenFile

T = TypeVar("T")

# Set by static/page.js: the time zone of the browser, and a random number to know its pages by.
ZONE_COOKIE, BROWSER_COOKIE = "cucmweb_zone", "cucmweb_browser"

# Nothing from elsewhere, nothing inline, and no page of others around ours.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none';"
    " base-uri 'none'",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
# The longest form in bytes. Commands and labels are short.
_LONGEST_FORM = 64 * 1024


class Visit:
    """Holds a request below /ui/ while it is answered.

    path    the values of the names in the path
    query   the values in the query; of a name that is there twice, the last
    form    the values in the body of a POST
    common  the values that every template needs
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        live: Live,
        sessions: Sessions,
        tokens: TokenFile,
        handovers: Handovers,
    ) -> None:
        self.exchange = exchange
        self.channel = exchange.channel
        self.path = exchange.path
        self.query = dict(parse_qsl(exchange.channel.query))
        self.form: dict[str, str] = {}
        self.common = common_values(exchange.channel, exchange.caller) | {"query": self.query}
        self.common["targets"] = handovers.targets
        self.handovers = handovers
        self.live = live
        self.sessions = sessions
        self.tokens = tokens

    # Asking the daemon

    async def ask(self, call: MethodCall[T]) -> T:
        """Makes a call to the daemon on behalf of the caller. Raises `ClientError`."""
        return await self.exchange.daemon.ask(self._signed(call))

    @asynccontextmanager
    async def items(self, call: MethodCall[Iterable[T]]) -> AsyncIterator[Items[T]]:
        """Makes a call with several replies, and yields an iterator of their items."""
        async with (
            self.exchange.download() as daemon,
            daemon.items(self._signed(call)) as items,
        ):
            yield items

    def _signed(self, call: MethodCall[T]) -> MethodCall[T]:
        """Adds who asks, and the id of the HTTP request if the method takes one."""
        call.request = replace(call.request, on_behalf_of=self.exchange.caller)
        if "request_id" in call.request.__struct_fields__:
            call.request = replace(call.request, request_id=self.channel.request_id)
        return call

    async def job(self) -> Job:
        """Returns the job that the path names. Raises `ClientError`."""
        return await self.ask(methods.status(self.path["job_id"]))

    # Reading the form, and answering

    async def read_form(self) -> None:
        """Reads the form in the body. Raises `HttpProblem`."""
        kind = (self.exchange.header("content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise HttpProblem(415, "NoForm", "expected a form")
        body = await self.channel.body(_LONGEST_FORM)
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
        except ValueError:
            raise HttpProblem(
                400, "MalformedRequest", "expected UTF-8, and at most 100 fields"
            ) from None
        self.form = dict(pairs)

    async def show(self, template: str, status: int = 200, **values: Any) -> None:
        """Sends a view."""
        await send_html(self.channel, render(template, {**self.common, **values}), status)


def cookies_of(channel: HttpChannel) -> list[str]:
    return [value.decode("latin-1") for name, value in channel.headers if name == b"cookie"]


def common_values(channel: HttpChannel, caller: OnBehalfOf | None) -> dict[str, Any]:
    """Returns the values that every template needs."""
    cookies = cookies_of(channel)
    zone = zone_named(unquote(cookie(cookies, ZONE_COOKIE)))
    return {
        "zone": zone,
        "zone_text": zone_text(zone),
        "zone_key": zone.key if zone else "",
        "caller": caller.name if caller else "",
        "may_change": caller is None or caller.role == "operate",
        "signed_in": bool(cookie(cookies, COOKIE)),
        "path": channel.path,
        "base": channel.base,
        "sites": channel.sites,
        "version": __version__,
    }


async def redirect(
    channel: HttpChannel, target: str, headers: Mapping[str, str] | None = None
) -> None:
    """Sends the browser to another view, of the same site."""
    channel.start(
        303, {"location": channel.base + target, "content-length": "0", **(headers or {})}
    )
    await channel.end()


async def send_html(
    channel: HttpChannel, body: bytes, status: int, headers: Mapping[str, str] | None = None
) -> None:
    own = {"content-type": "text/html; charset=utf-8", "content-length": str(len(body))}
    channel.start(status, {**own, **HEADERS, **(headers or {})})
    await channel.end(body)
