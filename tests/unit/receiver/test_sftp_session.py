"""An SFTP session loses no byte, and holds few replies for a slow client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, cast

import pytest

from cucmd.receiver.sftp_packets import Malformed
from cucmd.receiver.sftp_session import SftpSession
from rig import sftp_words as words

WINDOW = 64 * 1024


def in_asyncio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**given: Any) -> None:
        # Not asyncio.run: trio-asyncio, once imported, gives that a loop of its own.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(test(**given))  # type: ignore[arg-type]

    return run


class RequestHandler:
    """Answers each packet with its last byte, or with `reply`."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.closed = 0
        self.reply: bytes | None = None
        self.defect: Exception | None = None

    def answer(self, packet: memoryview) -> bytes:
        if self.defect:
            raise self.defect
        self.seen.append(bytes(packet))
        return bytes(packet[-1:]) if self.reply is None else self.reply

    def close(self) -> None:
        self.closed += 1


class DaemonClient:
    def __init__(self) -> None:
        self.said: list[str] = []

    def report_activity(self) -> None:
        pass

    def log_once(self, what: str, *_: object) -> None:
        self.said.append(what)


class Channel:
    """Stands for asyncssh's channel. most: bytes of replies after which it pauses the session."""

    def __init__(self) -> None:
        self.paused = False
        self.said = b""
        self.exited: int | None = None
        self.most = 1 << 30
        self.session: SftpSession

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def write(self, data: bytes) -> None:
        self.said += data
        if len(self.said) >= self.most:
            self.session.pause_writing()

    def is_closing(self) -> bool:
        return self.exited is not None

    def exit(self, status: int) -> None:
        self.exited = status


class Rig:
    def __init__(self) -> None:
        self.login, self.handler, self.channel = DaemonClient(), RequestHandler(), Channel()
        self.session = SftpSession(cast(Any, self.login), cast(Any, self.handler))
        self.channel.session = self.session
        self.session.connection_made(cast(Any, self.channel))

    def hear(self, *bodies: bytes) -> None:
        self.session.data_received(b"".join(map(words.string, bodies)), None)


@pytest.fixture
def rig() -> Rig:
    return Rig()


@in_asyncio
async def test_packets_are_answered_in_order(rig: Rig) -> None:
    rig.hear(*[b"%d" % (number % 10) for number in range(25)])
    rig.session.eof_received()
    assert rig.channel.said == b"0123456789012345678901234"
    assert (rig.channel.exited, rig.handler.closed) == (0, 1)


@in_asyncio
async def test_slow_request_delays_no_reply(rig: Rig) -> None:
    rig.session.data_received(words.write(1, b"x", 0, b"1"), None)
    said = []
    rig.handler.answer = lambda packet: said.append(rig.channel.said) or b"2"  # type: ignore[func-returns-value,method-assign]
    rig.session.data_received(words.on_handle(words.PacketType.CLOSE, 2, b"x"), None)
    assert said == [b"1"]


@in_asyncio
async def test_queued_packets_are_handled_at_end(rig: Rig) -> None:
    rig.session.pause_writing()
    rig.hear(b"a", b"b")
    rig.session.connection_lost(ConnectionResetError())
    assert rig.handler.seen == [b"a", b"b"]
    assert (rig.channel.said, rig.handler.closed) == (b"", 1)


@pytest.mark.long
@in_asyncio
async def test_slow_client_is_paused(rig: Rig) -> None:
    """The reply to a READDIR is two thousand times as long as the request."""
    rig.handler.reply, rig.channel.most = bytes(60_000), 200_000
    rig.hear(*[b"x"] * 1000)
    assert rig.channel.paused
    assert len(rig.channel.said) < 400_000
    assert len(rig.handler.seen) < 10
    rig.channel.most = 1 << 30
    rig.session.resume_writing()
    rig.session.eof_received()
    assert not rig.channel.paused
    assert len(rig.channel.said) == 1000 * 60_000


@pytest.mark.parametrize("defect", [Malformed("no INIT"), OSError(5, "disk")])
@in_asyncio
async def test_error_ends_the_session(rig: Rig, defect: Exception) -> None:
    rig.handler.defect = defect
    rig.hear(b"a")
    assert (rig.channel.exited, rig.handler.closed, len(rig.login.said)) == (0, 1, 1)
