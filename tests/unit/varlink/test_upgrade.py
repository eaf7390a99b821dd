"""Calls that upgrade the connection: the reply, the bytes after it, and what ends them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from cucmd.varlink import Caller, Interface, Method, Upgrade
from cucmd.varlink.connection import ServerParts
from cucmd.varlink.limits import SocketLimits, Users
from cucmd.varlink.service import MethodTable
from rig.example_interface import INFO, NAME, Nothing, NotThere, Number, Text, error, too_many

Connect = Callable[..., object]
BODY = b"\0not JSON" * 40_000


class Raw:
    """The method Raw replies with a number and then sends bytes. Its text says what goes wrong."""

    def __init__(self) -> None:
        self.gate = trio.Event()
        self.gate.set()
        self.left = trio.Event()

    @asynccontextmanager
    async def raw(self, _caller: Caller, request: Text) -> AsyncIterator[Upgrade]:
        if request.text == "refuse":
            raise error(NotThere(request.text))
        await self.gate.wait()
        try:
            yield Upgrade(Number(len(BODY)), partial(self._send, request.text))
        finally:
            self.left.set()

    async def _send(self, text: str, stream: trio.abc.Stream) -> None:
        await stream.send_all(BODY[:1000])
        if text == "fail":
            raise OSError("a disk")
        await stream.send_all(BODY[1000:])

    async def echo(self, _caller: Caller, request: Text) -> Text:
        return request

    async def nothing(self, _caller: Caller, _request: Nothing) -> Nothing:
        return Nothing()


@pytest.fixture
def raw() -> Raw:
    return Raw()


@pytest.fixture
def held(raw: Raw) -> ServerParts:
    methods = (
        Method("Raw", Text, Number, raw.raw, upgrade=True),
        Method("Echo", Text, Text, raw.echo),
    )
    text = f"interface {NAME}\nmethod Raw(text: string) -> (number: int)\n"
    table = MethodTable(Interface(NAME, text, methods, too_many), INFO)
    return ServerParts(table, Users(SocketLimits(streams=1)), lambda *_: None)


async def test_bytes_follow_the_reply(connect: Connect) -> None:
    peer = connect()
    reply = await peer.call("Raw", {"text": "x"}, upgrade=True)
    assert reply == {"parameters": {"number": len(BODY)}}
    assert await peer.rest() == BODY
    await peer.over.wait()


async def test_only_some_methods_upgrade(connect: Connect) -> None:
    peer = connect()
    for method, upgrade in (("Raw", False), ("Echo", True)):
        reply = await peer.call(method, {"text": "x"}, upgrade=upgrade)
        assert reply["error"] == "org.varlink.service.InvalidParameter"
        assert reply["parameters"] == {"parameter": "upgrade"}


async def test_refused_upgrade_keeps_varlink(connect: Connect) -> None:
    peer = connect()
    reply = await peer.call("Raw", {"text": "refuse"}, upgrade=True)
    assert reply["error"] == f"{NAME}.NotThere"
    assert await peer.call("Echo", {"text": "after"}) == {"parameters": {"text": "after"}}


async def test_failing_body_ends_the_connection(
    connect: Connect, raw: Raw, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    peer = connect()
    await peer.call("Raw", {"text": "fail"}, upgrade=True)
    assert await peer.rest() == BODY[:1000]
    assert raw.left.is_set()
    assert "a disk" in caplog.text


async def test_hang_up_frees_the_place(connect: Connect, raw: Raw) -> None:
    raw.gate = trio.Event()
    peer = connect()
    await peer.send({"method": f"{NAME}.Raw", "parameters": {"text": "x"}, "upgrade": True})
    await trio.testing.wait_all_tasks_blocked()
    peer.connection.hang_up()
    await trio.testing.wait_all_tasks_blocked()
    raw.gate.set()
    other = connect()
    await other.call("Raw", {"text": "x"}, upgrade=True)
    assert await other.rest() == BODY
