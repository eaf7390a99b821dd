"""One connection: calls and replies, their order, and what ends the connection."""

import gc
import inspect
import json
import logging
from collections.abc import Callable

import msgspec
import pytest
import trio
import trio.testing

from cucmd.varlink import SocketLimits, framing
from cucmd.varlink.limits import Users
from rig.example_interface import NAME, Example

Connect = Callable[..., object]
SERVICE = "org.varlink.service"


async def test_a_call_is_answered(connect: Connect) -> None:
    peer = connect()
    assert await peer.call("Echo", {"text": "hello"}) == {"parameters": {"text": "hello"}}


async def test_calls_in_one_piece_are_answered_in_order(connect: Connect, call: Callable) -> None:
    peer = connect()
    await peer.send(*(call("Echo", {"text": str(number)}) for number in range(50)))
    replies = await peer.finish()
    assert [reply["parameters"]["text"] for reply in replies] == [str(n) for n in range(50)]


async def test_calls_after_a_slow_call_wait_for_it(
    connect: Connect, call: Callable, example: Example
) -> None:
    peer = connect()
    await peer.send(call("Wait"), call("Echo", {"text": "after"}))
    await example.begun.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert example.done == []
    example.gate.set()
    assert await peer.finish() == [{"parameters": {}}, {"parameters": {"text": "after"}}]


async def test_a_oneway_call_is_executed_and_not_answered(
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


async def test_an_error_of_the_interface_has_its_fields(connect: Connect) -> None:
    reply = await connect().call("Refuse", {"text": "cake"})
    assert reply == {"error": f"{NAME}.NotThere", "parameters": {"what": "cake"}}


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


async def test_an_object_that_is_not_a_call_gets_an_error_and_the_connection_stays(
    connect: Connect,
) -> None:
    peer = connect()
    await peer.send({"method": f"{NAME}.Who", "parameter": {}})
    assert await peer.receive() == {
        "error": f"{SERVICE}.InvalidParameter",
        "parameters": {"parameter": "parameter"},
    }
    assert "error" not in await peer.call("Who")


async def test_more_for_a_method_of_one_reply_gives_one_reply(connect: Connect) -> None:
    assert await connect().call("Echo", {"text": "x"}, more=True) == {"parameters": {"text": "x"}}


@pytest.mark.parametrize(
    "frame", [b"nope\0", b"\0", b"[]\0", b"x" * (2**20 + 1), b"[" * 5000 + b"\0"]
)
async def test_an_invalid_frame_ends_its_connection_only(
    connect: Connect, call: Callable, frame: bytes
) -> None:
    other = connect()
    peer = connect()
    await peer.send(call("Echo", {"text": "before"}), frame, call("Echo", {"text": "after"}))
    assert await peer.receive_all() == [{"parameters": {"text": "before"}}]
    await peer.over.wait()
    assert "error" not in await other.call("Who")


async def test_invalid_json_within_parameters_ends_the_connection(connect: Connect) -> None:
    peer = connect()
    await peer.send(b'{"method":"%s.Echo","parameters":{"text":"\\ud800"}}\0' % NAME.encode())
    assert await peer.receive_all() == []


async def test_a_defect_is_answered_and_logged_without_the_parameters(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    peer = connect()
    reply = await peer.call("Fail", {"text": "hunter2"})
    assert reply == {"error": f"{NAME}.InternalError", "parameters": {}}
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "raise ValueError(request.text)" in record.getMessage()
    assert "hunter2" not in caplog.text
    assert "error" not in await peer.call("Who")


async def test_streams_are_limited_and_calls_go_on(connect: Connect) -> None:
    quota = Users(SocketLimits(streams=1))
    watching, other = connect(users=quota), connect(users=quota)
    assert (await watching.call("Count", more=True))["continues"]
    assert await other.call("Count", more=True) == {
        "error": f"{NAME}.TooMany",
        "parameters": {"limit": "streams", "maximum": 1},
    }
    assert "error" not in await other.call("Who")


async def test_a_stream_does_not_keep_its_frame(connect: Connect, call: Callable) -> None:
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


async def test_silence_within_a_frame_ends_the_connection(
    connect: Connect, autojump_clock: trio.testing.MockClock
) -> None:
    peer = connect()
    begun = trio.current_time()
    await peer.send(b'{"method":')
    assert await peer.receive() is None
    assert trio.current_time() - begun == 30


async def test_silence_is_counted_from_the_last_byte(
    connect: Connect, autojump_clock: trio.testing.MockClock
) -> None:
    peer = connect()
    for byte in b'{"method":"io.example.Test.Who"}\0':
        await trio.sleep(29)
        await peer.send(bytes([byte]))
    assert "parameters" in await peer.receive()


async def test_silence_between_frames_does_not_end_the_connection(
    connect: Connect, autojump_clock: trio.testing.MockClock
) -> None:
    peer = connect()
    await peer.call("Who")
    await trio.sleep(80_000)
    assert "error" not in await peer.call("Who")


async def test_a_call_may_take_longer_than_the_silence(
    connect: Connect,
    call: Callable,
    example: Example,
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = connect()
    await peer.send(call("Wait"), b'{"method":"io.example')  # the next one has begun
    await trio.sleep(1000)
    example.gate.set()
    assert await peer.receive() == {"parameters": {}}
    await peer.send(b'.Test.Who"}\0')
    assert "parameters" in await peer.receive()


# Ends


async def test_a_peer_that_has_finished_sending_still_gets_its_replies(
    connect: Connect, call: Callable, example: Example
) -> None:
    peer = connect()
    await peer.send(call("Wait"), call("Count", {"upto": 2}, more=True))
    await peer.stream.send_eof()
    await example.begun.wait()
    example.gate.set()
    assert len(await peer.receive_all()) == 3


async def test_a_hang_up_cancels_a_call(connect: Connect, call: Callable, example: Example) -> None:
    peer = connect()
    await peer.send(call("Wait"))
    await example.begun.wait()
    await peer.stream.aclose()
    peer.connection.hang_up()  # as the server does when the kernel reports it
    await peer.over.wait()
    assert example.done == ["wait cancelled"]


@pytest.mark.parametrize(("method", "oneway"), [("Change", False), ("Wait", True)])
async def test_a_hang_up_does_not_cancel_a_call_with_an_effect(
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


async def test_a_call_is_not_begun_after_the_peer_has_hung_up(
    connect: Connect, call: Callable, example: Example
) -> None:
    peer = connect()
    await peer.send(call("Wait"), call("Count", more=True), call("Wait"))
    await example.begun.wait()
    await peer.stream.aclose()
    peer.connection.hang_up()
    await peer.over.wait()
    assert example.done == ["wait cancelled"]


async def test_a_stopped_connection_ends_after_its_call(
    connect: Connect, call: Callable, example: Example
) -> None:
    idle, busy = connect(), connect()
    await busy.send(call("Wait"), call("Echo", {"text": "too late"}))
    await example.begun.wait()
    for peer in (idle, busy):
        peer.connection.stop()
    assert await idle.receive_all() == []
    example.gate.set()
    assert await busy.receive_all() == [{"parameters": {}}]
    assert example.done == ["wait"]
