"""Transfers a file of 5 GB."""

import shutil
from collections.abc import Callable

import pytest

from rig.daemon import Daemon
from rig.jobs import node, start
from rig.lab import Lab

LARGE = 5_000_000_000


@pytest.mark.skipif(
    shutil.disk_usage("/tmp").free < 2 * LARGE, reason="needs 10 GB of free space below /tmp"
)
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_file_of_5_gb(
    make_daemon: Callable[..., Daemon],
    make_lab: Callable[..., Lab],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(
        "COVERAGE_PROCESS_START", raising=False
    )  # with coverage the transfer would take too long
    daemon = make_daemon()
    lab = make_lab(1, "--files", "1", "--fault", f"big-file@{LARGE}")
    with daemon.client() as client:
        job = client.wait(start(client, lab).job_id, timeout=800)
    assert (node(job, 0).status, node(job, 0).bytes_received) == ("succeeded", LARGE)
    assert daemon.memory() < 200_000_000
