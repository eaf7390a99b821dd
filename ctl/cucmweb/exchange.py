"""Answers a request over HTTP: asks the daemon for what it wants, and sends the reply.

    request -> front.py -> the router -> answer -> the daemon -> reply

A reply begins once the daemon has given its first piece, so that a refusal is still one. What goes
wrong after that ends the connection in the middle of the reply: no client takes it for the whole.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec
import trio

from cucmd.job.request import OnBehalfOf
from cucmtrio import Client
from cucmweb import asking
from cucmweb.config import WebLimits
from cucmweb.liveness import while_it_answers
from cucmweb.operations import MEDIA, Operation
from cucmweb.places import WebPlaces
from cucmweb.problems import HttpProblem

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
AsgiReceive: TypeAlias = Callable[[], Awaitable[Message]]
AsgiSend: TypeAlias = Callable[[Message], Awaitable[None]]

# A reply of the daemon: what is in a member goes on as it came.
Members: TypeAlias = dict[str, msgspec.Raw]

JSON = "application/json"
_LONGEST_KEY = 128


class Exchange:
    """Answers one request. `who`: on whose behalf it is; None: of whoever may open the socket, and
    where the path is for anybody, of nobody.
    """

    def __init__(
        self,
        scope: Scope,
        receive: AsgiReceive,
        send: AsgiSend,
        *,
        daemon: Client,
        downloads: Client,
        places: WebPlaces,
        limits: WebLimits,
    ) -> None:
        self.daemon = daemon
        self.request_id: str = scope["state"]["request_id"]
        self.who: OnBehalfOf | None = scope["state"]["who"]
        self.path: Mapping[str, str] = scope.get("path_params", {})
        self.verb: str = scope["method"]
        self.client_left = False
        self._receive = receive
        self._body_read = trio.Event()
        self._ended = False  # the last piece of the reply is sent
        self._downloads = downloads
        self._places = places
        self._scope = scope
        self._send = send
        self._limits = limits

    # What is asked.

    async def parameters(self, operation: Operation) -> dict[str, Any]:
        """Returns the parameters of the method. Raises `HttpProblem`."""
        known = asking.members(operation)
        given = asking.from_query(self._query(), {} if operation.has_body else known)
        if operation.has_body:
            given = asking.from_body(await self._body(), known)
        self._body_read.set()
        asked = asking.parameters(operation, self.path, given)
        fields = operation.request.__struct_fields__
        if "request_id" in fields:
            asked["request_id"] = self.request_id
        if operation.keyed and (key := self.header("idempotency-key")) is not None:
            asked["start_key"] = key
        if self.who is not None:
            asked["on_behalf_of"] = self.who
        return asked

    def header(self, name: str) -> str | None:
        """Raises `HttpProblem` where it is there twice, or no text."""
        found = [value for key, value in self._scope["headers"] if key == name.encode()]
        if len(found) > 1 or any(not one.isascii() or len(one) > _LONGEST_KEY for one in found):
            raise asking.invalid(name, f"expected once, at most {_LONGEST_KEY} ASCII characters")
        return found[0].decode() if found else None

    def _query(self) -> Sequence[tuple[str, str]]:
        text = self._scope["query_string"].decode("ascii", "replace")
        try:
            return parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else ()
        except ValueError:
            raise asking.invalid("query", "expected NAME=VALUE&NAME=VALUE") from None

    async def _body(self) -> bytes:
        """Raises `HttpProblem` where it is too long, too slow, or of another kind."""
        parts: list[bytes] = []
        left = self._limits.body
        with trio.move_on_after(self._limits.patience) as patience:
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                parts.append(message.get("body", b""))
                if (left := left - len(parts[-1])) < 0:
                    most = f"the body has more than {self._limits.body} bytes"
                    raise HttpProblem(413, "BodyTooLarge", most)
                if not message.get("more_body", False):
                    break
        if patience.cancelled_caught:
            text = f"the body did not come within {self._limits.patience:g} s"
            raise HttpProblem(408, "BodyTooSlow", text)
        body = b"".join(parts)
        kind = self.header("content-type") or ""
        # A form of another site can send other kinds without asking.
        if body and kind.partition(";")[0].strip().lower() != JSON:
            raise HttpProblem(415, "NoJson", f"expected a body of {JSON}")
        return body

    async def end_with_client(self, scope: trio.CancelScope) -> None:
        """Cancels the scope when the client has gone; reads nothing of a body.

        The server tells the end of the reply in the same way, while it closes the connection.
        """
        await self._body_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._ended:
            self.client_left = True
            scope.cancel()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Holds the place of an event stream. Raises `HttpProblem` where there is none."""
        with self._places.stream(self.who):
            yield

    @asynccontextmanager
    async def download(self) -> AsyncIterator[Client]:
        """Holds the place of a reply in pieces, and yields who asks the daemon for it. Raises
        `HttpProblem`, and `DaemonUnavailable` once the daemon does not answer any more.
        """
        with self._places.download(self.who):
            async with while_it_answers(self._downloads):
                yield self._downloads

    # How it is answered.

    async def begin(self, operation: Operation, **headers: str) -> None:
        """Sends the head of a reply whose pieces follow. Raises `HttpProblem`."""
        if self._scope["http_version"] == "1.0" and "content_length" not in headers:
            # The end of the connection would be that of the reply, also where it is cut off.
            raise HttpProblem(505, "Http1Only", "expected HTTP/1.1")
        await self._start(operation.status, {"content-type": MEDIA[operation.form]} | headers)

    async def piece(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, body: bytes = b"") -> None:
        self._ended = True
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def whole(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Sends a reply in one piece."""
        said = {"content-type": JSON, "content-length": str(len(body))}
        await self._start(status, said | headers)
        await self.end(body)

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        named = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": named})


def encoded(asked: Mapping[str, Any]) -> msgspec.Raw:
    """Encodes the parameters of a call: what came as JSON goes on as it came."""
    return msgspec.Raw(msgspec.json.encode(asked))


class Disconnected(Exception):
    """The client has gone, or is cut off: nobody reads a reply."""
