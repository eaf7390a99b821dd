"""Nodes are checked over real sockets: what is seen, what is kept of it, and how it ends."""

import json
import signal
from pathlib import Path

import msgspec
import pytest

from cucmctl import Client
from cucmd.job.asked import Collection, How, Login, Timeouts
from cucmd.job.check import Checked
from cucmd.protocol.jobs import Job
from rig.asking import with_how
from rig.credentials import login_options, named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.inspection import check_files
from rig.lab import Lab, running_lab
from rig.parameters import more
from rig.quiet import wait_until

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
    """Returns what was seen, with a clock that is right by a few seconds as if by none."""
    seen = [node.checked or Checked() for node in job.nodes]
    assert all(one.clock_ahead is None or abs(one.clock_ahead) <= 5 for one in seen), seen
    return [
        one if one.clock_ahead is None else msgspec.structs.replace(one, clock_ahead=0.0)
        for one in seen
    ]


def replaced(**fields: object) -> Checked:
    return msgspec.structs.replace(SEEN, **fields)


def test_what_a_check_sees_and_what_it_leaves_behind(daemon: Daemon) -> None:
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
def test_the_command_prints_what_is_wrong_and_what_to_do(tmp_path: Path, daemon: Daemon) -> None:
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
    # Its clock was put forward when it pushed for the first check.
    assert abs(job.nodes[2].checked.clock_ahead - 7200) < 60
    assert [len(node.notes) for node in job.nodes] == [0, 0, 1]
    assert "120 minutes ahead" in job.nodes[2].notes[0]


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, *more(signal.SIGTERM)])
@pytest.mark.parametrize("step", ["prepare", "transfer"])
def test_it_goes_on_after_a_restart(tmp_path: Path, how: signal.Signals, step: str) -> None:
    with running_lab(2, "--fault", f"1=hang:{step}*1") as lab:
        given = named_credential(tmp_path / "given", "lab", lab.username, lab.password)
        folder, config = tmp_path / "cucmd", CONFIG + given
        with running_daemon(folder, config) as daemon, daemon.client() as client:
            login, timeouts = Login(credential="lab"), Timeouts(grace=0.5)
            job = client.check(lab.nodes, login=login, receiver=True, how=How(timeouts=timeouts))
            wait_until(lambda: lab.report()["faults_used"] == 1)
            wait_until(lambda: client.status(job.job_id).nodes[1].status == "succeeded")
            daemon.signal(how)
            daemon.process.wait(30)
        with running_daemon(folder, config) as daemon, daemon.client() as client:
            after = client.wait(job.job_id, timeout=60)
            assert after.status == "succeeded"
            # The key was new to this job, though the second attempt finds it known.
            assert without_clock(after) == [replaced(receiver="ok")] * 2
            assert [node.attempt for node in after.nodes] == [2, 1]
            exported = [file for file in client.files(job.job_id) if file.exported]
            assert [file.node for file in exported] == lab.nodes
