"""Tests checks of lab nodes: what they find, what is kept, and how they end."""

import json
from pathlib import Path

import msgspec
import pytest

from cucmctl import Client
from cucmd.job.check import Checked
from cucmd.job.work_request import Collection, Login
from cucmd.protocol.jobs import Job
from rig.asking import with_how
from rig.credentials import login_options
from rig.daemon import Daemon
from rig.inspection import check_files
from rig.lab import Lab, running_lab

SEEN = Checked(
    reachable=True,
    host_key="new",
    login=True,
    prompt=True,
    product="callmanager",
    version="12.5.1.15900-66",
    zone="UTC",
    clock_ahead=0.0,
    logging_total=69_234_984 * 1024,
    logging_free=25_621_038 * 1024,
    receiver="not_asked",
)


def checked(client: Client, lab: Lab, nodes: list[str] | None = None, **fields: object):
    login = Login(lab.username, lab.password)
    job = client.check(nodes or lab.nodes, login=login, **with_how(fields))
    return client.wait(job.job_id, timeout=60)


def without_clock(job: Job) -> list[Checked]:
    """Returns the result; a clock that is a few seconds wrong counts as right."""
    seen = [node.checked or Checked() for node in job.nodes]
    assert all(one.clock_ahead is None or abs(one.clock_ahead) <= 5 for one in seen), seen
    return [
        one if one.clock_ahead is None else msgspec.structs.replace(one, clock_ahead=0.0)
        for one in seen
    ]


def replaced(**fields: object) -> Checked:
    return msgspec.structs.replace(SEEN, **fields)


@pytest.mark.long
def test_check_reports_healthy_node(daemon: Daemon) -> None:
    with running_lab(2) as lab, daemon.client() as client:
        job = checked(client, lab, labels={"case": "1"}, receiver=True)
        assert (job.status, job.kind, job.labels) == ("succeeded", "check", {"case": "1"})
        assert without_clock(job) == [replaced(receiver="ok")] * 2
        assert job.collection == Collection()
        report = lab.report()
        assert (report["logins"], report["commands"]) == (2, 2 * 6)
        files = list(client.files(job.job_id))
        assert [(file.node, file.complete) for file in files] == [(n, True) for n in lab.nodes]
        check_files(Path(job.directory))


@pytest.mark.long
def test_check_prints_failures_with_hints(tmp_path: Path, daemon: Daemon) -> None:
    with running_lab(3, "--fault", "2=refuse-login", "--fault", "3=clock-ahead@7200") as lab:
        who = (*lab.nodes, *login_options(tmp_path, lab), "--receiver")
        first, second = daemon.ctl("check", *who), daemon.ctl("--json", "check", *who)
        good = daemon.ctl("check", lab.nodes[0], *who[3:])
    assert (first.returncode, second.returncode, good.returncode) == (3, 3, 0)
    heading, *rows = first.stdout.splitlines()[:4]
    assert [row.split()[0] for row in rows] == lab.nodes
    assert "RECEIVER" in heading
    job = msgspec.convert(json.loads(second.stdout), Job)
    assert f"hint: {job.nodes[1].failure.hint}" in first.stdout
    # The node's clock jumped when it pushed for the first check.
    assert abs(job.nodes[2].checked.clock_ahead - 7200) < 60
    assert [len(node.notes) for node in job.nodes] == [0, 0, 1]
    assert "120 minutes ahead" in job.nodes[2].notes[0]
