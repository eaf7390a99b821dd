"""Transfers that are longer, or larger, than most: a slow node, and a file of 5 GB."""

import shutil
from collections.abc import Callable

import pytest

from rig.daemon import Daemon
from rig.jobs import node, start
from rig.lab import Lab

pytestmark = pytest.mark.long

MakeLab = Callable[..., Lab]


def test_a_transfer_that_is_longer_than_the_command_timeout(
    daemon: Daemon, make_lab: MakeLab
) -> None:
    """The node never asks for the directory. The command alone takes less than 4 s."""
    faults = ("--fault", "omit:directory", "--fault", "trickle@3000")
    lab = make_lab(1, "--files", "1", "--size", "30000", *faults)
    with daemon.client() as client:
        job = client.wait(start(client, lab, connect=4, command=4).job_id)
    ended = node(job, 0)
    assert (ended.status, ended.files_received) == ("succeeded", 1)
    assert (ended.completed_at - ended.started_at).total_seconds() > 8


LARGE = 5_000_000_000


@pytest.mark.skipif(
    shutil.disk_usage("/tmp").free < 2 * LARGE, reason="needs 10 GB of free space below /tmp"
)
@pytest.mark.timeout(900)
def test_a_file_of_5_gb(
    make_daemon: Callable[..., Daemon], make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)  # measured, they take too long
    daemon = make_daemon()
    lab = make_lab(1, "--files", "1", "--fault", f"big-file@{LARGE}")
    with daemon.client() as client:
        job = client.wait(start(client, lab).job_id, timeout=800)
    assert (node(job, 0).status, node(job, 0).bytes_received) == ("succeeded", LARGE)
    assert daemon.memory() < 200_000_000
