"""Tests the quotas: the node that exceeds one fails, and the others go on."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.inspection import check_files, manifest
from rig.jobs import node, start, statuses, until
from rig.lab import Lab, running_lab

MakeDaemon = Callable[..., Daemon]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Runs three nodes with files of 100 kB; the first file of node 2 is large."""
    big = ("--fault", "2=big-file@40000000")
    with running_lab(3, "--files", "3", "--size", "100000", *big) as lab:
        yield lab


@pytest.mark.long
def test_node_over_quota_fails_alone(make_daemon: MakeDaemon, lab: Lab) -> None:
    daemon = make_daemon("node_bytes = 1000000\n")
    with daemon.client() as client:
        job = client.wait(start(client, lab).job_id)
    assert statuses(job) == ["succeeded", "failed", "succeeded"]
    failed = node(job, 1)
    assert failed.failure.code == "quota_exceeded"
    assert failed.bytes_received == 0, "it was declined before the first byte"
    assert f"{failed.bytes_announced - 1_000_000:,} bytes more" in failed.failure.message
    check_files(Path(job.directory))


@pytest.mark.long
def test_quota_counts_earlier_attempts(tmp_path: Path) -> None:
    """The quota allows 500 kB, but not these and the 300 kB of the first attempt."""
    folder = tmp_path / "cucmd"
    options = ("--files", "1", "--size", "500000", "--fault", "trickle@500000")
    with running_lab(1, *options) as lab:
        named = named_credential(tmp_path / "given", "lab", lab.username, lab.password)
        config = f"{CONFIG}node_bytes = 700000\n{named}"
        with running_daemon(folder, config) as daemon, daemon.client() as client:
            job = start(client, lab, credential="lab")
            until(client, job.job_id, lambda job: node(job, 0).bytes_received > 300_000)
            daemon.signal(signal.SIGKILL)
            daemon.process.wait()
        with running_daemon(folder, config) as daemon, daemon.client() as client:
            after = client.wait(job.job_id)
            assert node(after, 0).attempt == 2
            assert node(after, 0).failure.code == "quota_exceeded"
            assert sum(file["size"] for file in manifest(Path(job.directory))) <= 700_000
            check_files(Path(job.directory))
