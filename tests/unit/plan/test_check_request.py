"""`Check`: the job of a request, how it is stored, and what the socket shows of it."""

from pathlib import Path

import msgspec
import pytest

from cucmd.api.wire import job_to_wire
from cucmd.cases.documents import ExportedNode, manifest_beginning, summary
from cucmd.config import Config, InvalidValue
from cucmd.config.model import ClusterSettings
from cucmd.job.check import Check, Checked
from cucmd.job.check import Checked as SeenOnNode
from cucmd.job.node import Node
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Checks, Collection, Login, Timeouts
from cucmd.plan.planner import Planner
from rig.asking import plan as planned_by
from rig.credentials import named_credential

LOGIN = Login(username="administrator", password="secret")
BERLIN = ClusterSettings("berlin", publisher="p", nodes=("s1", "s2"))
PLANNER = Planner(Config(clusters={"berlin": BERLIN}), {}, Path("/x").joinpath)


def request(*nodes: str, receiver: bool | None = None, **fields: object) -> StartRequest:
    return StartRequest(nodes, LOGIN, check=Checks(receiver), **fields)


@pytest.mark.parametrize(("asked", "receiver"), [(None, False), (False, False), (True, True)])
def test_a_job_that_checks_the_nodes_of_a_cluster(asked: bool | None, receiver: bool) -> None:
    job, tasks = planned_by(PLANNER, request("berlin", "x", receiver=asked, concurrency=2))
    assert job.work == Check(receiver)
    assert (job.kind, job.concurrency) == ("check", 2)
    assert [node.node for node in job.nodes] == ["p", "s1", "s2", "x"]
    assert [task and task.work for task in tasks] == [job.work] * 4


def test_timeouts_and_labels_are_those_of_the_request() -> None:
    job, tasks = planned_by(
        PLANNER, request("x", timeouts=Timeouts(answer=7), labels={"case": "1"}, try_all=True)
    )
    assert (job.labels, job.try_all) == ({"case": "1"}, True)
    assert [task and task.timeouts.answer for task in tasks] == [7]


def test_no_node_is_refused_before_there_is_a_job() -> None:
    with pytest.raises(InvalidValue) as refused:
        planned_by(PLANNER, request())
    assert refused.value.parameter == "nodes"


def test_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    named_credential(tmp_path, "ops", "administrator", "secret of ops")
    job, _ = planned_by(PLANNER, request("x"))
    planner = Planner(Config(), {"CREDENTIALS_DIRECTORY": str(tmp_path)}, Path("/x").joinpath)
    tasks = planner.replan(msgspec.structs.replace(job, resumable=True, credential="ops"))
    assert tasks is not None
    assert [task and task.work for task in tasks] == [Check()]


def test_what_was_seen_is_on_the_socket_and_in_the_manifest() -> None:
    job, _ = planned_by(PLANNER, request("x"))
    seen = SeenOnNode(reachable=True, version="15.0.1", logging_total=9, receiver="not_asked")
    job = msgspec.structs.replace(job, nodes=(Node("x", result=seen),))
    shown = job_to_wire(job, Path("/x"))
    assert (shown.kind, shown.collection) == ("check", Collection())
    assert shown.nodes[0].checked == Checked(
        reachable=True, version="15.0.1", logging_total=9, receiver="not_asked"
    )
    figures = {"x": ExportedNode()}
    manifest = msgspec.json.decode(manifest_beginning(job, figures) + b"]}")
    assert manifest["job"]["work"] == {"type": "check", "receiver": False}
    assert manifest["job"]["nodes"][0]["result"]["version"] == "15.0.1"
    text = summary(job, figures).decode()
    assert text.startswith("Nodes checked")
    assert "x: reachable: yes, version 15.0.1, receiver not asked\n" in text
