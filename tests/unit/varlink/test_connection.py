"""One connection: calls, replies and their order, and what ends the connection."""

import gc
import inspect
import json
import logging
from collections.abc import Callable

import msgspec
import pytest
import trio
import trio.testing

from cucmd.varlink import framing
from rig.example_interface import NAME, Example

Connect = Callable[..., object]
SERVICE = "org.varlink.service"


async def test_pipelined_calls_are_answered_in_order(connect: Connect, call: Callable) -> None:
    peer = connect()
    await peer.send(*(call("Echo", {"text": str(number)}) for number in range(50)))
    replies = await peer.finish()
    assert [reply["parameters"]["text"] for reply in replies] == [str(n) for n in range(50)]


async def test_oneway_call_gets_no_reply(
    connect: Connect, call: Callable, example: Example
) -> None:
    peer = connect()
    await peer.send(
        call("Echo", {"text": "quiet"}, oneway=True),
        call("Refuse", {"text": "quiet"}, oneway=True),
        call("Nonsense", oneway=True),
        call("Echo", {"typo": 1}, oneway=True),
        call("Count", {"upto": 3}, oneway=True, more=True),
        {"typo": 1, "oneway": True},
        call("Echo", {"text": "loud"}),
    )
    assert await peer.finish() == [{"parameters": {"text": "loud"}}]
    assert example.done == ["echo quiet", "echo loud"]


@pytest.mark.parametrize(
    ("method", "flags", "error", "parameters"),
    [
        (f"{NAME}.Nope", {}, "MethodNotFound", {"method": f"{NAME}.Nope"}),
        ("io.example.Other.Echo", {}, "InterfaceNotFound", {"interface": "io.example.Other"}),
        ("Echo.", {}, "InterfaceNotFound", {"interface": "Echo"}),
        (f"{NAME}.Count", {}, "ExpectedMore", {}),
        (f"{NAME}.Who", {"upgrade": True}, "InvalidParameter", {"parameter": "upgrade"}),
    ],
)
async def test_standard_errors(
    connect: Connect, method: str, flags: dict, error: str, parameters: dict
) -> None:
    peer = connect()
    reply = await peer.call(method, **flags)
    assert reply == {"error": f"{SERVICE}.{error}", "parameters": parameters}
    assert "error" not in await peer.call("Who")


async def test_wrong_call_keeps_the_connection(
    connect: Connect,
) -> None:
    peer = connect()
    await peer.send({"method": f"{NAME}.Who", "parameter": {}})
    assert await peer.receive() == {
        "error": f"{SERVICE}.InvalidParameter",
        "parameters": {"parameter": "parameter"},
    }
    assert "error" not in await peer.call("Who")


@pytest.mark.parametrize(
    "frame", [b"nope\0", b"\0", b"[]\0", b"x" * (2**20 + 1), b"[" * 5000 + b"\0"]
)
async def test_invalid_frame_ends_only_its_connection(
    connect: Connect, call: Callable, frame: bytes
) -> None:
    other = connect()
    peer = connect()
    await peer.send(call("Echo", {"text": "before"}), frame, call("Echo", {"text": "after"}))
    assert await peer.receive_all() == [{"parameters": {"text": "before"}}]
    await peer.over.wait()
    assert "error" not in await other.call("Who")


async def test_defect_is_logged_without_parameters(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    peer = connect()
    reply = await peer.call("Fail", {"text": "hunter2"})
    assert reply == {"error": f"{NAME}.InternalError", "parameters": {}}
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "raise ValueError(request.text)" in record.getMessage()
    assert "hunter2" not in caplog.text
    assert "error" not in await peer.call("Who")


async def test_stream_frees_its_frame(connect: Connect, call: Callable) -> None:
    peer = connect()
    await peer.send(json.dumps(call("Count", more=True)).encode() + b" " * 60_000 + b"\0")
    await peer.receive()
    gc.collect()
    kept = [one for one in held_by_frames(peer.connection) if len(one) > 50_000]
    assert kept == []


def held_by_frames(connection: object) -> list[bytes]:
    """Finds the bytes in local variables of the coroutines that serve the connection."""
    found: list[bytes] = []
    for coroutine in (one for one in gc.get_objects() if inspect.iscoroutine(one)):
        frame = coroutine.cr_frame
        if frame is not None and frame.f_locals.get("self") is connection:
            values = frame.f_locals.values()
            found += [bytes(one) for one in values if isinstance(one, bytes | msgspec.Raw)]
            found += [bytes(one.parameters) for one in values if isinstance(one, framing.Call)]
    return found


# Silence


async def test_silence_within_frame_ends_connection(
    connect: Connect, autojump_clock: trio.testing.MockClock
) -> None:
    peer = connect()
    begun = trio.current_time()
    await peer.send(b'{"method":')
    assert await peer.receive() is None
    assert trio.current_time() - begun == 30


async def test_each_byte_restarts_silence(
    connect: Connect, autojump_clock: trio.testing.MockClock
) -> None:
    peer = connect()
    for byte in b'{"method":"io.example.Test.Who"}\0':
        await trio.sleep(29)
        await peer.send(bytes([byte]))
    assert "parameters" in await peer.receive()


# Ends


async def test_half_closed_peer_gets_replies(
    connect: Connect, call: Callable, example: Example
) -> None:
    peer = connect()
    await peer.send(call("Wait"), call("Count", {"upto": 2}, more=True))
    await peer.stream.send_eof()
    await example.begun.wait()
    example.gate.set()
    assert len(await peer.receive_all()) == 3


async def test_hang_up_cancels_a_call(connect: Connect, call: Callable, example: Example) -> None:
    peer = connect()
    await peer.send(call("Wait"))
    await example.begun.wait()
    await peer.stream.aclose()
    peer.connection.hang_up()  # as the server does when the kernel reports it
    await peer.over.wait()
    assert example.done == ["wait cancelled"]


@pytest.mark.parametrize(("method", "oneway"), [("Change", False), ("Wait", True)])
async def test_hang_up_keeps_calls_with_effects(
    connect: Connect, call: Callable, example: Example, method: str, oneway: bool
) -> None:
    peer = connect()
    await peer.send(call(method, oneway=oneway), call("Echo", {"text": "late"}, oneway=True))
    await example.begun.wait()
    await peer.stream.aclose()
    peer.connection.hang_up()
    await trio.testing.wait_all_tasks_blocked()
    example.gate.set()
    await peer.over.wait()
    assert example.done == [method.lower(), "echo late"]


async def test_no_call_begins_after_hang_up(
    connect: Connect, call: Callable, example: Example
) -> None:
    peer = connect()
    await peer.send(call("Wait"), call("Count", more=True), call("Wait"))
    await example.begun.wait()
    await peer.stream.aclose()
    peer.connection.hang_up()
    await peer.over.wait()
    assert example.done == ["wait cancelled"]


async def test_stop_waits_for_the_call(connect: Connect, call: Callable, example: Example) -> None:
    idle, busy = connect(), connect()
    await busy.send(call("Wait"), call("Echo", {"text": "too late"}))
    await example.begun.wait()
    for peer in (idle, busy):
        peer.connection.stop()
    assert await idle.receive_all() == []
    example.gate.set()
    assert await busy.receive_all() == [{"parameters": {}}]
    assert example.done == ["wait"]
