"""Every error of the socket has one status, and is told with its code, field and hint."""

import json

import pytest

from cucmctl.client import errors
from cucmd.protocol import errors as fields
from cucmweb.problems import STATUS, HttpProblem, problem_of


def test_every_error_of_the_socket_has_a_status() -> None:
    of_the_socket = {
        name
        for name, one in vars(fields).items()
        if getattr(one, "__module__", "") == fields.__name__ and not name.startswith("_")
    }
    assert of_the_socket <= {kind.__name__ for kind in STATUS}


@pytest.mark.parametrize("kind", errors.Refused.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_refusal_that_the_client_knows_has_a_status(kind: type[errors.Refused]) -> None:
    assert kind in STATUS


def told(error: errors.ClientError) -> dict[str, object]:
    return json.loads(problem_of(error).document("r1"))


def test_an_unknown_job_is_told_with_its_id() -> None:
    document = told(errors.JobNotFound.of("1234abcd"))
    assert document["status"] == 404
    assert document["code"] == "JobNotFound"
    assert document["job_id"] == "1234abcd"
    assert document["request_id"] == "r1"
    assert "cucmctl" not in str(document["detail"])


def test_a_wrong_field_is_named() -> None:
    document = told(errors.InvalidRequest.of("nodes[2]", "expected a string"))
    assert (document["status"], document["field"]) == (400, "nodes[2]")
    assert "expected a string" in str(document["detail"])


def test_an_error_of_a_later_daemon_is_told_as_a_bad_gateway() -> None:
    document = told(errors.Refused("io.cucmd.Jobs.OutOfPaper", {"tray": 2}))
    assert (document["status"], document["code"]) == (502, "OutOfPaper")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.DaemonUnavailable("gone"), 503, "DaemonUnavailable"),
        (errors.ConnectionLost("gone"), 502, "ConnectionLost"),
        (errors.ProtocolError("odd"), 502, "ProtocolError"),
    ],
)
def test_a_daemon_that_cannot_be_asked_is_told(
    error: errors.ClientError, status: int, code: str
) -> None:
    document = told(error)
    assert (document["status"], document["code"]) == (status, code)


def test_who_can_try_again_is_told_when() -> None:
    assert HttpProblem(429, "LimitReached", "too many").headers["retry-after"]
    assert not HttpProblem(400, "InvalidRequest", "wrong").headers
