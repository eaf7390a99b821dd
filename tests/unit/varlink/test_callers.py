"""Permissions of callers, and calls that are made on behalf of others."""

from collections.abc import Callable

import msgspec

from cucmd.varlink import Caller, Method, PermissionDenied
from cucmd.varlink.service import MethodTable
from rig.example_interface import INFO, NAME, Example

Connect = Callable[..., object]
SERVICE = "org.varlink.service"


async def test_refused_caller_gets_permission_denied(connect: Connect, example: Example) -> None:
    def nobody(caller: Caller, method: Method | None) -> None:
        raise PermissionDenied

    peer = connect(authorize=nobody)
    for method in ("Echo", "Nonsense", "org.varlink.service.GetInfo"):
        reply = await peer.call(method, {"text": "x"})
        assert reply == {"error": f"{SERVICE}.PermissionDenied", "parameters": {}}
    assert example.done == []


async def test_defect_in_authorize_permits_nothing(connect: Connect, example: Example) -> None:
    def broken(caller: Caller, method: Method | None) -> None:
        raise RuntimeError

    peer = connect(authorize=broken)
    assert (await peer.call("Echo", {"text": "x"}))["error"] == f"{NAME}.InternalError"
    assert (await peer.call("Nonsense"))["error"] == f"{NAME}.InternalError"
    assert example.done == []


# As whom a call is made


def as_alice(caller: Caller, method: Method, request: msgspec.Struct) -> Caller:
    return msgspec.structs.replace(caller, uid=7)


async def test_handler_gets_effective_caller(connect: Connect, example: Example) -> None:
    peer = connect(methods=MethodTable(example.interface(effective_caller=as_alice), INFO))
    assert (await peer.call("Who"))["parameters"]["uid"] == 7


async def test_interface_can_refuse_a_caller(
    connect: Connect, call: Callable, example: Example
) -> None:
    """A stream and a oneway call are refused in the same way."""

    def nobody(caller: Caller, method: Method, request: msgspec.Struct) -> Caller:
        raise PermissionDenied

    peer = connect(methods=MethodTable(example.interface(effective_caller=nobody), INFO))
    await peer.send(call("Change", oneway=True), call("Count", {"upto": 2}, more=True))
    assert await peer.receive() == {"error": f"{SERVICE}.PermissionDenied", "parameters": {}}
    assert "error" not in await peer.call("org.varlink.service.GetInfo")
    assert example.done == []
