"""A request becomes the tasks of a job; a restart makes the tasks of a resumed job."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cucmd.api.refusals import refusals
from cucmd.config import Config, InvalidValue, UnknownCredential, load
from cucmd.job.collect import PathSize, Sizes
from cucmd.job.job import Job
from cucmd.job.node import Node
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Discovery, Estimate, Login, Packets, Timeouts
from cucmd.plan.planner import MOST_NODES, Planner
from cucmd.protocol import errors as wire_errors
from cucmd.varlink import VarlinkError
from rig.asking import plan as planned_by
from rig.credentials import named_credential

LOGIN = Login("administrator", "secret")
PLANNER = Planner(Config(), {}, Path("/x").joinpath)


def request(*nodes: str, login: Login = LOGIN, timeouts: Timeouts | None = None) -> StartRequest:
    return StartRequest(nodes, login, Collection(paths=("x",)), timeouts=timeouts)


def test_too_many_nodes() -> None:
    with pytest.raises(InvalidValue, match="1001 names were given") as caught:
        planned_by(PLANNER, request(*["no name"] * (MOST_NODES + 1)))
    assert caught.value.parameter == "nodes"


@pytest.mark.parametrize(
    ("work", "wrong"),
    [
        ({}, "collection"),
        ({"written_for": "6h"}, "collection"),
        ({"collection": Collection(paths=("x",)), "capture": Packets()}, "capture"),
        ({"discovery": Discovery(), "dry_run": Estimate(Collection())}, "dry_run"),
    ],
)
def test_exactly_one_kind_of_work(work: dict[str, object], wrong: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  its arguments are what is asserted
        StartRequest(("a",), LOGIN, **work).work()
    assert caught.value.args[0] == wrong


@pytest.mark.parametrize(("member", "value"), [("discovered", ("a",)), ("accept_nodes", True)])
def test_discovery_takes_no_discovered_nodes(member: str, value: object) -> None:
    asked = StartRequest(("a",), LOGIN, discovery=Discovery(), **{member: value})
    with pytest.raises(InvalidValue) as caught:
        planned_by(PLANNER, asked)
    assert caught.value.parameter == member


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "x" * 65])
def test_username(name: str) -> None:
    with pytest.raises(InvalidValue, match="at most 64 printable") as caught:
        planned_by(PLANNER, request("a", login=Login(name, "secret")))
    assert caught.value.parameter == "login.username"


TWO_CLUSTERS = """
[clusters.berlin]
nodes = ["a"]
credential = "berlin"
[clusters.bern]
nodes = ["b"]
credential = "bern"
command = 900
"""


@pytest.fixture
def two_clusters(tmp_path: Path) -> Planner:
    """Returns a planner of two clusters, of nodes a and b, each with the credential of its cluster:
    a file below `tmp_path`.
    """
    for name in ("berlin", "bern"):
        named_credential(tmp_path, name, "administrator", f"secret of {name}")
    return planner(tmp_path)


def planner(tmp_path: Path, more: str = "", clusters: str = TWO_CLUSTERS) -> Planner:
    file = tmp_path / "cucmd.toml"
    file.write_text(f'[credentials]\ndirectory = "{tmp_path}"\n{clusters}{more}')
    return Planner(load(file, {}), {}, Path("/x").joinpath)


def with_first_done(job: Job) -> Job:
    now = job.created_at + timedelta(seconds=9)
    return job.begin(now).replace_node(0, Node("a").begin(now, 1).succeed(now), now)


def test_settled_node_needs_no_credential(two_clusters: Planner, tmp_path: Path) -> None:
    """Its password may have been removed since. The other nodes are resumed."""
    job, _ = planned_by(two_clusters, request("a", "b", login=Login()))
    (tmp_path / "berlin.password").unlink()
    settled, task = two_clusters.replan(with_first_done(job))
    assert settled is None
    assert (task.node, task.login.password) == ("b", "secret of bern")


@pytest.mark.parametrize(("fits", "left"), [(True, 60), (None, 60), (False, 100)])
def test_quota_of_resumed_dry_run(
    two_clusters: Planner, tmp_path: Path, fits: bool | None, left: int
) -> None:
    """Those that have ended count. One that was at work is asked again."""
    estimate = Estimate(Collection(paths=("x",)))
    asked = StartRequest(("a", "b"), Login(), dry_run=estimate)
    job, _ = planned_by(two_clusters, asked)
    sizes = Sizes((PathSize("x", 1, 30), PathSize("y", 1, 10)), fits=fits)
    with_sizes = [replace(node, result=sizes) for node in with_first_done(job).nodes]
    limited = planner(tmp_path, "[limits]\njob_bytes = 100\n")
    settled, task = limited.replan(replace(job, nodes=tuple(with_sizes)))
    assert settled is None
    assert task.quota.job.left == left


def test_resume_needs_all_passwords(two_clusters: Planner, tmp_path: Path) -> None:
    job, _ = planned_by(two_clusters, request("a", "b", login=Login()))
    (tmp_path / "bern.password").unlink()
    assert two_clusters.replan(with_first_done(job)) is None


def test_node_that_left_stops_no_other(two_clusters: Planner, tmp_path: Path) -> None:
    job, _ = planned_by(two_clusters, request("a", "b", login=Login()))
    on_a, on_b = planner(tmp_path, clusters=TWO_CLUSTERS.replace('"b"', '"c"')).replan(job)
    assert (on_a.node, on_b) == ("a", None)


@pytest.mark.parametrize(
    ("login", "cluster"),
    [(Login(), "bern"), (Login(credential="bern"), None)],
)
def test_credential_error_names_cluster(
    two_clusters: Planner, tmp_path: Path, login: Login, cluster: str | None
) -> None:
    (tmp_path / "bern.password").unlink()
    with pytest.raises(VarlinkError) as caught, refusals():
        planned_by(two_clusters, request("b", login=login))
    assert caught.value.parameters == wire_errors.CredentialNotFound("bern", cluster)
    with pytest.raises(UnknownCredential) as unknown:
        planned_by(two_clusters, request("b", login=login))
    assert (unknown.value.name, unknown.value.cluster) == ("bern", cluster)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, [600, 900]),  # each cluster's own
        (Timeouts(connect=20), [600, 900]),
        (Timeouts(command=700), [700, 700]),
        (Timeouts(command=600), [600, 600]),  # though nothing else holds for the job
        (Timeouts(command=500), [500, 500]),  # what the file says by the restart
    ],
)
def test_restart_keeps_timeouts(
    two_clusters: Planner,
    tmp_path: Path,
    asked: Timeouts | None,
    expected: list[float],
) -> None:
    job, tasks = planned_by(two_clusters, request("a", "b", login=Login(), timeouts=asked))
    assert [task.timeouts.command for task in tasks] == expected
    again = two_clusters.replan(job)
    assert [task.timeouts for task in again] == [task.timeouts for task in tasks]
    _, on_b = planner(tmp_path, "[timeouts]\ncommand = 500\n").replan(job)
    assert on_b.timeouts.command == expected[1]


TIED = """
[credential.bern]
clusters = ["bern"]
"""


@pytest.mark.parametrize("nodes", [("evil",), ("a",), ("b", "evil"), ("b:2022",)])
def test_tied_credential_is_not_sent_elsewhere(
    two_clusters: Planner, tmp_path: Path, nodes: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidValue, match="may not be sent") as caught:
        planned_by(planner(tmp_path, TIED), request(*nodes, login=Login(credential="bern")))
    assert caught.value.parameter == "login.credential"


def test_resume_checks_tied_credential(two_clusters: Planner, tmp_path: Path) -> None:
    job, _ = planned_by(two_clusters, request("evil", login=Login(credential="bern")))
    assert planner(tmp_path, TIED).replan(job) is None


def discovery(publisher: str, login: Login = LOGIN) -> StartRequest:
    return StartRequest((publisher,), login, discovery=Discovery())


def test_discovery_asks_publisher(tmp_path: Path) -> None:
    named_credential(tmp_path, "ops", "administrator", "secret of ops")
    more = '[clusters.paris]\npublisher = "pub"\ncredential = "ops"\nanswer = 9\n'
    job, (task,) = planned_by(planner(tmp_path, more), discovery("paris", Login()))
    assert [node.node for node in job.nodes] == ["pub"]
    assert job.targets == ("paris",)
    assert task is not None
    assert (task.login.password, task.cluster) == ("secret of ops", "paris")
    assert (job.resumable, task.timeouts.answer) == (True, 9)
