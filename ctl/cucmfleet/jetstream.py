"""Talks to NATS JetStream. This is the only file that knows nats-py and asyncio.

nats-py runs in the asyncio loop that `open_bridge` of the daemon's SSH client runs inside trio. Its
callbacks run between two steps of trio's tasks, so they put messages into a trio channel.

Messages are pulled here and not with `fetch` of nats-py. A `fetch` that is cancelled, or that is
under way when the connection breaks, leaves a request at the server, and the next message goes to
nobody. A `Pull` has an inbox of its own, asks with a heartbeat, and is thrown away when in doubt:

    what happens                                         what `Pull.receive` does
    a message comes                                      returns it, and asks for more in time
    the server says that the request is over             asks again
    no message and no heartbeat for SILENCE seconds      raises `InDoubt`
    the consumer or the stream is gone                   raises `InDoubt`

Whoever gets `InDoubt` opens a new `Pull`, behind the last message that was handled.
"""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import nats
import nats.errors
import trio
from nats.aio.client import Client
from nats.aio.msg import Msg

from cucmd.ssh.bridge import on_asyncio, open_bridge

_log = logging.getLogger("cucmfleet")

# Seconds between two heartbeats of a pull request, and until a pull without any is given up.
_HEARTBEAT = 2.0
SILENCE = 6.0
# Seconds until a pull request ends by itself. The server forgets an inbox that is gone by then.
_EXPIRES = 30.0
# Seconds that one request to JetStream may take.
_ANSWER = 5.0
# A link that was cut silently is noticed after two pings without an answer.
_PING = 2


class NoAnswer(Exception):
    """NATS is not reached, or did not answer in time. The request may have had its effect."""


class InDoubt(Exception):
    """A pull may have missed messages, or its consumer is gone. A new one has to be opened."""


class Refused(Exception):
    """JetStream answered with an error. `code` is its number, such as 10059 for no stream."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"JetStream refused that: {description} ({code})")
        self.code = code


# JetStream's numbers of errors that somebody looks at.
NO_STREAM, WRONG_SEQUENCE = 10059, 10071


class Server(msgspec.Struct, frozen=True):
    """Says where NATS is, and how to log in there.

    servers  addresses such as tls://hub.example:4222; any of them will do
    seed     the secret part of the nkey
    name     the name of this client, which also begins its inbox
    ca       the file of the authority that has signed the server's certificate; None: the system's
    """

    servers: tuple[str, ...]
    seed: str
    name: str
    ca: str | None = None

    def __repr__(self) -> str:  # the seed must not end up in a log
        return f"Server({self.servers!r}, name={self.name!r})"


class Message(msgspec.Struct, frozen=True):
    """Holds a message of a stream.

    sequence   its number in the stream
    time       when the server got it, in seconds since 1970
    acked_at   the subject at which it is acknowledged
    """

    subject: str
    data: bytes
    sequence: int
    time: float = 0.0
    acked_at: str = ""


class JetStream:
    """Makes requests to JetStream. Every method raises `NoAnswer`, and most raise `Refused`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected

    async def ask(self, subject: str, body: object = None) -> dict[str, Any]:
        """Makes a request to the API of JetStream, such as "STREAM.INFO.CMD"."""
        data = b"" if body is None else json.dumps(body).encode()
        reply = await self._request(f"$JS.API.{subject}", data)
        return _answer(reply.data)

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        message_id: str | None = None,
        after: int | None = None,
    ) -> int:
        """Stores a message in the stream of its subject. Returns its number once it is on the disk.

        message_id  the stream drops a second message with the same id
        after       the number of the last message of this subject must be this one (0: none), or
                    the message is refused with `WRONG_SEQUENCE`
        """
        headers = {} if message_id is None else {"Nats-Msg-Id": message_id}
        if after is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(after)
        reply = await self._request(subject, data, headers)
        return int(_answer(reply.data)["seq"])

    async def last(self, stream: str, subject: str) -> Message | None:
        """Returns the last message of a subject, or None if the subject has no message."""
        reply = await self._request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
        headers = reply.headers or {}
        if headers.get("Status") == "404":
            return None
        return Message(subject, reply.data, int(headers["Nats-Sequence"]))

    async def acknowledge(self, message: Message) -> None:
        """Acknowledges a message of a work queue, and waits until the server has noted that."""
        await self._request(message.acked_at, b"+ACK")

    async def delay(self, message: Message, seconds: float) -> None:
        """Lets a message of a work queue come again after some seconds."""
        body = json.dumps({"delay": int(seconds * 1e9)})
        await self._request(message.acked_at, f"-NAK {body}".encode())

    @asynccontextmanager
    async def pull(self, stream: str, consumer: str, *, batch: int = 1) -> AsyncIterator[Pull]:
        """Yields a `Pull` of a consumer. batch: how many messages may be on their way here."""
        pull = Pull(self._client, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", batch)
        await pull.open()
        try:
            yield pull
        finally:
            with trio.CancelScope(shield=True):
                await pull.close()

    async def _request(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None
    ) -> Msg:
        if not self._client.is_connected:
            # Otherwise nats-py would keep the message, and send it after the caller has given up.
            await trio.lowlevel.checkpoint()
            raise NoAnswer("NATS is not reached")

        async def request() -> Msg:
            return await self._client.request(
                subject, data, timeout=_ANSWER, headers=dict(headers) if headers else None
            )

        try:
            return await on_asyncio(request)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise NoAnswer(str(error) or "no answer in time") from None


class Pull:
    """Receives the messages of a consumer: see the beginning of this file."""

    def __init__(self, client: Client, request: str, batch: int) -> None:
        self._client = client
        self._request = request
        self._batch = batch
        self._left = 0  # messages that may still come for the last request
        self._put, self._come = trio.open_memory_channel[Msg](100_000)
        self._inbox = client.new_inbox()
        self._subscription: Any = None

    async def open(self) -> None:
        async def put(message: Msg) -> None:
            with suppress(trio.BrokenResourceError, trio.WouldBlock):
                self._put.send_nowait(message)

        async def subscribe() -> Any:
            return await self._client.subscribe(self._inbox, cb=put)

        if not self._client.is_connected:
            await trio.lowlevel.checkpoint()
            raise NoAnswer("NATS is not reached")
        try:
            self._subscription = await on_asyncio(subscribe)
        except (nats.errors.Error, OSError) as error:
            raise NoAnswer(str(error)) from None

    async def close(self) -> None:
        self._put.close()
        with suppress(nats.errors.Error, OSError):
            await on_asyncio(self._subscription.unsubscribe)

    async def receive(self) -> Message:
        """Returns the next message. Raises `InDoubt`. A cancel loses no message."""
        while True:
            if self._left <= 0:
                await self._ask()
            with trio.move_on_after(SILENCE) as limit:
                message = await self._come.receive()
            if limit.cancelled_caught:
                raise InDoubt("neither a message nor a heartbeat came")
            status = (message.headers or {}).get("Status") if not message.data else None
            if status is None:
                self._left -= 1
                return _of_stream(message)
            if status == "100":  # a heartbeat
                continue
            if status == "408":  # the time of the request is over
                self._left = 0
                continue
            raise InDoubt((message.headers or {}).get("Description", status))

    async def _ask(self) -> None:
        body = {
            "batch": self._batch,
            "expires": int(_EXPIRES * 1e9),
            "idle_heartbeat": int(_HEARTBEAT * 1e9),
        }
        self._left = self._batch

        async def publish() -> None:
            await self._client.publish(self._request, json.dumps(body).encode(), self._inbox)

        try:
            await on_asyncio(publish)
        except (nats.errors.Error, OSError) as error:
            raise InDoubt(str(error)) from None


def _of_stream(message: Msg) -> Message:
    # Its reply: $JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.NUMBER.NANOSECONDS.PENDING; in a newer
    # form DOMAIN.ACCOUNT stand before STREAM, and a random word at the end.
    words = message.reply.split(".")
    at = 5 if len(words) < 12 else 7
    time = int(words[at + 2]) / 1e9
    return Message(message.subject, message.data, int(words[at]), time, message.reply)


def _answer(data: bytes) -> dict[str, Any]:
    """Decodes a reply of JetStream. Raises `Refused`."""
    answer: dict[str, Any] = json.loads(data)
    if (error := answer.get("error")) is not None:
        raise Refused(error.get("err_code", error.get("code", 0)), error.get("description", ""))
    return answer


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[JetStream]:
    """Yields the connection to NATS, which may still have to be made. It is made again whenever it
    breaks, and each address is tried for ever.
    """
    client = Client()
    context = None
    if server.servers[0].startswith("tls://"):
        try:
            context = ssl.create_default_context(cafile=server.ca)
        except OSError as error:  # which does not name the file
            raise OSError(error.errno, error.strerror or str(error), server.ca) from error

    async def said(error: Exception) -> None:
        _log.info("NATS: %s", error or type(error).__name__)

    async def came() -> None:
        _log.info("connected to NATS at %s", client.connected_url and client.connected_url.netloc)

    async def left() -> None:
        _log.warning("the connection to NATS is broken")

    async def connect() -> None:
        await client.connect(
            servers=list(server.servers),
            name=server.name,
            nkeys_seed_str=server.seed,
            inbox_prefix=f"_INBOX_{server.name}",
            tls=context,
            error_cb=said,
            reconnected_cb=came,
            disconnected_cb=left,
            ping_interval=_PING,
            max_outstanding_pings=2,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=2,
        )
        await came()

    async with open_bridge(), trio.open_nursery() as nursery:
        nursery.start_soon(on_asyncio, connect)
        try:
            yield JetStream(client)
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True), trio.move_on_after(1), suppress(Exception):
                await on_asyncio(client.close)
