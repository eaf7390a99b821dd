"""A call that no method has seen is refused, and what may be a password is not repeated."""

import json
import logging

import pytest
import trio
import trio.testing

from cucmd.api.jobs_interface import jobs_interface
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
    interface = jobs_interface(*(Methods() for _ in range(5)), effective_caller=itself)
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


@pytest.mark.parametrize("what", UNFIT)
async def test_parameters_that_do_not_fit_are_refused(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    name, fields = await answer(*UNFIT[what])
    assert name == "InvalidRequest"
    assert PASSWORD not in f"{fields} {caplog.text}"


async def test_a_defect_is_an_internal_error() -> None:
    assert await answer("Status", {"job_id": "0123"}) == ("InternalError", {})


async def test_who_may_not_call_gets_the_standard_error_which_has_no_fields() -> None:
    def refuse(*_: object) -> None:
        raise PermissionDenied

    call = await answer("Start", START | {"request_id": "case 1"}, authorize=refuse)
    assert call == ("PermissionDenied", {})
