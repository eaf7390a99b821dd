"""Tests jobs on clusters of which the user names only the publisher."""

import socket
from pathlib import Path

import pytest

from cucmctl import Client, InvalidRequest
from cucmd.job.work_request import Collection, How, Login, Timeouts
from cucmd.protocol.jobs import Job
from rig.asking import with_how
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import SDL
from rig.lab import Lab
from system.test_discovery import cluster

CREDENTIAL = Login(credential="lab")
COLLECTION = Collection(paths=(SDL,), last="2h")


def config_for(lab: Lab, folder: Path, more: str) -> str:
    return CONFIG + named_credential(folder, "lab", lab.username, lab.password) + more


def only_publisher(lab: Lab, more: str = "") -> str:
    return f'[clusters.berlin]\npublisher = "{lab.nodes[0]}"\ncredential = "lab"\n{more}'


TIED = '[credential.lab]\nclusters = ["berlin"]\n'


def on_all(client: Client, name: str, login: Login, **fields: object) -> Job:
    job = client.start_cluster(name, COLLECTION, login=login, **with_how(fields))
    return client.wait(job.job_id, timeout=60)


def nodes_of(job: Job) -> list[str]:
    return [node.node for node in job.nodes]


@pytest.mark.long
def test_publisher_name_collects_whole_cluster(tmp_path: Path, daemon: Daemon) -> None:
    with cluster(4, "3=refuse-tcp") as lab, daemon.client() as client:
        login = Login(lab.username, lab.password)
        job = on_all(client, lab.nodes[0], login, timeouts=Timeouts(grace=1))
        assert nodes_of(job) == lab.nodes
        # One node of the table is down: it fails alone.
        assert [node.status for node in job.nodes].count("succeeded") == 3
        assert job.nodes[2].failure.code == "connection_refused"
        assert job.status == "partial"


@pytest.mark.long
def test_tied_credential_is_not_sent_to_strangers(tmp_path: Path) -> None:
    with cluster(2, "1=strangers@1") as lab:
        config = config_for(lab, tmp_path / "given", only_publisher(lab, TIED))
        port = int(lab.nodes[0].rpartition(":")[2])
        with (
            socket.create_server(("127.66.0.1", port)) as stranger,
            running_daemon(tmp_path / "cucmd", config) as daemon,
            daemon.client() as client,
        ):
            stranger.settimeout(0)
            with pytest.raises(InvalidRequest) as caught:
                on_all(client, "berlin", CREDENTIAL)
            assert caught.value.parameters.parameter == "login.credential"
            assert f"127.66.0.1:{port}" in caught.value.parameters.reason
            assert lab.nodes[1] in caught.value.parameters.reason
            with pytest.raises(BlockingIOError):
                stranger.accept()
            assert client.list(kind="collect") == ()
            stranger.close()
            # The password goes to nodes that the publisher names, never to those of another node.
            job = client.start(
                ["berlin"],
                login=CREDENTIAL,
                work=COLLECTION,
                how=How(timeouts=Timeouts(grace=1), discovered=("berlin",), accept_nodes=True),
            )
            assert nodes_of(job) == [lab.nodes[0], f"127.66.0.1:{port}", lab.nodes[1]]
            ended = client.wait(job.job_id, timeout=60)
            assert [node.status for node in ended.nodes] == ["succeeded", "failed", "succeeded"]
            with pytest.raises(InvalidRequest):
                client.discover(lab.nodes[1], login=CREDENTIAL)
