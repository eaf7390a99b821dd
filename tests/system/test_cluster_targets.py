"""Jobs on clusters of which only one name is known, over real sockets."""

import os
import socket
from pathlib import Path

import pytest

from cucmctl import Client, DiscoveryFailed, InvalidRequest
from cucmd.job.asked import Collection, Commands, Estimate, How, Login, Timeouts
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


def test_the_name_of_a_publisher_is_enough(tmp_path: Path, daemon: Daemon) -> None:
    with cluster(4, "3=refuse-tcp") as lab, daemon.client() as client:
        login = Login(lab.username, lab.password)
        job = on_all(client, lab.nodes[0], login, timeouts=Timeouts(grace=1))
        assert nodes_of(job) == lab.nodes
        # One is in the table and down: it fails, and no other does.
        assert [node.status for node in job.nodes].count("succeeded") == 3
        assert job.nodes[2].failure.code == "connection_refused"
        assert job.status == "partial"


@pytest.mark.long
def test_sizes_and_commands_of_a_whole_cluster_by_its_publisher(daemon: Daemon) -> None:
    with cluster(2) as lab, daemon.client() as client:
        login = Login(lab.username, lab.password)
        sized = client.start_cluster(lab.nodes[0], Estimate(COLLECTION), login=login)
        sized = client.wait(sized.job_id, timeout=60)
        assert (nodes_of(sized), sized.kind) == (lab.nodes, "dry_run")
        assert all(node.sizes is not None and node.sizes.fits for node in sized.nodes)
        job = client.start_cluster(lab.nodes[0], Commands(("show status",)), login=login)
        assert (nodes_of(job), job.kind) == (lab.nodes, "run")
        assert client.wait(job.job_id, timeout=60).status == "succeeded"


@pytest.mark.long
def test_one_word_of_the_configuration_is_enough_on_the_command_line(tmp_path: Path) -> None:
    with cluster(3) as lab:
        config = config_for(lab, tmp_path / "given", only_publisher(lab))
        with running_daemon(tmp_path / "cucmd", config) as daemon, daemon.client() as client:
            done = daemon.ctl("start", "berlin", "--path", SDL, "--last", "2h", "--wait")
            assert done.returncode == 0, done.stderr
            job = client.status(done.stdout.strip())
            assert (nodes_of(job), job.targets) == (lab.nodes, ("berlin",))
            one = daemon.ctl("start", lab.nodes[1], "--path", SDL, "--credential", "lab", "--wait")
            assert one.returncode == 0, one.stderr
            assert "2 other nodes" in one.stderr
            shown = daemon.ctl("clusters", "berlin").stdout
            assert all(node in shown for node in lab.nodes)
            part = daemon.ctl("start", "berlin:publisher", "--path", SDL, "--last", "2h", "--wait")
            assert nodes_of(client.status(part.stdout.strip())) == lab.nodes[:1]
            none = daemon.ctl("start", "berlin:cups", "--path", SDL, "--last", "2h")
            assert none.returncode == 65
            assert client.list(kind="collect", limit=1)[0].job_id == part.stdout.strip()


@pytest.mark.long
def test_a_publisher_that_is_down_leaves_the_nodes_that_it_has_named(tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "cucmd"
    with cluster(3) as lab:
        config = config_for(lab, tmp_path / "given", only_publisher(lab))
        with running_daemon(folder, config) as daemon, daemon.client() as client:
            found = client.wait(client.discover("berlin", login=CREDENTIAL).job_id)
            assert found.status == "succeeded"
        lab.stop()
        with running_daemon(folder, config) as daemon, daemon.client() as client:
            job = client.start_cluster("berlin", COLLECTION, login=CREDENTIAL, tell=said.append)
            assert nodes_of(job) == lab.nodes
            assert "connection_refused" in said[0]
            client.cancel(job.job_id)
            client.wait(job.job_id)
            # Nobody has asked this one before.
            with pytest.raises(DiscoveryFailed) as caught:
                on_all(client, lab.nodes[2], CREDENTIAL)
            assert caught.value.job.nodes[0].failure.code == "connection_refused"


@pytest.mark.long
def test_a_tied_credential_does_not_follow_what_a_publisher_claims(tmp_path: Path) -> None:
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
            # Accepted, it is sent where the publisher says; never by the word of another node.
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


@pytest.mark.long
def test_a_wrong_login_is_refused_once_and_starts_nothing(tmp_path: Path, daemon: Daemon) -> None:
    with cluster(3) as lab, daemon.client() as client:
        wrong = Login(lab.username, "another-password-" + os.urandom(4).hex())
        with pytest.raises(DiscoveryFailed) as caught:
            on_all(client, lab.nodes[0], wrong)
        assert caught.value.job.nodes[0].failure.code == "auth_failed"
        assert lab.report()["logins_refused"] == 1
        assert client.list(kind="collect") == ()
