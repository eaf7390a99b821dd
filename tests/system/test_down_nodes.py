"""Nodes that are down or frozen, beside healthy ones, before the login has worked on any node."""

from rig.daemon import Daemon
from rig.jobs import node, start, until
from rig.lab import running_lab


def test_they_do_not_hold_up_the_others(daemon: Daemon) -> None:
    faults = ("--fault", "1=hang:accept", "--fault", "2=hang:accept")
    with running_lab(4, "--files", "1", *faults) as lab, daemon.client() as client:
        job = start(client, lab, connect=20)
        job = until(client, job.job_id, lambda job: node(job, 3).status == "succeeded")
        assert node(job, 2).status in ("running", "succeeded")
        assert {node(job, 0).status, node(job, 1).status} <= {"pending", "running"}
        client.cancel(job.job_id)
        client.wait(job.job_id)
