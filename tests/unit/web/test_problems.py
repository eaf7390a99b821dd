"""What goes wrong is told to people without `cucmctl`; system/web/test_errors.py has each error."""

import pytest

from cucmctl.client import errors
from cucmweb.problems import STATUS, HttpProblem, problem_of


@pytest.mark.parametrize("kind", errors.Refused.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_refusal_that_the_client_knows_has_a_status(kind: type[errors.Refused]) -> None:
    assert kind in STATUS


def test_the_verbs_of_cucmctl_are_not_told() -> None:
    assert "cucmctl" in str(unknown := errors.JobNotFound.of("1234abcd"))
    assert "cucmctl" not in problem_of(unknown).detail


def test_a_daemon_that_is_not_there_is_told_apart_from_one_that_has_gone() -> None:
    assert problem_of(errors.DaemonUnavailable("none")).status == 503
    assert problem_of(errors.ConnectionLost("gone")).status == 502


@pytest.mark.parametrize(
    "kind", [errors.DaemonUnavailable, errors.ConnectionLost, errors.ProtocolError]
)
def test_no_path_of_the_machine_is_told(kind: type[errors.ClientError]) -> None:
    problem = problem_of(kind("cannot connect to /run/cucmd/cucmd.sock"))
    assert (problem.code, b"/run" in problem.document("r")) == (kind.__name__, False)


def test_who_can_try_again_is_told_when() -> None:
    assert HttpProblem(429, "LimitReached", "too many").headers["retry-after"]
    assert not HttpProblem(400, "InvalidRequest", "wrong").headers
