"""What the documents of an export say of the window."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from cucmd.api.wire import job_to_wire
from cucmd.cases import documents
from cucmd.cases.documents import ExportedNode
from cucmd.failure import Code, failure
from cucmd.job.capture import Capture, Captured
from cucmd.job.check import Check, Checked
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.node import Node, Phase
from cucmd.job.timeouts import Timeouts

NOW = datetime(2026, 11, 25, 15, tzinfo=UTC)
SAID = "covers 13:00 to 15:00 (Europe/Berlin)"
NOT_YET = "had not been looked at"


def job_of(coverage: str | None) -> Job:
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, (Node("pub"),)).begin(NOW)
    job = job.replace_node(0, Node("pub").begin(NOW, 1).succeed(NOW), NOW)
    node = msgspec.structs.replace(job.nodes[0], coverage=coverage)
    return msgspec.structs.replace(job, nodes=(node,))


@pytest.mark.parametrize(
    ("coverage", "said", "not_yet"), [(SAID, SAID, False), ("", None, False), (None, None, True)]
)
def test_what_files_cover(coverage, said, not_yet):
    job, figures = job_of(coverage), {"pub": ExportedNode()}
    summary = documents.summary(job, figures).decode()
    assert (f"pub: {SAID}" in summary) is bool(said)
    assert (NOT_YET in summary) is not_yet
    manifest = documents.manifest_beginning(job, figures) + documents.MANIFEST_END
    assert json.loads(manifest)["job"]["nodes"][0]["coverage"] == said


def test_the_manifest_has_the_result(tmp_path):
    job = job_of(None)
    captured = Captured("cucmd_0a1b2c3d4e5f", NOW, packets=3)
    seen = msgspec.structs.replace(job.nodes[0], result=captured)
    job = msgspec.structs.replace(job, nodes=(seen,), work=Capture("cucmd_0a1b2c3d4e5f"))
    manifest = documents.manifest_beginning(job, {"pub": ExportedNode()}) + documents.MANIFEST_END
    in_manifest = json.loads(manifest)["job"]["nodes"][0]
    on_socket = json.loads(msgspec.json.encode(job_to_wire(job, tmp_path).nodes[0]))
    assert in_manifest["result"] == on_socket["capture"]


def test_captures_that_may_run_are_named():
    node = msgspec.structs.replace(Node("pub"), may_run=("cucmd_x", "cucmd_x_2"))
    job = Job("0a1b2c3d4e5f", NOW, Capture("cucmd_x"), Timeouts(), 8, (node,)).cancel(NOW)
    lines = documents.summary(job, {"pub": ExportedNode()}).decode().splitlines()
    said = [line for line in lines if "may still run" in line]
    assert [line.rpartition("/")[2] for line in said] == ["cucmd_x.cap", "cucmd_x_2.cap"]


def test_earlier_attempts_are_listed():
    refused = failure(Code.AUTH_FAILED, "wrong")
    late = failure(Code.RECEIVER_UNREACHABLE, "no connection came")
    node = Node("pub").begin(NOW, 1).enter(Phase.TRANSFER, NOW).fail(NOW, late).retry(1)
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, (Node("pub"),)).begin(NOW)
    job = job.replace_node(0, node.begin(NOW, 2).fail(NOW, refused), NOW)
    figures = {"pub": ExportedNode()}
    lines = [
        line for line in documents.summary(job, figures).decode().splitlines() if "pub:" in line
    ]
    assert [Code.AUTH_FAILED in line for line in lines] == [True, False]
    assert "attempt 1 ended in phase transfer at 2026-11-25 15:00:00 UTC" in lines[1]
    assert Code.RECEIVER_UNREACHABLE in lines[1]
    manifest = documents.manifest_beginning(job, figures) + documents.MANIFEST_END
    (told,) = json.loads(manifest)["job"]["nodes"][0]["earlier"]
    on_socket = json.loads(msgspec.json.encode(job_to_wire(job, Path("/x")).nodes[0].earlier))
    assert [told] == on_socket
    assert (told["failure"], told["phase"], told["attempt"]) == (late.code, "transfer", 1)


def test_a_retried_node_shows_no_coverage(tmp_path):
    job = job_of(SAID)
    pending = msgspec.structs.replace(job.nodes[0], state=Node("pub").state)
    again = msgspec.structs.replace(job, nodes=(pending,))
    assert job_to_wire(job, tmp_path).nodes[0].coverage == SAID
    assert job_to_wire(again, tmp_path).nodes[0].coverage is None


def test_nodes_are_named_and_described():
    about = {"role": "Subscriber", "product": "callmanager", "version": "14.0.1"}
    node = msgspec.structs.replace(job_of(SAID).nodes[0], name="sub", **about)
    job = msgspec.structs.replace(job_of(SAID), nodes=(node,))
    lines = documents.summary(job, {"pub": ExportedNode()}).decode().splitlines()
    cells = ["sub", "pub", "Subscriber", "callmanager", "14.0.1", "succeeded", "0", "0"]
    assert cells in [line.split() for line in lines]
    assert f"sub: {SAID}" in lines
    manifest = documents.manifest_beginning(job, {"pub": ExportedNode()}) + documents.MANIFEST_END
    (told,) = json.loads(manifest)["job"]["nodes"]
    assert {"node": "pub", "name": "sub", **about}.items() <= told.items()


def test_version_of_the_node_itself_counts():
    node = Node("pub", version="14.0.1", result=Checked(version="15.0.1"))
    job = Job("0a1b2c3d4e5f", NOW, Check(), Timeouts(), 8, (node,)).cancel(NOW)
    summary = documents.summary(job, {"pub": ExportedNode()}).decode()
    assert "15.0.1" in summary
    assert "14.0.1" not in summary


def test_failures_name_other_nodes():
    why = failure(Code.AUTH_FAILED, "10.0.0.3: not tried, since 10.0.0.1 refused the login")
    refused = Node("10.0.0.3", name="sub").begin(NOW, 1).fail(NOW, why)
    nodes = (Node("10.0.0.1", name="pub"), refused)
    job = Job("0a1b2c3d4e5f", NOW, Collect(("x",)), Timeouts(), 8, nodes).begin(NOW)
    summary = documents.summary(job, {"10.0.0.3": ExportedNode()}).decode()
    assert "sub: auth_failed: 10.0.0.3: not tried, since pub refused the login" in summary


def test_summary_tells_of_earlier_folder():
    job = job_of(None)
    node = msgspec.structs.replace(job.nodes[0], node="10.0.0.1:2022", name="pub", named_at=NOW)
    job = msgspec.structs.replace(job, nodes=(node,))
    assert "10.0.0.1_2022" in documents.summary(job, {node.node: ExportedNode()}).decode()
