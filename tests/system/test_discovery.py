"""A publisher is asked for its cluster, over real sockets: `discover`, and what is kept of it."""

import json
import socket
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cucmctl import Client, InvalidRequest
from cucmd.job.asked import Collection, Login
from cucmd.protocol.jobs import Job
from rig.asking import with_how
from rig.daemon import Daemon
from rig.lab import Lab, free_port, running_lab

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


def test_all_nodes_of_a_large_cluster_are_found_with_one_session(
    tmp_path: Path, daemon: Daemon
) -> None:
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


@pytest.mark.long
def test_what_comes_of_it_is_read_as_of_any_job(tmp_path: Path, daemon: Daemon) -> None:
    with cluster(3) as lab, daemon.client() as client:
        job = discovered(client, lab)
    said = "".join(client.transcript(job.job_id, lab.nodes[0]))
    assert "> show network cluster" in said
    assert list(client.files(job.job_id)) == []
    done = daemon.ctl("export", job.job_id, "--format", "dir", "-o", str(tmp_path / "x"))
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "x" / "manifest.json").read_text())
    assert manifest["job"]["work"] == {"type": "discover"}
    named = manifest["job"]["nodes"][0]["result"]["members"]
    assert [one["node"] for one in named] == lab.nodes
    assert lab.nodes[2] in (tmp_path / "x" / "summary.txt").read_text()


@pytest.mark.long
def test_the_command_prints_a_table_or_a_block_that_the_configuration_takes(
    tmp_path: Path, daemon: Daemon
) -> None:
    secret = tmp_path / "secret"
    with cluster(3) as lab:
        secret.write_text(lab.password)
        secret.chmod(0o600)
        asked = ("discover", lab.nodes[0], "--user", lab.username, "--password-file", str(secret))
        table = daemon.ctl(*asked)
        block = daemon.ctl(*asked, "--save", "berlin.1")
        as_json = daemon.ctl("--json", *asked)
    assert table.returncode == block.returncode == as_json.returncode == 0, table.stderr
    assert [line.split()[0] for line in table.stdout.splitlines()[1:4]] == lab.nodes
    assert tomllib.loads(block.stdout) == {
        "clusters": {"berlin.1": {"publisher": lab.nodes[0], "nodes": lab.nodes[1:]}}
    }
    job = json.loads(as_json.stdout)
    assert [one["node"] for one in job["nodes"][0]["found"]["members"]] == lab.nodes


@pytest.mark.long
def test_a_table_in_another_form_fails_and_is_kept(tmp_path: Path, daemon: Daemon) -> None:
    with cluster(2, "1=other-table") as lab, daemon.client() as client:
        job = discovered(client, lab)
        (node,) = job.nodes
        assert (job.status, node.failure.code) == ("failed", "command_refused")
        assert node.found.members == ()
        assert "cucm-sub1" in node.failure.message
        done = daemon.ctl("status", job.job_id)
        assert "cucm-sub1" in done.stdout
        again = client.wait(
            client.retry(job.job_id, login=Login(lab.username, lab.password)).job_id
        )
        assert again.status == "failed"


@pytest.mark.long
def test_a_publisher_that_names_strangers_is_believed_in_nothing(
    tmp_path: Path, daemon: Daemon
) -> None:
    with cluster(2, "1=strangers@3") as lab, daemon.client() as client:
        port = int(lab.nodes[0].rpartition(":")[2])
        with socket.create_server(("127.66.0.1", port)) as stranger:
            job = discovered(client, lab)
            assert members(job) == [*(f"127.66.0.{n}:{port}" for n in (1, 2, 3)), *lab.nodes]
            stranger.settimeout(0)
            with pytest.raises(BlockingIOError):
                stranger.accept()
