"""The contract of each error: what the socket answers, and what is told of it over HTTP."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from msgspec import Struct

from cucmd.protocol import errors
from rig.scripted_daemon import Caller, refusal, scripted_daemon
from rig.varlink_peer import short_path
from rig.web import Web, running_web


class Told(Struct, frozen=True):
    """What is told of an error. more: the members that it has beside those of every error."""

    status: int
    code: str
    field: str | None = None
    hint: bool = False
    again: bool = False  # it has Retry-After
    more: dict[str, object] = {}


def of_varlink(name: str, **parameters: object) -> bytes:
    said = {"error": f"org.varlink.service.{name}", "parameters": parameters}
    return json.dumps(said).encode() + b"\0"


FAILURE = {"code": "unreachable", "message": "no route", "retryable": True}

# By the id of the job that is asked for: the daemon's answer, and what is told of it.
CONTRACT: dict[str, tuple[bytes, Told]] = {
    "JobNotFound": (
        refusal("JobNotFound", job_id="gone"),
        Told(404, "JobNotFound", more={"job_id": "gone"}),
    ),
    "NodeNotFound": (
        refusal("NodeNotFound", job_id="12345678", node="a"),
        Told(404, "NodeNotFound", more={"job_id": "12345678", "node": "a"}),
    ),
    "ProfileNotFound": (
        refusal("ProfileNotFound", profile="p"),
        Told(404, "ProfileNotFound", more={"profile": "p"}),
    ),
    "CredentialNotFound": (
        refusal("CredentialNotFound", credential="c", cluster="k"),
        Told(404, "CredentialNotFound", more={"credential": "c", "cluster": "k"}),
    ),
    "InvalidRequest": (
        refusal("InvalidRequest", parameter="nodes[2]", reason="expected a string"),
        Told(400, "InvalidRequest", field="nodes[2]"),
    ),
    "SpeaksForNobody": (
        refusal("InvalidRequest", parameter="on_behalf_of", reason="uid 7 is not in it"),
        Told(503, "MayNotSpeakForOthers", hint=True, again=True),
    ),
    "JobBusy": (
        refusal("JobBusy", job_id="12345678", reason="it runs"),
        Told(409, "JobBusy", hint=True, again=True, more={"job_id": "12345678"}),
    ),
    "LimitReached": (
        refusal("LimitReached", limit="jobs", maximum=4),
        Told(429, "LimitReached", hint=True, again=True, more={"limit": "jobs", "maximum": 4}),
    ),
    "ShuttingDown": (
        refusal("ShuttingDown"),
        Told(503, "ShuttingDown", hint=True, again=True),
    ),
    "StorageFailed": (
        refusal("StorageFailed", reason="disk full"),
        Told(503, "StorageFailed", again=True),
    ),
    "ScanFailed": (
        refusal("ScanFailed", node="a", failure=FAILURE),
        Told(502, "ScanFailed", more={"node": "a", "failure": FAILURE | {"hint": None}}),
    ),
    "ReloadFailed": (
        refusal("ReloadFailed", reason="line 4"),
        Told(409, "ReloadFailed", again=True),
    ),
    "InternalError": (refusal("InternalError"), Told(500, "InternalError", hint=True)),
    "PermissionDenied": (
        of_varlink("PermissionDenied"),
        Told(403, "PermissionDenied", hint=True),
    ),
    "InvalidParameter": (
        of_varlink("InvalidParameter", parameter="job_id"),
        Told(400, "InvalidParameter", field="job_id"),
    ),
    "MethodNotFound": (
        of_varlink("MethodNotFound", method="io.cucmd.Jobs.Status"),
        Told(501, "MethodNotFound", hint=True, more={"method": "io.cucmd.Jobs.Status"}),
    ),
    "of-a-later-daemon": (refusal("OutOfPaper", tray=2), Told(502, "OutOfPaper")),
    "no-varlink": (b"HTTP/1.1 200 OK\r\n\0", Told(502, "ProtocolError")),
    "hangs-up": (b"", Told(502, "ConnectionLost", hint=True)),
}
OF_EVERY_ERROR = {"type", "title", "status", "detail", "code", "request_id", "field", "hint"}


async def refuse(caller: Caller) -> None:
    """Answers a call with the error that its job's id names, and closes its connection, so that a
    test leaves none; the watch of `cucmweb` waits for its first answer.
    """
    if (call := await caller.call()) is None:
        return
    if (name := call["parameters"].get("job_id")) is None:
        await caller.left()
    else:
        await caller.send(CONTRACT[name][0])


@contextmanager
def daemon_that_refuses(path: Path) -> Iterator[threading.Event]:
    """Serves in a thread, as it is there for all tests of this file. The event: it is watched."""
    listens, watched = threading.Event(), threading.Event()
    tokens: list[trio.lowlevel.TrioToken] = []
    scope = trio.CancelScope()

    async def serve() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        with scope:
            async with scripted_daemon(path, refuse) as daemon:
                listens.set()
                await daemon.until_open(1)
                watched.set()
                await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    try:
        assert listens.wait(60)
        yield watched
    finally:
        tokens[0].run_sync_soon(scope.cancel)
        thread.join()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with short_path() as path:
        path.parent.mkdir()
        with (
            daemon_that_refuses(path) as watched,
            running_web(tmp_path_factory.mktemp("errors") / "web", path) as web,
        ):
            assert watched.wait(60)
            yield web


def test_every_error_of_the_socket_is_in_the_table() -> None:
    names = {
        name
        for name, one in vars(errors).items()
        if getattr(one, "__module__", "") == errors.__name__ and not name.startswith("_")
    }
    assert names <= set(CONTRACT)


@pytest.mark.parametrize("name", CONTRACT)
def test_an_error_is_told_with_its_code_field_and_hint(web: Web, name: str) -> None:
    answer = web.ask("GET", f"/jobs/{name}", headers={"x-request-id": f"of {name}"})
    problem = answer.json()
    assert isinstance(problem, dict)
    more = {member: value for member, value in problem.items() if member not in OF_EVERY_ERROR}
    told = Told(
        answer.status,
        problem["code"],
        problem.get("field"),
        hint="hint" in problem,
        again="retry-after" in answer.headers,
        more=more,
    )
    assert told == CONTRACT[name][1]
    assert problem["status"] == answer.status
    assert problem["request_id"] == answer.headers["x-request-id"] == f"of {name}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["title"]
    assert problem["detail"]
