"""Each error of the socket as a problem document."""

import msgspec
import pytest

from cucmctl.client import errors
from cucmctl.client.frames import ReplyFrame, decode_reply
from cucmweb.problems import STATUS, problem_of
from rig.scripted_daemon import refusal

FAILURE = {"code": "unreachable", "message": "no route", "retryable": True}
ELSEWHERE = {"method": "Files", "sites": ["b"]}
BUSY = {"job_id": "12345678"}
NODE = {"job_id": "12345678", "node": "a"}
CREDENTIAL = {"credential": "c", "cluster": "k"}
LIMIT = {"limit": "jobs", "maximum": 4}
# The daemon's error, and the status, the code and the other members of its document. An error that
# has `field`, `hint` or `retry-after` has it in the last column.
CONTRACT = [
    ("JobNotFound", {"job_id": "x"}, 404, "JobNotFound", {"job_id": "x"}, ""),
    ("NodeNotFound", NODE, 404, "NodeNotFound", NODE, ""),
    ("ProfileNotFound", {"profile": "p"}, 404, "ProfileNotFound", {"profile": "p"}, ""),
    ("CredentialNotFound", CREDENTIAL, 404, "CredentialNotFound", CREDENTIAL, ""),
    ("InvalidRequest", {"parameter": "a", "reason": "b"}, 400, "InvalidRequest", {}, "field"),
    (
        *("InvalidRequest", {"parameter": "on_behalf_of", "reason": "b"}),
        *(503, "MayNotSpeakForOthers", {}, "hint retry-after"),
    ),
    ("JobBusy", BUSY | {"reason": "it runs"}, 409, "JobBusy", BUSY, "retry-after"),
    ("LimitReached", LIMIT, 429, "LimitReached", LIMIT, "retry-after"),
    ("ShuttingDown", {}, 503, "ShuttingDown", {}, "retry-after"),
    ("StorageFailed", {"reason": "full"}, 503, "StorageFailed", {}, "retry-after"),
    (
        *("ScanFailed", {"node": "a", "failure": FAILURE}, 502, "ScanFailed"),
        *({"node": "a", "failure": FAILURE | {"hint": None}}, ""),
    ),
    ("ReloadFailed", {"reason": "line 4"}, 409, "ReloadFailed", {}, "retry-after"),
    ("NotAtHub", ELSEWHERE, 501, "NotAtHub", ELSEWHERE, ""),
    ("InternalError", {}, 500, "InternalError", {}, "hint"),
    ("OfALaterDaemon", {"tray": 2}, 502, "OfALaterDaemon", {}, ""),
]
OF_EVERY_PROBLEM = {"type", "title", "status", "detail", "code", "request_id", "field", "hint"}


@pytest.mark.parametrize(("error", "fields", "status", "code", "more", "has"), CONTRACT)
def test_errors_become_problem_documents(
    error: str, fields: dict, status: int, code: str, more: dict, has: str
) -> None:
    frame = msgspec.json.decode(refusal(error, **fields)[:-1], type=ReplyFrame)
    with pytest.raises(errors.ClientError) as caught:
        decode_reply(frame, dict)
    problem = problem_of(caught.value)
    document = msgspec.json.decode(problem.document("r"))
    assert (document["status"], document["code"], document["request_id"]) == (status, code, "r")
    assert document["title"]
    assert document["detail"]
    found = {name for name in ("field", "hint") if name in document} | problem.headers.keys()
    assert found == set(has.split())
    assert {name: document[name] for name in document.keys() - OF_EVERY_PROBLEM} == more


@pytest.mark.parametrize("kind", errors.Refused.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_refusal_has_a_status(kind: type[errors.Refused]) -> None:
    assert kind in STATUS


def test_verbs_of_cucmctl_are_left_out() -> None:
    assert "cucmctl" in str(unknown := errors.JobNotFound.make("1234abcd"))
    assert "cucmctl" not in problem_of(unknown).detail


@pytest.mark.parametrize(
    ("kind", "status"),
    [(errors.DaemonUnavailable, 503), (errors.ConnectionLost, 502), (errors.ProtocolError, 502)],
)
def test_paths_of_the_machine_are_hidden(kind: type[errors.ClientError], status: int) -> None:
    problem = problem_of(kind("cannot connect to /run/cucmd/cucmd.sock"))
    assert (problem.status, problem.code) == (status, kind.__name__)
    assert b"/run" not in problem.document("r")
