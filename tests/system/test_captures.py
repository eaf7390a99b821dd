"""Tests packet captures on lab nodes: how they end, and what is left on the nodes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from cucmctl import Client
from cucmd.job import work_request
from cucmd.job.work_request import Login, Timeouts
from cucmd.protocol.jobs import Job
from cucmd.reading.packets import count_packets_at
from cucmd.received_file import PacketCount
from rig.asking import with_how
from rig.credentials import login_options
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.inspection import check_files
from rig.lab import Lab, running_lab
from rig.quiet import assert_nothing_open, wait_until

MakeLab = Callable[..., Lab]
TRAFFIC = ("--packets", "400")
# The daemon gives up a node that does not end its capture within GRACE seconds.
GRACE, STOP_WITHIN = 45.0, 5.0


def begin(client: Client, lab: Lab, nodes=None, *, credential=None, timeouts=None, **fields):
    login = Login(lab.username, lab.password)
    if credential is not None:
        login = Login(credential=credential)
    how = with_how({**fields, "timeouts": Timeouts(**timeouts) if timeouts else None})
    packets = {name: value for name, value in how.items() if name != "how"}
    return client.capture(
        nodes or lab.nodes, work_request.Packets(**packets), login=login, how=how["how"]
    )


def captured(client: Client, lab: Lab, nodes=None, **fields) -> Job:
    return client.wait(begin(client, lab, nodes, **fields).job_id, timeout=90)


def files_of(client: Client, job: Job, node: str) -> list[Path]:
    """Returns the whole files of the node's last attempt."""
    folder = Path(job.directory, node.replace(":", "_"), "files")
    return [folder / one.path for one in client.files(job.job_id, [node]) if one.exported]


def cap_of(client: Client, job: Job, node: str) -> Path:
    (path,) = files_of(client, job, node)
    return path


@pytest.mark.long
def test_two_nodes_capture_together(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(2, *TRAFFIC)
    before = daemon.descriptors()
    with daemon.client() as client:
        job = captured(client, lab, duration=1)
        assert (job.status, job.kind) == ("succeeded", "capture"), [one.error for one in job.nodes]
        assert (job.capture.duration, job.capture.count, job.capture.size) == (1.0, 100_000, None)
        ends = [one.capture for one in job.nodes]
        assert [(one.how, one.running) for one in ends] == [("duration", False)] * 2
        for one, end in zip(job.nodes, ends, strict=True):
            assert 1.0 <= (end.ended_at - end.started_at).total_seconds() < 10
            path = cap_of(client, job, one.node)
            assert path.name == f"{job.capture.name}.cap"
            assert "." not in job.capture.name
            assert count_packets_at(path, 100_000) == PacketCount(end.packets)
            assert end.packets > 100
        wait_until(lambda: lab.report()["connections_now"] == 0)
        report = lab.report()
        assert (report["captures_ever"], report["captures_now"], report["interrupts"]) == (2, 0, 2)
        assert (report["files_deleted"], report["defects"], report["dropped"]) == (0, 0, 0)
        check_files(Path(job.directory))
    assert_nothing_open(daemon, before)


class Row(NamedTuple):
    """Describes a row of the matrix.

    code: the code of the failure, or None. says: what the message or a note contains. how: why the
    capture ended. running: whether it may still run.
    """

    fault: str
    code: str | None
    says: str = ""
    how: str | None = "duration"
    running: bool = False


ROWS = (
    Row("low-space", "command_refused", "85 %", how=None),
    Row("capture-refused", "command_refused", "low water mark", how="failed"),
    Row("capture-slow@2", None),
    Row("capture-enter", None),
    Row("ignore-ctrl-c*1", None),
    Row("ignore-ctrl-c", "command_timeout", running=True),
    Row("hang:capture", "command_timeout", running=True),
    Row("silent:capture", None),
    Row("drop:capture", "connection_lost", how="failed", running=True),
    Row("capture-no-file", "no_files_matched", "no files matched"),
    Row("capture-header", None, "no packet matched"),
    Row("capture-garbage", "transfer_incomplete", "is no packet capture"),
    Row("capture-cut", None, "within a packet"),
    Row("refuse-login", "auth_failed", "administrator", how=None),
    Row("drop:transfer", "connection_lost", ""),
    Row("keep-files", None, "was not removed"),
    # The daemon ends a command 5 s after it has asked a question.
    Row("capture-question@0.1", None),
)
HEALTHY = 2


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, dict, dict]:
    """Returns the job with all faults, the report of the lab, and the row of each node."""
    faults = [word for at, row in enumerate(ROWS, 1) for word in ("--fault", f"{at}={row.fault}")]
    config = CONFIG + "concurrency = 40\n"
    with (
        running_lab(len(ROWS) + HEALTHY, *TRAFFIC, *faults) as lab,
        running_daemon(tmp_path_factory.mktemp("captures") / "cucmd", config) as daemon,
        daemon.client() as client,
    ):
        timeouts = {"grace": GRACE, "answer": 20.0, "connect": 10.0}
        job = captured(
            client, lab, duration=4, delete=True, try_all=True, concurrency=40, timeouts=timeouts
        )
        wait_until(lambda: lab.report()["connections_now"] == 0, within=60)
        report = lab.report()
    return job, report, dict(zip(lab.nodes, ROWS, strict=False))


@pytest.mark.long
@pytest.mark.parametrize("row", ROWS, ids=[row.fault for row in ROWS])
def test_each_fault_has_its_outcome(matrix, row: Row) -> None:
    job, _, rows = matrix
    (name,) = (name for name, of in rows.items() if of == row)
    (node,) = (one for one in job.nodes if one.node == name)
    said = " ".join([node.error or "", *node.notes])
    code = node.failure.code if node.failure else None
    assert (node.status, code) == ("failed" if row.code else "succeeded", row.code), said
    assert row.says in said
    if row.code:
        assert node.failure.hint
    how = node.capture and node.capture.how
    assert (how, bool(node.capture and node.capture.running)) == (row.how, row.running)
    if row.running:
        assert job.capture.name in node.failure.hint


@pytest.mark.long
def test_faults_disturb_no_other_node(matrix) -> None:
    job, report, _ = matrix
    healthy = job.nodes[-HEALTHY:]
    assert [one.status for one in healthy] == ["succeeded"] * HEALTHY
    assert all(one.capture.packets > 100 for one in healthy)
    assert (report["captures_now"], report["defects"]) == (0, 0)
    # Files are removed only from nodes that have succeeded with a whole file.
    whole = [one for one in job.nodes if one.status == "succeeded" and one.capture.packets]
    kept = [one for one in whole if any("the node" in note for note in one.notes)]
    assert report["files_deleted"] <= len(whole)
    assert kept


@pytest.mark.long
def test_capture_from_start_to_export(tmp_path: Path, daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(2, *TRAFFIC)
    words = (*lab.nodes, *login_options(tmp_path, lab), "--wait")
    done = daemon.ctl("capture", *words, "--count", "40", "--duration", "2m", "--label", "case=1")
    assert done.returncode == 0, done.stderr
    assert "2 files, " in done.stderr
    assert "80 packets" in done.stderr
    job_id = done.stdout.strip()
    shown = daemon.ctl("status", job_id).stdout
    rows = [line.split() for line in shown.splitlines() if line.startswith("127.")][:2]
    assert [row[1:3] for row in rows] == [["succeeded", "40"]] * 2
    as_json = json.loads(daemon.ctl("--json", "status", job_id).stdout)
    assert (as_json["capture"]["interface"], as_json["capture"]["duration"]) == ("eth0", 120)
    assert [one["capture"]["how"] for one in as_json["nodes"]] == ["count"] * 2
    assert daemon.ctl("verify", job_id).returncode == 0
    files = daemon.ctl("files", job_id).stdout
    assert files.count(f"{as_json['capture']['name']}.cap") == 2
    out = tmp_path / "x"
    exported = daemon.ctl("export", job_id, "--format", "dir", "-o", str(out))
    assert exported.returncode == 0, exported.stderr
    assert [count_packets_at(path, 100_000).count for path in sorted(out.rglob("*.cap"))] == [
        40,
        40,
    ]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["job"]["work"]["name"] == as_json["capture"]["name"]
    listed = json.loads(daemon.ctl("--json", "list", "--kind", "capture").stdout)
    assert [one["job_id"] for one in listed] == [job_id]
