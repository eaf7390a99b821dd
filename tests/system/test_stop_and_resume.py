"""Stops or kills a daemon while jobs run, and starts it again."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import ShuttingDown
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.inspection import check_files, manifest
from rig.jobs import SDL, as_ended, in_phase, node, start, statuses, until
from rig.lab import Lab, running_lab
from rig.parameters import more
from rig.quiet import wait_until

BOTH = pytest.mark.parametrize("how", [signal.SIGTERM, *more(signal.SIGKILL)])


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Runs three nodes: node 1 is well; 2 is slow and 3 hangs, each in its first session only."""
    faults = ("--fault", "2=trickle@3000*1", "--fault", "3=hang:command*1")
    with running_lab(3, "--files", "3", "--size", "20000", *faults) as lab:
        yield lab


@pytest.fixture
def config(tmp_path: Path, lab: Lab) -> str:
    return CONFIG + named_credential(tmp_path / "given", "lab", lab.username, lab.password)


def end(daemon: Daemon, how: signal.Signals) -> None:
    daemon.signal(how)
    assert daemon.process.wait(30) == (0 if how is signal.SIGTERM else -how)


def in_the_middle(job) -> bool:
    """Says whether node 1 has succeeded, node 2 pushes, and node 3 hangs."""
    one, two, three = job.nodes
    return one.status == "succeeded" and two.bytes_received > 0 and three.phase == "command"


@BOTH
def test_job_with_credential_resumes(
    tmp_path: Path, lab: Lab, config: str, how: signal.Signals
) -> None:
    folder = tmp_path / "cucmd"
    with running_daemon(folder, config) as daemon, daemon.client() as client:
        job = start(client, lab, credential="lab", grace=1)
        before = until(client, job.job_id, in_the_middle)
        end(daemon, how)
    with running_daemon(folder, config) as daemon, daemon.client() as client:
        after = client.wait(job.job_id, timeout=60)
    assert statuses(after) == ["succeeded"] * 3
    assert node(as_ended(after), 0) == node(as_ended(before), 0), "what was done is not done again"
    assert [one.attempt for one in after.nodes] == [1, 2, 2]
    files = [file for file in manifest(Path(job.directory)) if file["node"] == lab.nodes[1]]
    cut = [file for file in files if not file["complete"]]
    assert cut, "what the stop cut off is marked so"
    assert len(files) - len(cut) >= 3
    assert all(file["complete"] for file in manifest(Path(job.directory)) if file not in cut)
    check_files(Path(job.directory))


@pytest.mark.long
@BOTH
def test_job_with_password_is_interrupted(
    tmp_path: Path, lab: Lab, config: str, how: signal.Signals
) -> None:
    folder = tmp_path / "cucmd"
    with running_daemon(folder, config) as daemon, daemon.client() as client:
        job = start(client, lab, grace=1)
        before = until(client, job.job_id, in_the_middle)
        end(daemon, how)
    with running_daemon(folder, config) as daemon, daemon.client() as client:
        after = client.wait(job.job_id, timeout=60)
        assert daemon.ctl("wait", job.job_id).returncode == 3
    assert after.status == "partial"
    assert node(as_ended(after), 0) == node(as_ended(before), 0)
    for one in after.nodes[1:]:
        assert (one.status, one.failure.code) == ("failed", "interrupted")
        assert one.failure.retryable
        assert one.completed_at is not None
    assert any(not file["complete"] for file in manifest(Path(job.directory)))
    check_files(Path(job.directory))


@pytest.mark.long
@BOTH
def test_queued_jobs_wait_again(tmp_path: Path, lab: Lab, config: str, how: signal.Signals) -> None:
    folder = tmp_path / "cucmd"
    config = config.replace("[limits]\n", "[limits]\njobs = 1\n")
    with running_daemon(folder, config) as daemon, daemon.client() as client:
        first = start(client, lab, lab.nodes[2:], credential="lab", grace=0.5)
        until(client, first.job_id, in_phase("command"))
        named = start(client, lab, lab.nodes[:1], credential="lab")
        typed = start(client, lab, lab.nodes[:1])
        end(daemon, how)
    with running_daemon(folder, config) as daemon, daemon.client() as client:
        assert client.wait(typed.job_id).nodes[0].failure.code == "interrupted"
        ended = [client.wait(job.job_id, timeout=60) for job in (first, named)]
    assert [job.status for job in ended] == ["succeeded", "succeeded"]
    assert [node(job, 0).attempt for job in ended] == [2, 1]


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGTERM, *more(signal.SIGINT)])
def test_stop_refuses_work_and_disconnects(tmp_path: Path, how: signal.Signals) -> None:
    """The node prints nothing until Ctrl-C. The daemon disconnects in order, within the grace
    period.
    """
    with running_lab(2, "--fault", "1=silent:command", "--fault", "2=hang:command") as lab:
        with running_daemon(tmp_path / "cucmd") as daemon, daemon.client() as client:
            job = start(client, lab, grace=10)  # a busy machine needs 3 s to start `cucmctl`
            until(client, job.job_id, in_phase("command"))
            wait_until(lambda: lab.report()["faults_used"] == 2)
            daemon.signal(how)
            began = time.monotonic()
            wait_until(lambda: f"stopping on {how.name}" in daemon.log.read_text())
            with pytest.raises(ShuttingDown):
                start(client, lab)
            login = ("--user", lab.username, "--password-file", "-")
            done = daemon.ctl(
                "start", lab.nodes[0], *login, "--path", SDL, input=f"{lab.password}\n"
            )
            assert (done.returncode, done.stdout) == (75, "")
            assert daemon.process.wait(30) == 0
            assert time.monotonic() - began < 10 + 5
        report = lab.report()
    assert report["connections_now"] == 0
    assert report["interrupts"] >= 1
    assert report["dropped"] == 0
    assert report["logins"] == 2
    assert report["closed_cleanly"] == report["connections_ever"]


@pytest.mark.long
def test_second_sigterm_loses_nothing(tmp_path: Path, lab: Lab, config: str) -> None:
    folder = tmp_path / "cucmd"
    with running_daemon(folder, config) as daemon, daemon.client() as client:
        job = start(client, lab, lab.nodes[2:], credential="lab", grace=40)
        until(client, job.job_id, in_phase("command"))
        wait_until(lambda: lab.report()["faults_used"] == 1)  # from now on the node ignores Ctrl-C
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: "stopping on SIGTERM" in daemon.log.read_text())
        with pytest.raises(ShuttingDown):
            start(client, lab)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(30) == -signal.SIGTERM
        assert time.monotonic() - began < 10
    with running_daemon(folder, config) as daemon, daemon.client() as client:
        assert client.wait(job.job_id, timeout=60).status == "succeeded"
