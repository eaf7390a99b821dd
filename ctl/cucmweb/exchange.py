"""Holds one HTTP request while it is answered: its parameters, its caller and its reply.

    server.py -> application.py -> replies.py, event_streams.py -> the daemon -> the reply

A reply begins after the daemon's first piece, so that a refusal can still have its own status. An
error after that ends the connection in the middle of the reply, so that no client takes a part for
the whole.
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

# A reply of the daemon by member. The members are passed on unread.
Members: TypeAlias = dict[str, msgspec.Raw]

Identify: TypeAlias = Callable[[], OnBehalfOf | None]

# Seconds between two checks of the caller's token while a reply without a limit of time goes on.
_CHECK_INTERVAL = 10.0


class Exchange:
    """Holds one request and its reply.

    path      the values of the names in the operation's path
    identify  returns who made the request; raises `HttpProblem` if that is not known any more
    caller    who made it, or None for the operator at the Unix socket and for an open path
    """

    def __init__(
        self,
        channel: HttpChannel,
        path: Mapping[str, str],
        identify: Identify,
        caller: OnBehalfOf | None,
        *,
        daemon: Client,
        downloads: Client,
        places: WebPlaces,
        limits: WebLimits,
    ) -> None:
        self.daemon = daemon
        self.caller = caller
        self.channel = channel
        self.path = path
        self._identify = identify
        self._downloads = downloads
        self.places = places
        self._limits = limits

    # The request

    async def parameters(self, operation: Operation) -> dict[str, Any]:
        """Reads the body and returns the parameters of the method. Raises `HttpProblem`."""
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
            # A browser lets a form of another site send bodies of other types without asking this
            # server first.
            if body and kind.partition(";")[0].strip().lower() != MEDIA["object"]:
                raise HttpProblem(415, "NoJson", f"expected a body of type {MEDIA['object']}")
            given = parameters.from_body(body, known)
        call = parameters.parameters(operation, self.path, given)
        fields = operation.request.__struct_fields__
        if "request_id" in fields:
            call["request_id"] = self.channel.request_id
        if operation.keyed and (key := self.header("idempotency-key")) is not None:
            call["start_key"] = key
        if self.caller is not None:
            call["on_behalf_of"] = self.caller
        return call

    def header(self, name: str) -> str | None:
        """Returns the value of a header, or None. Raises `HttpProblem` if it is there twice."""
        values = [value for key, value in self.channel.headers if key == name.encode()]
        if len(values) > 1:
            raise parameters.invalid(name, "was sent twice; expected once")
        return values[0].decode("latin-1") if values else None

    async def gone(self) -> Exception:
        """Waits until nobody is left who may read the reply, and returns the reason as an error:
        the client has left, or its token was revoked or has expired.
        """
        while True:
            with trio.move_on_after(_CHECK_INTERVAL):
                await self.channel.left()
                return Disconnected()
            # A token may be revoked, and then made again for somebody else, between two checks.
            try:
                if self._identify() != self.caller:
                    return HttpProblem(401, "NotLetIn", "the token belongs to somebody else now")
            except HttpProblem as problem:
                return problem

    @asynccontextmanager
    async def download(self) -> AsyncIterator[Client]:
        """Yields the client for calls whose reply comes in pieces.

        While the block runs, the caller uses one of the allowed downloads and one of the allowed
        streams. Raises `HttpProblem` if a limit is reached, and `DaemonUnavailable` once the daemon
        does not answer.
        """
        with self.places.downloads.held(self.caller), self.places.streams.held(self.caller):
            async with while_it_answers(self._downloads):
                yield self._downloads

    # The reply

    def begin(self, operation: Operation, headers: Mapping[str, str] | None = None) -> None:
        """Begins a reply in pieces. Raises `HttpProblem` for a client that cannot read it."""
        if self.channel.version == "1.0" and not (headers and "content-length" in headers):
            # HTTP/1.0 ends such a reply with the connection, so a cut-off one would look complete.
            raise HttpProblem(505, "Http1Only", "expected HTTP/1.1")
        headers_here = {"content-type": MEDIA[operation.form]}
        self.channel.start(operation.status, {**headers_here, **(headers or {})})

    async def whole(
        self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Sends a reply in one piece."""
        headers_here = {"content-type": MEDIA["object"], "content-length": str(len(body))}
        self.channel.start(status, {**headers_here, **(headers or {})})
        await self.channel.end(body)


def encode(call: Mapping[str, Any]) -> msgspec.Raw:
    """Encodes the parameters of a call. Members that came as JSON are passed on unread."""
    return msgspec.Raw(msgspec.json.encode(call))
