"""Answers a request over HTTP: asks the daemon for what it wants, and sends the reply.

    server.py -> application.py -> replies.py, event_streams.py -> the daemon -> the reply

A reply begins once the daemon has given its first piece, so that a refusal is still one. What goes
wrong after that ends the connection in the middle of the reply: no client takes it for the whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec
import trio

from cucmd.job.request import OnBehalfOf
from cucmtrio import Client
from cucmweb import parameters
from cucmweb.config import WebLimits
from cucmweb.daemon_liveness import while_it_answers
from cucmweb.operations import MEDIA, Operation
from cucmweb.places import WebPlaces
from cucmweb.problems import HttpProblem
from cucmweb.server import Disconnected, HttpChannel

# A reply of the daemon: what is in a member goes on as it came.
Members: TypeAlias = dict[str, msgspec.Raw]

Identify: TypeAlias = Callable[[], OnBehalfOf | None]

JSON = "application/json"
_LONGEST_KEY = 128
# Seconds after which it is looked at again whether the caller's token still counts, while a reply
# goes on that has no limit of time.
_AGAIN = 10.0


class Exchange:
    """Answers one request.

    path        the values of the names in the operation's path
    identify    finds out on whose behalf it is; raises `HttpProblem`
    who         that; None: of whoever may open the socket, and where the path is for anybody, of
                nobody
    """

    def __init__(
        self,
        channel: HttpChannel,
        path: Mapping[str, str],
        identify: Identify,
        *,
        daemon: Client,
        downloads: Client,
        places: WebPlaces,
        limits: WebLimits,
    ) -> None:
        self.daemon = daemon
        self.who = identify()
        self.channel = channel
        self._path = path
        self._identify = identify
        self._downloads = downloads
        self.places = places
        self._limits = limits

    # What is asked.

    async def parameters(self, operation: Operation) -> dict[str, Any]:
        """Returns the parameters of the method. Raises `HttpProblem`."""
        known = parameters.members(operation)
        query = self.channel.query
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else ()
        except ValueError:
            raise parameters.invalid("query", "expected NAME=VALUE&NAME=VALUE") from None
        given = parameters.from_query(pairs, {} if operation.has_body else known)
        if operation.has_body:
            body = await self.channel.body(self._limits.body)
            kind = self.header("content-type") or ""
            # A form of another site can send other kinds without asking.
            if body and kind.partition(";")[0].strip().lower() != JSON:
                raise HttpProblem(415, "NoJson", f"expected a body of {JSON}")
            given = parameters.from_body(body, known)
        asked = parameters.parameters(operation, self._path, given)
        fields = operation.request.__struct_fields__
        if "request_id" in fields:
            asked["request_id"] = self.channel.request_id
        if operation.keyed and (key := self.header("idempotency-key")) is not None:
            asked["start_key"] = key
        if self.who is not None:
            asked["on_behalf_of"] = self.who
        return asked

    def header(self, name: str) -> str | None:
        """Raises `HttpProblem` where it is there twice, or no text."""
        found = [value for key, value in self.channel.headers if key == name.encode()]
        if len(found) > 1 or any(not one.isascii() or len(one) > _LONGEST_KEY for one in found):
            raise parameters.invalid(
                name, f"expected once, at most {_LONGEST_KEY} ASCII characters"
            )
        return found[0].decode() if found else None

    async def gone(self) -> Exception:
        """Waits until there is nobody any more for whom to go on, and returns why, as an error: the
        client has left, or its token was revoked or is over.
        """
        while True:
            with trio.move_on_after(_AGAIN):
                await self.channel.left()
                return Disconnected()
            try:
                if self._identify() != self.who:
                    return HttpProblem(401, "NotLetIn", "the caller is another one by now")
            except HttpProblem as problem:
                return problem

    @asynccontextmanager
    async def download(self) -> AsyncIterator[Client]:
        """Holds the place of a reply in pieces, and yields who asks the daemon for it. Raises
        `HttpProblem`, and `DaemonUnavailable` once the daemon does not answer any more.
        """
        with self.places.downloads.held(self.who), self.places.streams.held(self.who):
            async with while_it_answers(self._downloads):
                yield self._downloads

    # How it is answered.

    def begin(self, operation: Operation, headers: Mapping[str, str] | None = None) -> None:
        """Begins a reply whose pieces follow. Raises `HttpProblem`."""
        if self.channel.version == "1.0" and not (headers and "content-length" in headers):
            # The end of the connection would be that of the reply, also where it is cut off.
            raise HttpProblem(505, "Http1Only", "expected HTTP/1.1")
        said = {"content-type": MEDIA[operation.form]}
        self.channel.start(operation.status, {**said, **(headers or {})})

    async def whole(
        self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Sends a reply in one piece."""
        said = {"content-type": JSON, "content-length": str(len(body))}
        self.channel.start(status, {**said, **(headers or {})})
        await self.channel.end(body)


def encoded(asked: Mapping[str, Any]) -> msgspec.Raw:
    """Encodes the parameters of a call: what came as JSON goes on as it came."""
    return msgspec.Raw(msgspec.json.encode(asked))
