"""The limit of sessions on a node holds over all jobs and for all names of the node."""

from collections.abc import Callable

import pytest

from rig.daemon import Daemon
from rig.jobs import start
from rig.lab import Lab

MakeLab = Callable[..., Lab]

# Long enough that all jobs would be on the node at the same time if they could.
QUICK = ("--files", "1", "--size", "1000", "--sizing-delay", "1.5")


def run_jobs(daemon: Daemon, lab: Lab, names: list[str]) -> list[str]:
    """Runs a job for each name, all at once; returns their outcomes."""
    with daemon.client() as client:
        jobs = [start(client, lab, [name]) for name in names]
        return [client.wait(job.job_id).status for job in jobs]


@pytest.mark.long
def test_names_and_spellings_of_a_node_are_one_node(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(1, "--address", "127.0.0.1", *QUICK)
    port = lab.nodes[0].rpartition(":")[2]
    names = [f"{host}:{port}" for host in ("localhost", "127.0.0.1", "LocalHost", "127.0.0.1")]
    assert run_jobs(daemon, lab, names) == ["succeeded"] * 4
    assert lab.report()["sessions_most"] == 2
