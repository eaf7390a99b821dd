"""Tests `discover`: a publisher names its cluster, and the daemon keeps it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cucmctl import Client, InvalidRequest
from cucmd.job.work_request import Collection, Login
from cucmd.protocol.jobs import Job
from rig.asking import with_how
from rig.daemon import Daemon
from rig.lab import Lab, free_port, running_lab
from rig.quiet import wait_until

NODES = 40


@contextmanager
def cluster(nodes: int, *faults: str) -> Iterator[Lab]:
    options = [word for fault in faults for word in ("--fault", fault)]
    with running_lab(nodes, "--port", free_port(), *options) as lab:
        yield lab


def discovered(client: Client, lab: Lab, publisher: str = "", **fields: object) -> Job:
    login = Login(lab.username, lab.password)
    job = client.discover(publisher or lab.nodes[0], login=login, **with_how(fields))
    return client.wait(job.job_id, timeout=60)


def members(job: Job) -> list[str]:
    found = job.nodes[0].found
    assert found is not None
    return [member.node for member in found.members]


@pytest.mark.long
def test_discovery_finds_large_cluster(tmp_path: Path, daemon: Daemon) -> None:
    with cluster(NODES) as lab, daemon.client() as client:
        job = discovered(client, lab, labels={"case": "1"})
        assert (job.status, job.kind, job.labels) == ("succeeded", "discover", {"case": "1"})
        assert members(job) == lab.nodes
        assert job.collection == Collection()
        report = lab.report()
        assert (report["logins"], report["commands"]) == (1, 3)
        assert {one["connections_ever"] for one in list(report["nodes"].values())[1:]} == {0}
        (listed,) = client.list(kind="discover")
        assert (listed.job_id, listed.kind) == (job.job_id, "discover")
        assert client.list(kind="collect") == ()
        with pytest.raises(InvalidRequest):
            client.list(kind="x")


@pytest.mark.parametrize("first", ["discovery", "job"])
def test_host_names_stand_for_nodes(tmp_path: Path, daemon: Daemon, first: str) -> None:
    with cluster(2) as lab, daemon.client() as client:

        def run() -> Job:
            job = client.run(lab.nodes, ["show status"], login=Login(lab.username, lab.password))
            return client.wait(job.job_id, timeout=60)

        job = run() if first == "job" else None
        named = {
            member.node: member.name for member in discovered(client, lab).nodes[0].found.members
        }
        job = job or run()
        wait_until(lambda: all(node.name for node in client.status(job.job_id).nodes))
        job = client.status(job.job_id)
        assert {node.node: node.name for node in job.nodes} == named
        assert [node.role for node in job.nodes] == ["Publisher", "Subscriber"]
        node, name = list(named.items())[1]
        assert job.job_id in [one.job_id for one in client.list(target=name)]
        assert [file.node for file in client.files(job.job_id, [name])] == [node]
        assert daemon.ctl("files", job.job_id, "--node", name).stdout.startswith(f"{name} ({node})")
        assert "show status" in "".join(client.transcript(job.job_id, name))
        assert f"{name} ({node})" in daemon.ctl("cancel", job.job_id, name).stdout
        daemon.ctl("export", job.job_id, "--node", name, "-o", "x/", cwd=tmp_path)
        folders = {path.name for path in (tmp_path / "x").iterdir() if path.is_dir()}
        assert folders == {name, "transcripts"}
