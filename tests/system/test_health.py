"""Tests `health` on lab nodes, each ill in one way, beside a healthy one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cucmctl import Login
from cucmd.job.health import CHECKS, OF_PUBLISHER
from cucmd.protocol.jobs import Job
from rig.credentials import login_options
from rig.daemon import Daemon, running_daemon
from rig.inspection import check_files
from rig.lab import Lab, running_lab

MakeLab = Callable[..., Lab]
# fault of a node -> the checks that are not good, and their states
ILL = {
    "service-stopped": {("services", "bad")},
    "not-replicated": {("replication", "bad")},
    "no-time": {("ntp", "bad")},
    "far-from-time": {("ntp", "bad")},
    "other-version": set(),  # only a comparison of nodes shows it
    "unknown-to-others": {("cluster", "bad")},
    "low-space": {("disk", "bad")},
    "certificate-ended": {("certificates", "bad")},
    "core-file": {("cores", "bad")},
    "busy": {("processor", "look")},
    "other-table": {("cluster", "unread")},
}


def looked_at(daemon: Daemon, lab: Lab, **options: object) -> Job:
    with daemon.client() as client:
        login = Login(lab.username, lab.password)
        return client.wait(client.health(lab.nodes, login=login, **options).job_id, timeout=60)


def ctl_health(daemon: Daemon, lab: Lab, folder: Path, *options: str):
    return daemon.ctl("health", *lab.nodes, *login_options(folder, lab), *options)


@pytest.mark.long
def test_healthy_nodes_are_all_good(daemon: Daemon, make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab(2)
    done = ctl_health(daemon, lab, tmp_path)
    assert (done.returncode, done.stdout) == (0, "2 nodes: 2 good\n")
    assert done.stdout in daemon.ctl("status", "@last").stdout
    shown = ctl_health(daemon, lab, tmp_path, "--all").stdout
    assert {line.split()[0] for line in shown.splitlines() if line.startswith(" ")} == {"good"}


@pytest.mark.long
def test_each_illness_is_found(tmp_path: Path) -> None:
    faults = [word for at, ill in enumerate(ILL, 2) for word in ("--fault", f"{at}={ill}")]
    faults += ["--fault", "1=backup-failed"]  # only the publisher knows it
    with (
        running_lab(1 + len(ILL), *faults) as lab,
        running_daemon(tmp_path / "cucmd") as daemon,
    ):
        job = looked_at(daemon, lab)
        assert job.status == "succeeded", [node.error for node in job.nodes]
        expected = [{("backup", "bad")}, *ILL.values()]
        for node, states in zip(job.nodes, expected, strict=True):
            found = {(one.check, one.state) for one in node.health.findings}
            assert {one for one in found if one[1] != "good"} == states, node.node
            has = {check for check, _ in found} | OF_PUBLISHER | {"availability"}
            assert has == set(CHECKS)
        done = ctl_health(daemon, lab, tmp_path)
        assert done.returncode == 1
        assert done.stdout.endswith("\n12 nodes: 10 bad, 1 look at it, 1 not read\n")
        between = "12.5.1.11900-146, and others of its cluster"
        assert between in done.stdout
        exported = daemon.ctl("export", "@last", "--format", "dir", "-o", str(tmp_path / "case"))
        assert exported.returncode == 0, exported.stderr
        assert between in (tmp_path / "case" / "summary.txt").read_text()
        printed = {path.parts[-3] for path in (tmp_path / "case").rglob("output/*.txt")}
        assert len(printed) == len(job.nodes)
        check_files(Path(job.directory))
