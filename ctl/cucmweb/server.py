"""Serves HTTP/1.1 at sockets: h11 parses and frames, trio moves the bytes.

    listener -> HttpServer -> HttpConnection -> HttpChannel, one for each request -> answer

`HttpServer` limits the connections, in all and of each address. `HttpConnection` reads the requests
of one connection, one after the other. `answer` reads the body from a `HttpChannel` and writes the
reply to it, or raises `HttpProblem`.

There is one deadline of `patience` seconds for each thing that the client has to do next: send a
head, send a body, take 64 KiB of a reply. Sending single bytes does not extend it, and a client
that misses it is cut off. There is no deadline here while `answer` waits for something else.

Request smuggling works if two programs see the end of a request at different places. So the bytes
behind a request are read as the next request only if its end is beyond doubt. The connection is
closed after the reply to a head that h11 refuses, to a head with both Content-Length and
Transfer-Encoding, and to a request whose body was not read to its end.

A client that has shut down its sending half may still read, or it may have left; the server cannot
see the difference. Its requests are answered. An `answer` without a limit of time has to end when
`HttpChannel.left` returns.
"""

from __future__ import annotations

import logging
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

# Seconds that replies have to end once the server is stopped.
_GRACE = 3.0
# Open connections, beside those of event streams and downloads.
_MOST_BESIDE = 200
# Bytes that are read at once. A request's head cannot be longer.
_READ = 16 * 1024
# Bytes that are sent within one deadline, and that are kept of what follows a request.
_PIECE = _MOST_AHEAD = 64 * 1024
# Chunks of a body. Reading a chunk costs as much as reading 2 KiB.
_MOST_CHUNKS = 16 * 1024
# The form that the daemon accepts for the request_id of a call.
_REQUEST_ID = re.compile(rb"[ -~]{1,128}")

_log = logging.getLogger("cucmweb")


class Disconnected(Exception):
    """Raised if the reply cannot be sent, because the client has left or does not read."""


class HttpServer:
    """Accepts connections. The proxy's addresses have no limit, since many clients use them."""

    def __init__(self, answer: AnswerHttp, limits: WebLimits, proxy: ProxySettings) -> None:
        self.answer = answer
        self.patience = limits.patience
        self.is_stopping = False
        self.waiting: set[trio.CancelScope] = set()  # scopes of connections that wait for a head
        self._most = limits.streams + _MOST_BESIDE
        self._most_of_one = limits.connections_per_address
        self._proxy = proxy
        self._accepting = trio.CancelScope()
        self._open: Counter[str | None] = Counter()  # connections, by network

    async def run(self, listeners: Sequence[trio.SocketListener]) -> None:
        """Serves until `stop` is called. Replies that have begun then get some seconds to end."""
        async with trio.open_nursery() as connections:
            with self._accepting:
                accepted = self._accept
                await trio.serve_listeners(accepted, list(listeners), handler_nursery=connections)
            connections.cancel_scope.deadline = trio.current_time() + _GRACE

    def stop(self) -> None:
        """Stops accepting connections and requests."""
        self.is_stopping = True
        self._accepting.cancel()
        # Only connections without a request end now. The others end after their replies.
        for scope in self.waiting:
            scope.cancel()

    async def _accept(self, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                peer = None
                if stream.socket.family != socket.AF_UNIX:
                    peer = stream.socket.getpeername()[0]
            except OSError:  # the client reset the connection before it was accepted
                return
            # At the Unix socket and behind a proxy, many clients share an address: no limit for it.
            source = None if peer is None or self._proxy.trusts(peer) else source_of(peer)
            is_full = self._open.total() >= self._most
            if is_full or (source and self._open[source] >= self._most_of_one):
                network = "all networks" if is_full else source
                _log.warning("a connection was closed: too many connections from %s", network)
                return
            self._open[source] += 1
            try:
                await HttpConnection(self, stream, peer).serve()
            except Disconnected:
                pass
            except Exception:
                _log.exception("a defect in a connection")
            finally:
                self._open[source] -= 1
                self._open += Counter()  # removes networks that have none open


class HttpConnection:
    """Reads the requests of a connection. `peer` is the client's address, if it uses TCP."""

    def __init__(self, server: HttpServer, stream: trio.SocketStream, peer: str | None) -> None:
        self.h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=_READ)
        self.peer = peer
        self.server = server
        self._stream = stream
        self._has_ended = False  # the client will send nothing more

    async def serve(self) -> None:
        """Answers until the connection has to be closed. Raises `Disconnected`."""
        is_done = {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}
        while True:
            if (channel := await self._request()) is None:
                return
            await channel.answer_with(self.server.answer)
            if self.server.is_stopping or self.h11.states != is_done:
                break
            self.h11.start_next_cycle()
        # If the connection was closed with bytes unread, the kernel would send a reset, and the
        # client's kernel may drop the reply. So wait until the client has read it and closed its
        # end.
        with trio.move_on_after(self.server.patience):
            try:
                await self._stream.send_eof()
            except trio.BrokenResourceError:
                return
            while await self.receive():
                pass

    async def _request(self) -> HttpChannel | None:
        """Reads a head. Returns None if none came in time or none will come."""
        with trio.move_on_after(self.server.patience) as scope:
            self.server.waiting.add(scope)
            try:
                request = None if self.server.is_stopping else await self.next_event()
                return HttpChannel(self, request) if isinstance(request, h11.Request) else None
            except h11.RemoteProtocolError as error:
                # A client that stops in the middle of a head has left.
                return None if self._has_ended else HttpChannel(self, malformed(error))
            finally:
                self.server.waiting.discard(scope)
        return None

    async def next_event(self) -> object:
        """Returns the next event of h11, receiving bytes. Raises `h11.RemoteProtocolError`."""
        while (event := self.h11.next_event()) is h11.NEED_DATA:
            self.h11.receive_data(await self.receive())
        return event

    async def receive(self) -> bytes:
        """Returns bytes from the client, or no bytes once it will send nothing more."""
        try:
            data = await self._stream.receive_some(_READ)
        except trio.BrokenResourceError:
            data = b""
        self._has_ended = not data
        return data

    async def send(self, data: bytes) -> None:
        """Sends bytes. Raises `Disconnected`."""
        view = memoryview(data)
        try:
            for begin in range(0, len(view), _PIECE):
                with trio.fail_after(self.server.patience):
                    await self._stream.send_all(view[begin : begin + _PIECE])
        except (trio.TooSlowError, trio.BrokenResourceError) as error:
            raise Disconnected from error


class HttpChannel:
    """Holds a request, and sends the reply to it.

    headers  their names are in lower case
    base     what was before the path: "/sites/NAME", or "" for the daemon of this machine
    sites    the names of all other sites
    caller   who made the request, for the log
    status   the status of the reply, 0 until its head was sent
    """

    def __init__(self, connection: HttpConnection, request: h11.Request | HttpProblem) -> None:
        self.peer = connection.peer
        self.method = self.path = "-"
        self.query = self.version = ""
        self.headers: Sequence[tuple[bytes, bytes]] = ()
        self.base = ""
        self.sites: Sequence[str] = ()
        self.caller = "nobody"
        self.status = 0
        self._connection = connection
        self._problem: HttpProblem | None = None
        self._head: h11.Response | None = None  # waits for the first bytes of the body
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
                text = "Transfer-Encoding is not accepted with Content-Length or in HTTP/1.0"
                self._problem = HttpProblem(400, "MalformedRequest", text)
            # h11 has checked that the lengths are numbers, and all the same.
            elif not is_chunked and not any(map(int, lengths)):
                connection.h11.next_event()  # tells h11 that there is no body
        ids = [value for name, value in self.headers if name == b"x-request-id"]
        is_valid = len(ids) == 1 and _REQUEST_ID.fullmatch(ids[0])
        self.request_id = ids[0].decode("ascii") if is_valid else secrets.token_hex(8)

    async def answer_with(self, answer: AnswerHttp) -> None:
        """Lets `answer` answer the request, and logs the reply. Raises `Disconnected`."""
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
            await self._refuse(
                HttpProblem(500, "InternalError", "a defect of cucmweb; see its log")
            )
        finally:
            caller = f"{self.caller} from {self.peer or 'the Unix socket'}"
            request = f"{self.method} {self.base}{ascii(self.path)[1:-1]} by {caller}"
            reply = f"{self.status} {HTTPStatus(self.status).phrase}" if self.status else "no reply"
            time = trio.current_time() - self._began
            text = "%s: %s%s, %.3f s, request %s"
            _log.info(text, request, reply, reason, time, self.request_id)

    async def _refuse(self, problem: HttpProblem) -> None:
        # The head of the reply was sent, so the status cannot be changed any more. The client sees
        # that the body has no end.
        if self.status:
            _log.warning("request %s was cut off: %s", self.request_id, problem)
            return
        body = problem.document(self.request_id)
        headers = {"content-type": "application/problem+json", "content-length": str(len(body))}
        self.start(problem.status, headers | problem.headers)
        await self.end(body)

    async def body(self, most: int) -> bytes:
        """Returns the body. Raises `HttpProblem` if it has more than `most` bytes, is too slow or
        is malformed, and `Disconnected`.
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
        """Begins the reply. Its head is sent with the first bytes of the body."""
        http, server = self._connection.h11, self._connection.server
        named = [
            *({"cache-control": "no-store"} | dict(headers)).items(),
            ("date", formatdate(usegmt=True)),
            ("x-request-id", self.request_id),
            ("x-content-type-options", "nosniff"),
        ]
        # The rest of a body that was not read would be taken for the next request.
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
        """Waits until the client will send nothing more. The body must have been read. If a client
        has sent 64 KiB after its request, this never returns, since no more bytes are kept.
        """
        http = self._connection.h11
        while len(http.trailing_data[0]) < _MOST_AHEAD:
            data = await self._connection.receive()
            http.receive_data(data)
            if not data:
                return
        await trio.sleep_forever()


def malformed(error: h11.RemoteProtocolError) -> HttpProblem:
    """Returns the problem, without the bytes that h11 quotes, which may be a secret."""
    text = str(error).partition(": b")[0]
    return HttpProblem(error.error_status_hint, "MalformedRequest", text)
