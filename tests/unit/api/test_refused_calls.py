"""A start or a cancel that no method has seen: its error has the request id, and so has the log."""

import json
import logging

import pytest
import trio
import trio.testing

from cucmd.api.interface import jobs_interface
from cucmd.protocol.requests import INTERFACE
from cucmd.varlink import Caller, PermissionDenied, SocketLimits
from cucmd.varlink.connection import ServerConnection, ServerParts
from cucmd.varlink.limits import Users
from cucmd.varlink.service import MethodTable
from rig.example_interface import INFO
from rig.varlink_peer import Peer

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)
PASSWORD = "Misspelt-Secret-1"
START = {"nodes": ["a"], "login": {"credential": "none"}, "collection": {"paths": ["a"]}}
UNFIT = {
    "an unknown field": ("Start", START | {"tyop": 1}),
    "a wrong value": ("Start", START | {"nodes": [1]}),
    "a missing field": ("Start", {}),
    "a misspelt secret": ("Start", START | {"login": {"pasword": PASSWORD}}),
    "a cancel": ("Cancel", {"job": "0123"}),
    "a retry": ("Retry", {"job_id": 5}),
}


class Methods:
    """Each method is called with something else than it expects: a defect."""

    def __getattr__(self, name: str) -> object:
        return lambda caller, request: request.no_such_field


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def allow(*_: object) -> None:
    pass


def itself(caller: Caller, *_: object) -> Caller:
    return caller


async def answer(method: str, parameters: object, authorize: object = allow) -> tuple[str, dict]:
    """Returns the name of the error, and its fields."""
    interface = jobs_interface(*(Methods() for _ in range(5)), as_whom=itself)
    ours, theirs = trio.testing.memory_stream_pair()
    parts = ServerParts(MethodTable(interface, INFO), Users(SocketLimits()), authorize)
    peer = Peer(theirs)
    raw = parameters if isinstance(parameters, bytes) else json.dumps(parameters).encode()
    await peer.send(
        b'{"method":"%s.%s","parameters":%s}\0' % (INTERFACE.encode(), method.encode(), raw)
    )
    await theirs.send_eof()
    await ServerConnection(ours, CALLER, parts).run()
    await ours.aclose()
    reply = await peer.receive()
    return reply["error"].rpartition(".")[2], reply["parameters"]


def assert_logged(caplog: pytest.LogCaptureFixture, called: str, name: str) -> None:
    (line,) = [one for one in caplog.records if f"request {called}: " in one.getMessage()]
    assert line.getMessage().endswith(name)
    assert line.uid == CALLER.uid


@pytest.mark.parametrize("given", ["case 1/2", None])
@pytest.mark.parametrize("what", UNFIT)
async def test_a_request_that_does_not_fit_has_its_id(
    what: str, given: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    method, parameters = UNFIT[what]
    name, fields = await answer(method, parameters | ({"request_id": given} if given else {}))
    assert name == "InvalidRequest"
    assert fields["request_id"] == given or (given is None and fields["request_id"])
    assert_logged(caplog, fields["request_id"], "InvalidRequest")
    assert PASSWORD not in f"{fields} {caplog.text}"


@pytest.mark.parametrize(
    "given",
    [
        b'"two\\nlines"',
        b'"%s"' % (b"x" * 900_000),
        b'""',
        b"17",
        b"null",
        '"\u00e9"'.encode(),
        b'["%s"]' % PASSWORD.encode(),
        b'{"request_id":"%s"}' % PASSWORD.encode(),
    ],
)
async def test_an_id_that_cannot_be_one_is_replaced(
    given: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    name, fields = await answer("Cancel", b'{"tyop":1,"request_id":%s}' % given)
    assert name == "InvalidRequest"
    assert len(fields["request_id"]) == 16
    assert_logged(caplog, fields["request_id"], "InvalidRequest")
    assert PASSWORD not in f"{fields} {caplog.text}"
    assert len(caplog.text) < 1000


@pytest.mark.parametrize("parameters", [b"[]", b'"text"', b"17", b"null"])
async def test_parameters_that_are_no_object_have_a_new_id(parameters: bytes) -> None:
    name, fields = await answer("Cancel", parameters)
    assert name == "InvalidRequest"
    assert len(fields["request_id"]) == 16


async def test_a_defect_has_the_id(caplog: pytest.LogCaptureFixture) -> None:
    name, fields = await answer("Cancel", {"job_id": "0123", "request_id": "case 1"})
    assert (name, fields) == ("InternalError", {"request_id": "case 1"})
    assert_logged(caplog, "case 1", "InternalError")


async def test_an_error_of_another_method_has_none() -> None:
    name, fields = await answer("Status", {"job": "0123", "request_id": "case 1"})
    assert name == "InvalidRequest"
    assert "request_id" not in fields
    assert await answer("Status", {"job_id": "0123"}) == ("InternalError", {})


async def test_who_may_not_call_gets_the_standard_error_which_has_no_fields() -> None:
    def refuse(*_: object) -> None:
        raise PermissionDenied

    call = await answer("Start", START | {"request_id": "case 1"}, authorize=refuse)
    assert call == ("PermissionDenied", {})
