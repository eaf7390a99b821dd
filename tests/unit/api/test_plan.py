"""What becomes of a request before the job exists, and of a job that a restart takes up again."""

from datetime import timedelta
from pathlib import Path

import pytest

from cucmd.api import structs
from cucmd.api.planning import MOST_NODES, Planner
from cucmd.config import Config, InvalidValue, load
from cucmd.job import Job, Node
from rig.credentials import named_credential

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


TWO_CLUSTERS = """
[clusters.berlin]
nodes = ["a"]
credential = "berlin"
[clusters.bern]
nodes = ["b"]
credential = "bern"
"""


@pytest.fixture
def two_clusters(tmp_path: Path) -> Planner:
    """Of nodes a and b, each with the credential of its cluster: a file below `tmp_path`."""
    for name in ("berlin", "bern"):
        section = named_credential(tmp_path, name, "administrator", f"secret of {name}")
    file = tmp_path / "cucmd.toml"
    file.write_text(f"{section}{TWO_CLUSTERS}")
    return Planner(load(file, {}), {}, Path("/x").joinpath)


def with_first_done(job: Job) -> Job:
    now = job.created_at + timedelta(seconds=9)
    return job.begin(now).replace_node(0, Node("a").begin(now, 1).succeed(now), now)


def test_what_a_settled_node_was_collected_with_is_needed_no_more(
    two_clusters: Planner, tmp_path: Path
) -> None:
    """Its password may have been taken away since: the other nodes go on after a restart."""
    job, _ = two_clusters.plan(request("a", "b", login=structs.Login()))
    (tmp_path / "berlin.password").unlink()
    settled, task = two_clusters.replan(with_first_done(job))
    assert settled is None
    assert (task.node, task.login.password) == ("b", "secret of bern")


def test_a_job_whose_next_node_has_no_password_any_more_does_not_go_on_alone(
    two_clusters: Planner, tmp_path: Path
) -> None:
    job, _ = two_clusters.plan(request("a", "b", login=structs.Login()))
    (tmp_path / "bern.password").unlink()
    assert two_clusters.replan(with_first_done(job)) is None
