"""What becomes of a request before the job exists."""

from pathlib import Path

import pytest

from cucmd.api import structs
from cucmd.api.planning import MOST_NODES, Planner
from cucmd.config import Config, InvalidValue

LOGIN = structs.Login("administrator", "secret")
PLANNER = Planner(Config(), {}, Path("/x").joinpath)


def request(*nodes: str, login: structs.Login = LOGIN) -> structs.StartRequest:
    return structs.StartRequest(nodes, login, structs.Collection(paths=("x",)))


def test_every_task_knows_when_the_job_was_asked_for() -> None:
    job, tasks = PLANNER.plan(request("a", "b"))
    assert [task.asked_at for task in tasks] == [job.created_at] * 2


def test_a_request_that_names_too_many_is_refused_before_they_are_looked_at() -> None:
    with pytest.raises(InvalidValue, match="1001 names; at most 1000"):
        PLANNER.plan(request(*["no name"] * (MOST_NODES + 1)))


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "x" * 65])
def test_a_user_is_a_short_name(name: str) -> None:
    with pytest.raises(InvalidValue, match="at most 64 printable") as caught:
        PLANNER.plan(request("a", login=structs.Login(name, "secret")))
    assert caught.value.parameter == "login.username"
