"""Tests a daemon on a full disk: requests or nodes fail, and it stores the rest later."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import Client, StorageFailed
from cucmd.durable import RESERVE
from rig.daemon import Daemon, running_daemon
from rig.inspection import check_database, check_files, manifest
from rig.jobs import SDL, as_ended, in_phase, start, statuses, until
from rig.lab import Lab, running_lab
from rig.quiet import wait_until
from rig.small_disk import MIB, fill, free, small_disk

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Runs three nodes: node 1 is well, 2 hangs, and 3 is slow in its first session."""
    faults = ("--fault", "2=hang:command", "--fault", "3=trickle@30000*1")
    with running_lab(3, "--files", "3", "--size", "1000000", *faults) as lab:
        yield lab


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Yields the folder of a daemon whose state, but not its log, is on a disk of 16 MiB."""
    with small_disk(tmp_path / "cucmd" / "state", 16):
        yield tmp_path / "cucmd"


def test_cancel_is_stored_after_full_disk(folder: Path, lab: Lab) -> None:
    with running_daemon(folder) as daemon, daemon.client() as client:
        job = start(client, lab, lab.nodes[1:2], grace=0.5)
        until(client, job.job_id, in_phase("command"))
        filler = fill(daemon.state)
        with pytest.raises(StorageFailed):
            client.cancel(job.job_id)
        done = refused_start(daemon, lab)
        assert (done.returncode, done.stdout) == (75, "")
        assert [known.job_id for known in client.list()] == [job.job_id]
        filler.unlink()
        after = client.wait(job.job_id, timeout=20)
        assert statuses(after) == ["cancelled"]
        assert client.cancel(job.job_id).cancelled
        daemon.kill()
    check_database(folder / "state" / "cucmd.db")
    with running_daemon(folder) as daemon, daemon.client() as client:
        assert as_ended(client.status(job.job_id)) == as_ended(after)
        assert client.wait(start(client, lab, lab.nodes[:1]).job_id).status == "succeeded"


def refused_start(daemon: Daemon, lab: Lab):
    login = ["--user", lab.username, "--password-file", "-"]
    return daemon.ctl("start", lab.nodes[0], *login, "--path", SDL, input=f"{lab.password}\n")


def test_full_disk_fails_node(folder: Path, lab: Lab) -> None:
    with running_daemon(folder) as daemon, daemon.client() as client:
        job = start(client, lab, lab.nodes[2:])
        until(client, job.job_id, lambda job: job.nodes[0].bytes_received > 0)
        filler = fill(daemon.state)
        wait_until(lambda: client.status(job.job_id).unsaved is not None)
        known = client.status(job.job_id)
        assert known.status == "running", "only what is durable is shown"
        assert known.unsaved is not None
        assert "full" in known.unsaved
        with pytest.raises(StorageFailed):
            client.cancel(job.job_id)
        waiting = daemon.ctl("wait", job.job_id, "--timeout", "3")
        assert known.unsaved in waiting.stderr
        filler.unlink()
        after = client.wait(job.job_id, timeout=20)
        assert after.nodes[0].failure.code == "disk_full"
        wait_until(lambda: manifest(Path(job.directory)) != [])
        daemon.kill()
    with running_daemon(folder) as daemon, daemon.client() as client:
        assert as_ended(client.status(job.job_id)) == as_ended(after)
        assert not all(file["complete"] for file in manifest(Path(job.directory)))
        check_files(Path(job.directory))
        again = client.wait(start(client, lab, lab.nodes[:1]).job_id)
        assert again.status == "succeeded", "the daemon goes on"


def delete_all(client: Client, jobs: list[str], disk: Path) -> None:
    """Deletes one job in each way, on a disk that is full each time."""
    fill(disk)
    client.delete(jobs[0])
    fill(disk)
    client.delete(jobs[1], files_only=True)
    fill(disk)
    assert [one.job_id for one in client.prune(keep=1).jobs] == [jobs[1]]
    fill(disk)
    client.delete(jobs[2])
    assert client.list() == ()


def test_full_disk_can_be_emptied(folder: Path, lab: Lab) -> None:
    with running_daemon(folder) as daemon, daemon.client() as client:
        jobs = [collected(client, lab) for _ in range(3)]
        delete_all(client, jobs, daemon.state)
        (daemon.state / "filler").unlink()
        assert client.wait(start(client, lab, lab.nodes[:1]).job_id).status == "succeeded"
        assert free(daemon.state) < 16 * MIB - RESERVE


def test_full_disk_can_be_emptied_after_start(folder: Path, lab: Lab) -> None:
    with running_daemon(folder) as daemon, daemon.client() as client:
        jobs = [collected(client, lab) for _ in range(3)]
    fill(folder / "state")
    with running_daemon(folder) as daemon, daemon.client() as client:
        assert [one.job_id for one in client.list()] == jobs[::-1]
        delete_all(client, jobs, daemon.state)
        assert not list(daemon.state.glob("*.damaged-*"))


def collected(client: Client, lab: Lab) -> str:
    job_id = client.wait(start(client, lab, lab.nodes[:1]).job_id).job_id
    wait_until(lambda: client.status(job_id).closed)
    return job_id


def test_start_without_space_is_explained(folder: Path, lab: Lab) -> None:
    with running_daemon(folder) as daemon, daemon.client() as client:
        job = client.wait(start(client, lab, lab.nodes[:1]).job_id)
    (folder / "state" / "cucmd.reserve").unlink()
    filler = fill(folder / "state")
    with pytest.raises(AssertionError, match="the disk is full"), running_daemon(folder):
        pass
    assert "Traceback" not in daemon.log.read_text()
    filler.unlink()
    with running_daemon(folder) as daemon, daemon.client() as client:
        assert as_ended(client.status(job.job_id)) == as_ended(job)
        assert not list(daemon.state.glob("*.damaged-*"))
    check_files(Path(job.directory))
