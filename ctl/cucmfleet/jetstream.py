"""Talks to NATS JetStream. This is the only file that knows nats-py and asyncio.

nats-py runs in the asyncio loop that `open_bridge` of the daemon's SSH client runs inside trio. Its
callbacks run between two steps of trio's tasks, so they put messages into a trio channel.

Messages are pulled here and not with `fetch` of nats-py. A `fetch` that is cancelled loses
messages, and without messages it does not tell whether the server has answered. If the connection
breaks, what was on its way is lost, and `fetch` goes on with the next connection. `JetStream.pull`
has an inbox of its own. It ends with the connection, or if the server does not answer in time.
Whoever gets `NoAnswer` pulls anew, behind the last message that was handled.
"""

from __future__ import annotations

import json
import logging
import math
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import nats.errors
import trio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.protocol import parser

from cucmd.ssh.bridge import on_asyncio, open_bridge

T = TypeVar("T")
Message: TypeAlias = Msg
Receive: TypeAlias = Callable[[], Awaitable[Message]]

_log = logging.getLogger("cucmfleet")

# Seconds that a request may take, and until a pull without any answer ends. The server answers a
# pull after `_ANSWER` seconds without a message, so no heartbeat is needed.
_ANSWER, _SILENCE = 5.0, 12.0

# JetStream's numbers of errors that somebody looks at.
NO_STREAM, WRONG_SEQUENCE = 10059, 10071


# A hostile site chooses the subjects and headers of its states. nats-py would take a vertical tab
# for the end of a subject, and break the connection.
parser.MSG_RE, parser.HMSG_RE = (
    re.compile(line.pattern.replace(rb"[^\s]", rb"[^ \t\r\n]"))
    for line in (parser.MSG_RE, parser.HMSG_RE)
)


class _Client(Client):
    """Drops messages that nats-py cannot decode, after which it would read nothing any more."""

    async def _process_msg(self, *message: Any) -> None:
        with suppress(ValueError, LookupError):
            await super()._process_msg(*message)


class NoAnswer(Exception):
    """NATS is not reached, or did not answer in time. The request may have had its effect."""


class Refused(Exception):
    """JetStream answered with an error, or the message is too large to be sent.

    code  JetStream's number of the error, such as 10059 for no stream, or 503 if nobody answers a
          pull; 0 if the message is too large
    """

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"JetStream refused that: {description} ({code})")
        self.code = code


class Last(NamedTuple):
    """Holds the last message of a subject, and when NATS has stored it."""

    number: int
    data: bytes
    at: datetime


class JetStream:
    """Makes requests to JetStream. Methods that do so raise `NoAnswer` and `Refused`."""

    def __init__(self, client: Client, api: str) -> None:
        self._client = client
        self._api = api
        # Each pull ends when its channel is closed.
        self.pulls: set[trio.MemorySendChannel[Message]] = set()

    @property
    def has_several_servers(self) -> bool:
        return "cluster" in self._client._server_info

    async def until_connected(self) -> None:
        while not self._client.is_connected:  # noqa: ASYNC110  # nobody says when
            await trio.sleep(0.5)

    async def ask(self, subject: str, body: object = None) -> dict[str, Any]:
        """Makes a request to the API of JetStream, such as "STREAM.INFO.EV"."""
        data = b"" if body is None else json.dumps(body).encode()
        return await self._ask(f"{self._api}.{subject}", data)

    async def publish(
        self, subject: str, data: bytes, *, message_id: str = "", after: int | None = None
    ) -> int:
        """Stores a message in the stream of its subject. Returns its number once it is on the disk.

        message_id  the stream drops a second message with the same id
        after       the number of the last message of this subject must be this one (0: none), or
                    the message is refused with `WRONG_SEQUENCE`
        """
        headers = {"Nats-Msg-Id": message_id} if message_id else {}
        if after is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(after)
        return int((await self._ask(subject, data, headers=headers or None))["seq"])

    async def last(self, stream: str, subject: str) -> Last:
        """Returns the last message of a subject, or one with the number 0 without data. With
        several servers, the one that answers may be behind the others for a moment.
        """
        # Not STREAM.MSG.GET: requests for that wait in a queue that all sites share.
        subject = f"{self._api}.DIRECT.GET.{stream}.{subject}"
        reply = await self._do(self._client.request, subject, timeout=_ANSWER)
        headers = reply.headers or {}
        if "Nats-Sequence" not in headers:
            return Last(0, b"", datetime.min.replace(tzinfo=UTC))
        at = datetime.fromisoformat(headers["Nats-Time-Stamp"])
        return Last(int(headers["Nats-Sequence"]), reply.data, at)

    async def acknowledge(self, message: Message) -> None:
        """Acknowledges a message of a work queue, and waits until the server has noted that."""
        await self._do(message.ack_sync, timeout=_ANSWER)

    async def delay(self, message: Message, seconds: float) -> None:
        """Lets a message of a work queue come again after some seconds."""
        await self._do(message.nak, delay=seconds)

    @asynccontextmanager
    async def pull(self, stream: str, consumer: str, *, batch: int = 1) -> AsyncIterator[Receive]:
        """Yields a function that returns the next message of a consumer. If it is cancelled, no
        message is lost. It raises `NoAnswer` if messages may have been missed, and `Refused` if the
        consumer is gone.

        batch  how many messages may be on their way here
        """
        come_in, come_out = trio.open_memory_channel[Message](math.inf)
        inbox = self._client.new_inbox()
        subject = f"{self._api}.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        request = json.dumps({"batch": batch, "expires": int(_ANSWER * 1e9)}).encode()
        left = 0  # messages that may still come for the last request

        async def put(message: Message) -> None:
            with suppress(trio.ClosedResourceError):
                come_in.send_nowait(message)

        async def receive() -> Message:
            nonlocal left
            while True:
                if left == 0:
                    await self._do(self._client.publish, subject, request, inbox)
                    left = batch
                try:
                    with trio.fail_after(_SILENCE):
                        message = await come_out.receive()
                except (trio.TooSlowError, trio.EndOfChannel):
                    raise NoAnswer("messages may have been missed") from None
                if message.reply:  # the subject of its acknowledgement; answers have none
                    left -= 1
                    return message
                headers = message.headers or {}
                status = int(headers.get("Status", 0))
                if status == 503:
                    raise Refused(status, "nobody answers; is this the key of this site?")
                if status != 408:  # 408: no message came in time
                    raise Refused(status, headers.get("Description", ""))
                left = 0

        subscription = await self._do(self._client.subscribe, inbox, cb=put)
        self.pulls.add(come_in)
        try:
            yield receive
        finally:
            self.pulls.discard(come_in)
            with trio.CancelScope(shield=True), suppress(nats.errors.Error, OSError):
                # Also without a connection, or nats-py would subscribe again on the next one.
                await on_asyncio(subscription.unsubscribe)

    async def _ask(self, subject: str, data: bytes, **options: Any) -> dict[str, Any]:
        reply = await self._do(self._client.request, subject, data, timeout=_ANSWER, **options)
        answer: dict[str, Any] = json.loads(reply.data)
        if (error := answer.get("error")) is not None:
            raise Refused(error.get("err_code", error.get("code", 0)), error.get("description", ""))
        return answer

    async def _do(self, function: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
        if not self._client.is_connected:
            # Otherwise nats-py would keep the message, and send it after the caller has given up.
            raise NoAnswer("NATS is not reached")
        try:
            return await on_asyncio(partial(function, *args, **options))
        except nats.errors.MaxPayloadError:
            raise Refused(0, "the message is too large") from None
        except (nats.errors.Error, OSError) as error:
            raise NoAnswer(str(error)) from None


@asynccontextmanager
async def connected(
    servers: tuple[str, ...], seed: str, name: str, ca: Path | None = None, api: str = "$JS.API"
) -> AsyncIterator[JetStream]:
    """Yields the connection to NATS, which may still have to be made. It is made again whenever it
    breaks, and each address is tried for ever.

    servers  addresses such as tls://hub.example:4222; any of them will do
    seed     the secret part of the nkey
    name     the name of this client
    ca       the file of the authority that has signed the server's certificate; None: the system's
    api      how the subjects of JetStream's API begin for this client
    """
    client = _Client()
    jetstream = JetStream(client, api)
    context = ssl.create_default_context(cafile=ca) if ca else None
    say_once = lru_cache(partial(_log.info, "NATS: %s"))

    async def log_error(error: Exception) -> None:
        text = str(error) or type(error).__name__
        if "Authorization Violation" in text:
            text += "; nats-server does not know this key. At the hub, make a new one with"
            text += " cucmhub site add, or let nats-server read its users again"
        say_once(text)

    async def log_connected() -> None:
        say_once.cache_clear()
        _log.info("connected to NATS at %s", client.connected_url and client.connected_url.netloc)

    async def end_pulls() -> None:
        for pull in jetstream.pulls:
            pull.close()
        if not client.is_closed:  # else this program ends
            _log.warning("the connection to NATS is broken")

    async def connect() -> None:
        await client.connect(
            servers=list(servers),
            name=name,
            nkeys_seed_str=seed,
            tls=context,
            error_cb=log_error,
            reconnected_cb=log_connected,
            disconnected_cb=end_pulls,
            # Otherwise a stranger on the way could say that the server has no TLS.
            tls_handshake_first=servers[0].startswith("tls://"),
            ping_interval=2,  # a silent cut is noticed after two pings without an answer
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
        )
        await log_connected()

    async with open_bridge(), trio.open_nursery() as nursery:
        nursery.start_soon(on_asyncio, connect)
        try:
            yield jetstream
        finally:
            nursery.cancel_scope.cancel()
            with trio.move_on_after(1, shield=True), suppress(Exception):
                await on_asyncio(client.close)
