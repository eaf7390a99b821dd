"""What the names of a request stand for, and who may be sent a credential for it."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cucmd.config import Config, InvalidValue, load
from cucmd.job.discover import Member
from cucmd.job.node import Node
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, Login
from cucmd.plan.planner import Planner
from cucmd.plan.targets import expand_names
from cucmd.protocol.jobs import RetryRequest
from rig.asking import plan as planned_by
from rig.asking import plan_retry
from rig.credentials import named_credential
from unit.plan.test_known_clusters import IMP, NOW, PUB, SUB, discovery

FOUND = discovery("pub", SUB, PUB, IMP)
STRANGER = Member("10.66.0.6", "10.66.0.6", "x", "Subscriber", "callmanager")


def config(folder: Path, text: str) -> Config:
    file = folder / "cucmd.toml"
    file.write_text(text)
    return load(file, {})


ONLY_PUBLISHER = '[clusters.berlin]\npublisher = "pub"\n'
WITH_NODES = ONLY_PUBLISHER + 'nodes = ["sub1.example.org", "gone"]\n'


def names_of(targets: tuple[Node, ...]) -> list[str]:
    return [target.node for target in targets]


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("berlin", ["pub", "sub1.example.org", "gone"]),
        ("berlin:publisher", ["pub"]),
        ("berlin:subscribers", ["sub1.example.org", "gone"]),
        ("pub:22", ["pub:22"]),
        ("elsewhere", ["elsewhere"]),
    ],
)
def test_names_of_configuration(name: str, nodes: list[str], tmp_path: Path) -> None:
    for discoveries in ([], [FOUND]):
        targets = expand_names(config(tmp_path, WITH_NODES), discoveries, [name], [])
        assert names_of(targets) == nodes
        assert {target.named_by for target in targets} == {None}


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("berlin", ["pub", "sub1.example.org", "gone", "10.0.0.3"]),
        ("berlin:publisher", ["pub"]),
        ("berlin:subscribers", ["sub1.example.org", "gone"]),
        ("berlin:cups", ["10.0.0.3"]),
    ],
)
def test_names_with_discovery(name: str, nodes: list[str], tmp_path: Path) -> None:
    targets = expand_names(config(tmp_path, WITH_NODES), [FOUND], [name], ["berlin"])
    assert names_of(targets) == nodes
    new = [target.node for target in targets if target.named_by == "pub"]
    assert new == [node for node in nodes if node == "10.0.0.3"]


def test_asked_node_stands_for_its_cluster() -> None:
    targets = expand_names(Config(), [FOUND], ["PUB", "other"], ["PUB"])
    assert targets == (
        Node("pub"),
        Node("10.0.0.2", named_by="pub"),
        Node("10.0.0.3", named_by="pub"),
        Node("other"),
    )
    assert names_of(expand_names(Config(), [FOUND], ["pub:cups"], ["pub"])) == ["10.0.0.3"]
    assert expand_names(Config(), [FOUND], ["pub"], []) == (Node("pub"),)


def test_order_and_repeated_names(tmp_path: Path) -> None:
    names = ["SUB1.example.org:22", "berlin", "x", "x", "10.0.0.1", "10.0.0.1:22"]
    targets = expand_names(config(tmp_path, WITH_NODES), [], names)
    assert names_of(targets) == ["SUB1.example.org:22", "pub", "gone", "x", "10.0.0.1"]


def test_requested_node_is_no_stranger() -> None:
    targets = expand_names(Config(), [FOUND], ["pub", "10.0.0.3:22", "10.0.0.2"], ["pub"])
    assert targets == (Node("pub"), Node("10.0.0.2"), Node("10.0.0.3:22"))


@pytest.mark.parametrize(
    ("names", "discovered", "parameter"),
    [
        (["berlin:cups"], [], "nodes[0]"),  # the configuration has none of them
        (["x", "paris:publisher"], [], "nodes[1]"),
        (["x", "x", "nobody"], ["nobody"], "nodes[2]"),
        (["bern"], ["bern"], "nodes[0]"),
        (["bern:cups"], [], "nodes[0]"),
        (["berlin"], ["pub"], "discovered[0]"),
        ([], ["berlin"], "nodes"),
        ([], [], "nodes"),
        (["a", "b c"], [], "nodes[1]"),
        (["berlin", "host:99999"], [], "nodes[1]"),
        (["../x"], [], "nodes[0]"),
        (["a b", "berlin"], ["berlin"], "nodes[0]"),
        (["berlin:sub"], [], "nodes[0]"),
    ],
)
def test_unknown_names(
    names: list[str], discovered: list[str], parameter: str, tmp_path: Path
) -> None:
    of_bern = '[clusters.bern]\npublisher = "b"\n'
    with pytest.raises(InvalidValue) as caught:
        expand_names(config(tmp_path, ONLY_PUBLISHER + of_bern), [FOUND], names, discovered)
    assert caught.value.parameter == parameter


# Credentials


def planner(folder: Path, *tied: str) -> Planner:
    """Returns a planner with a credential of the cluster `berlin`, tied by these lines."""
    more = named_credential(folder, "ops", "administrator", "secret of ops")
    text = f'{ONLY_PUBLISHER}credential = "ops"\nanswer = 9\n{more}'
    if tied:
        text += "[credential.ops]\n" + "\n".join(tied) + "\n"
    return Planner(config(folder, text), {}, Path("/x").joinpath)


def request(**fields: object) -> StartRequest:
    plain = StartRequest(("berlin",), Login(), Collection(paths=("x",)), discovered=("berlin",))
    return replace(plain, **fields)


NAMED = discovery("pub", PUB, SUB, STRANGER)


@pytest.mark.parametrize("tie", ['clusters = ["berlin"]', 'nodes = ["pub"]'])
def test_tied_credential_needs_acceptance(tie: str, tmp_path: Path) -> None:
    tied = planner(tmp_path, tie)
    with pytest.raises(InvalidValue) as caught:
        planned_by(tied, request(), [NAMED])
    assert caught.value.parameter == "login.credential"
    assert "10.0.0.2, 10.66.0.6" in caught.value.reason
    job, tasks = planned_by(tied, request(accept_nodes=True), [NAMED])
    assert [task.node for task in tasks if task] == [node.node for node in job.nodes]


def test_acceptance_survives_restart_and_retry(tmp_path: Path) -> None:
    tied = planner(tmp_path, 'clusters = ["berlin"]')
    job, _ = planned_by(tied, request(accept_nodes=True), [NAMED])
    again = tied.replan(job)
    assert again is not None
    assert len(again) == 3
    ended = job.begin(NOW).cancel(NOW + timedelta(seconds=1))
    retried, tasks = plan_retry(tied, ended, RetryRequest(job.job_id))
    assert all(tasks)
    assert [node.named_by for node in retried.nodes] == [None, "pub", "pub"]
    assert tied.replan(replace(job, accept_nodes=False)) is None


def test_acceptance_is_limited(tmp_path: Path) -> None:
    """Neither a node that was asked by another name, nor one that the request names."""
    tied = planner(tmp_path, 'clusters = ["berlin"]')
    of_mine = discovery("mine", Member("mine", "10.9.9.9", "mine", "Publisher", "x"), SUB)
    mine = request(
        nodes=("mine",),
        discovered=("mine",),
        accept_nodes=True,
        login=Login(credential="ops"),
    )
    with pytest.raises(InvalidValue) as caught:
        planned_by(tied, mine, [of_mine])
    assert caught.value.parameter == "login.credential"
    with pytest.raises(InvalidValue):
        planned_by(tied, request(nodes=("berlin", "10.9.9.9"), accept_nodes=True), [NAMED])
