"""Serves HTTP/1.1 at sockets: h11 parses and frames, trio moves the bytes.

    listener -> HttpServer -> HttpConnection -> HttpChannel, one for each request -> answer

`HttpServer` limits connections, in all and of each address. `HttpConnection` reads the requests of
one connection, one after the other. `answer` reads the body from a `HttpChannel` and writes the
reply to it, or raises `HttpProblem`.

There is one deadline, `patience` seconds, for whatever the client has to do next: to send a head,
to send a body, to take 64 KiB of a reply. Sending bytes one by one does not extend it, and a client
that misses it is cut off. While `answer` waits for anything else there is no deadline here.

Two parties that read the same bytes differently are what request smuggling needs. So nothing that
comes behind a request is read as the next one unless the end of that request is beyond doubt: a
head that h11 refuses, one with both Content-Length and Transfer-Encoding, or a body that was not
read to its end, close the connection after the reply.

A client that has shut down its sending half may still read, or may have left: that looks the same.
What it has asked is answered. Who answers without a limit of time has to watch `HttpChannel.left`.
"""

from __future__ import annotations

import logging
import math
import re
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import TypeAlias

import h11
import trio

from cucmd.node_name import source_of
from cucmweb.config import ProxySettings, WebLimits
from cucmweb.problems import HttpProblem

AnswerHttp: TypeAlias = Callable[["HttpChannel"], Awaitable[None]]

# Seconds in which replies that have begun may end, once the server is stopped.
_GRACE = 3.0
# Connections at once, beside those of event streams and downloads.
_MOST_BESIDE = 200
# Seconds until the log says again that connections are refused.
_QUIET = 60.0
# Bytes that are read at once, and those of a head at most.
_READ = 16 * 1024
# Bytes that are sent within one deadline, and that are kept of what comes behind a request.
_PIECE = _MOST_AHEAD = 64 * 1024
# Chunks of a body: to read one costs as much as to read 2 KiB.
_MOST_CHUNKS = 16 * 1024
# As the daemon takes it for a call's request_id: printable ASCII, short.
_SANE_ID = re.compile(rb"[ -~]{1,128}")

_log = logging.getLogger("cucmweb")


class Disconnected(Exception):
    """The client has left or does not take what it is sent: nobody reads a reply."""


class HttpServer:
    """Accepts connections. proxy: its address stands for many clients, and has no limit."""

    def __init__(self, answer: AnswerHttp, limits: WebLimits, proxy: ProxySettings) -> None:
        self.answer = answer
        self.patience = limits.patience
        self.is_stopping = False
        self.waiting: set[trio.CancelScope] = set()  # of connections that wait for a head
        self._most = limits.streams + _MOST_BESIDE
        self._most_of_one = limits.connections_per_address
        self._proxy = proxy
        self._accepting = trio.CancelScope()
        self._of_source: Counter[str | None] = Counter()
        self._quiet_until = -math.inf

    async def run(self, listeners: Sequence[trio.SocketListener]) -> None:
        """Serves until `stop`; then replies that have begun have some seconds."""
        async with trio.open_nursery() as connections:
            with self._accepting:
                accepted = self._accept
                await trio.serve_listeners(accepted, list(listeners), handler_nursery=connections)
            connections.cancel_scope.deadline = trio.current_time() + _GRACE

    def stop(self) -> None:
        self.is_stopping = True
        self._accepting.cancel()
        for scope in self.waiting:
            scope.cancel()

    async def _accept(self, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                peer = None
                if stream.socket.family != socket.AF_UNIX:
                    peer = stream.socket.getpeername()[0]
            except OSError:  # the client has reset the connection before it was accepted
                return
            # None stands for clients that one limit would not part: those of the Unix socket, who
            # are operators or a proxy, and those of a proxy.
            source = None if peer is None or self._proxy.trusts(peer) else source_of(peer)
            is_full = self._of_source.total() >= self._most
            if is_full or (source and self._of_source[source] >= self._most_of_one):
                if trio.current_time() >= self._quiet_until:
                    self._quiet_until = trio.current_time() + _QUIET
                    whose = "are open" if is_full else f"of {source} are open"
                    _log.warning("connections are closed at once: too many %s", whose)
                return
            self._of_source[source] += 1
            try:
                await HttpConnection(self, stream, peer).serve()
            except Disconnected:
                pass
            except Exception:
                _log.exception("a defect in a connection")
            finally:
                self._of_source[source] -= 1
                if not self._of_source[source]:
                    del self._of_source[source]


class HttpConnection:
    """Reads the requests of one connection. peer: the client's address; None: the Unix socket."""

    def __init__(self, server: HttpServer, stream: trio.SocketStream, peer: str | None) -> None:
        self.h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=_READ)
        self.peer = peer
        self.server = server
        self._stream = stream
        self._has_ended = False  # the client sends nothing more

    async def serve(self) -> None:
        """Answers until the connection has to be closed. Raises `Disconnected`."""
        is_done = {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}
        while True:
            if (channel := await self._request()) is None:
                return
            await channel.be_answered(self.server.answer)
            if self.server.is_stopping or self.h11.states != is_done:
                break
            self.h11.start_next_cycle()
        # With bytes unread the kernel would answer them with a reset, on which the client's kernel
        # may forget the reply. So wait until the client has closed its end, having read it.
        with trio.move_on_after(self.server.patience):
            try:
                await self._stream.send_eof()
            except trio.BrokenResourceError:
                return
            while await self.receive():
                pass

    async def _request(self) -> HttpChannel | None:
        """Reads a head. Returns None if none has come in time, or none will."""
        with trio.move_on_after(self.server.patience) as scope:
            self.server.waiting.add(scope)
            try:
                request = None if self.server.is_stopping else await self.next_event()
                return HttpChannel(self, request) if isinstance(request, h11.Request) else None
            except h11.RemoteProtocolError as error:
                # A client that ends in the middle of a head has left.
                return None if self._has_ended else HttpChannel(self, malformed(error))
            finally:
                self.server.waiting.discard(scope)
        return None

    async def next_event(self) -> object:
        """Returns what h11 makes of the bytes that come. Raises its `RemoteProtocolError`."""
        while (event := self.h11.next_event()) is h11.NEED_DATA:
            self.h11.receive_data(await self.receive())
        return event

    async def receive(self) -> bytes:
        """Returns what comes next; no bytes once the client sends nothing more."""
        try:
            data = await self._stream.receive_some(_READ)
        except trio.BrokenResourceError:
            data = b""
        self._has_ended = not data
        return data

    async def send(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            for begin in range(0, len(view), _PIECE):
                with trio.fail_after(self.server.patience):
                    await self._stream.send_all(view[begin : begin + _PIECE])
        except (trio.TooSlowError, trio.BrokenResourceError) as error:
            raise Disconnected from error


class HttpChannel:
    """Holds a request, and sends the reply to it.

    headers  with names in lower case
    by       who asks, for the log
    status   that of the reply, once its head was sent
    """

    def __init__(self, connection: HttpConnection, request: h11.Request | HttpProblem) -> None:
        self.peer = connection.peer
        self.method = self.path = "-"
        self.query = self.version = ""
        self.headers: Sequence[tuple[bytes, bytes]] = ()
        self.by = "nobody"
        self.status = 0
        self._connection = connection
        self._problem: HttpProblem | None = None
        self._head: h11.Response | None = None  # held back until the first bytes of the body
        self._began = trio.current_time()
        if isinstance(request, HttpProblem):
            self._problem = request
        else:
            path, _, self.query = request.target.decode("ascii").partition("?")
            self.method, self.path = request.method.decode("ascii"), path
            self.version = request.http_version.decode("ascii")
            self.headers = list(request.headers)
            lengths = [value for name, value in self.headers if name == b"content-length"]
            is_chunked = any(name == b"transfer-encoding" for name, _ in self.headers)
            if self.version not in ("1.0", "1.1"):
                self._problem = HttpProblem(505, "Http1Only", "expected HTTP/1.1")
            elif is_chunked and (lengths or self.version == "1.0"):
                text = "Transfer-Encoding beside Content-Length, or in HTTP/1.0: where does it end?"
                self._problem = HttpProblem(400, "MalformedRequest", text)
            elif not is_chunked and not any(map(int, lengths)):
                connection.h11.next_event()  # h11 learns only by this that there is no body
        given = [value for name, value in self.headers if name == b"x-request-id"]
        is_sane = len(given) == 1 and _SANE_ID.fullmatch(given[0])
        self.request_id = given[0].decode("ascii") if is_sane else secrets.token_hex(8)

    async def be_answered(self, answer: AnswerHttp) -> None:
        """Answers the request, and logs the answer. Raises `Disconnected`."""
        reason = ""
        try:
            if self._problem is None:
                await answer(self)
            else:
                await self._refuse(self._problem)
        except HttpProblem as problem:
            if problem.status >= 500 and problem.__cause__ is not None:
                reason = f" ({problem.__cause__})"
            await self._refuse(problem)
        except Disconnected:
            raise
        except Exception:
            _log.exception("a defect in request %s", self.request_id)
            await self._refuse(HttpProblem(500, "InternalError", "a defect; the log has it"))
        finally:
            who = f"{self.by} from {self.peer or 'the Unix socket'}"
            asked = f"{self.method} {ascii(self.path)[1:-1]} by {who}"
            told = f"{self.status} {HTTPStatus(self.status).phrase}" if self.status else "no reply"
            took = trio.current_time() - self._began
            given = asked, told, reason, took, self.request_id
            _log.info("%s: %s%s, %.3f s, request %s", *given)

    async def _refuse(self, problem: HttpProblem) -> None:
        if self.status:
            _log.warning("request %s was cut off: %s", self.request_id, problem)
            return
        body = problem.document(self.request_id)
        headers = {"content-type": "application/problem+json", "content-length": str(len(body))}
        self.start(problem.status, headers | problem.headers)
        await self.end(body)

    async def body(self, most: int) -> bytes:
        """Reads the body. Raises `HttpProblem` if it has more bytes than `most`, is too slow or is
        malformed, and `Disconnected`.
        """
        http, patience = self._connection.h11, self._connection.server.patience
        if http.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
            await self._connection.send(http.send(go_on))
        body, pieces = bytearray(), 0
        try:
            with trio.fail_after(patience):
                while http.their_state is h11.SEND_BODY:
                    event = await self._connection.next_event()
                    body += event.data if isinstance(event, h11.Data) else b""
                    pieces += 1
                    if len(body) > most or pieces > _MOST_CHUNKS:
                        text = f"the body has more than {most} bytes, or {_MOST_CHUNKS} chunks"
                        raise HttpProblem(413, "BodyTooLarge", text)
        except trio.TooSlowError:
            text = f"the body did not come within {patience:g} s"
            raise HttpProblem(408, "BodyTooSlow", text) from None
        except h11.RemoteProtocolError as error:
            raise malformed(error) from None
        return bytes(body)

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Begins a reply. Its head is sent with the first bytes of the body."""
        http, server = self._connection.h11, self._connection.server
        named = [
            *headers.items(),
            ("date", formatdate(usegmt=True)),
            ("x-request-id", self.request_id),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ]
        if http.their_state in (h11.SEND_BODY, h11.ERROR) or server.is_stopping:
            named.append(("connection", "close"))
        phrase = HTTPStatus(status).phrase
        self._head = h11.Response(status_code=status, headers=named, reason=phrase)

    async def send(self, data: bytes) -> None:
        """Sends bytes of the body. Raises `Disconnected`."""
        await self._connection.send(self._framed(data))

    async def end(self, data: bytes = b"") -> None:
        """Sends the last bytes of the body, which ends the reply. Raises `Disconnected`."""
        framed = self._framed(data) + self._connection.h11.send(h11.EndOfMessage())
        await self._connection.send(framed)

    def _framed(self, data: bytes) -> bytes:
        framed = b""
        if self._head is not None:
            self.status = self._head.status_code
            framed = self._connection.h11.send(self._head)
            self._head = None
        if data and self.method != "HEAD":
            framed += self._connection.h11.send(h11.Data(data))
        return framed

    async def left(self) -> None:
        """Returns once the client sends nothing more. The body must have been read. A client that
        has sent 64 KiB behind its request is not seen to leave, since no more than that is kept.
        """
        http = self._connection.h11
        while len(http.trailing_data[0]) < _MOST_AHEAD:
            data = await self._connection.receive()
            http.receive_data(data)
            if not data:
                return
        await trio.sleep_forever()


def malformed(error: h11.RemoteProtocolError) -> HttpProblem:
    """Leaves out the bytes that h11 quotes: they may be many, and a secret."""
    said = str(error).partition(": b")[0]
    return HttpProblem(error.error_status_hint, "MalformedRequest", said)
