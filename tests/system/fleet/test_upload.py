"""`start --upload`: the site uploads the files to a target of its own, and the hub says where."""

import hashlib
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.protocol.jobs import Job
from rig.fleet import Fleet, ended, run
from rig.jobs import SDL
from rig.lab import Lab
from rig.nginx import needs_nginx
from rig.quiet import wait_until
from rig.upload_servers import CASE, TOKEN, OddServer, running_webdav

pytestmark = pytest.mark.long

TARGETS = """
[targets.archive]
url = "https://{case}@{host}/home/"
token_file = "{token}"
mask = "no"
[targets.masked]
url = "https://{host}/inbox/"
"""


def start_with_targets(fleet: Fleet, servers: Path, host: str) -> None:
    """Starts the agent of berlin again, with targets at a host."""
    token = servers / "token"
    token.touch(0o600)
    token.write_text(f"{TOKEN}\n")
    file = fleet.folder / "berlin" / "cucmagent.toml"
    text = file.read_text().partition("\n[targets")[0]
    file.write_text(text + TARGETS.format(case=CASE, host=host, token=token))
    fleet.kill("berlin")
    # A killed agent leaves its temporary folder.
    own = {"XDG_DATA_HOME": str(servers / "data"), "TMPDIR": str(servers)}
    environ = {"SSL_CERT_FILE": str(servers / "ca.crt"), **own}
    fleet.start_agent("berlin", environ=environ)


def upload_of(client: Client, job: Job) -> str:
    """Returns how the upload of a job has ended."""

    def state() -> str:
        labels = client.status(job.job_id).labels or {}
        return labels.get("berlin/upload-state", "running")

    wait_until(lambda: state() != "running", 60)
    return state()


@needs_nginx
@pytest.mark.parametrize("target", ["archive", "masked"])
def test_target_gets_files(
    client: Client, fleet: Fleet, lab: Lab, servers: Path, target: str
) -> None:
    with running_webdav(servers) as host:
        start_with_targets(fleet, servers, host)
        job = run(client, f"berlin/{lab.nodes[0]}", upload=target)
        state = upload_of(client, job)
        (file,) = (servers / {"archive": "home", "masked": "inbox"}[target]).iterdir()
    assert state == f"done: https://{host}/{file.parent.name}/{file.name}"
    checksum = hashlib.sha256(file.read_bytes()).hexdigest()
    assert client.status(job.job_id).labels["berlin/upload-sha256"] == checksum
    assert TOKEN not in fleet.log("berlin") + fleet.log("hub")


def test_unknown_target_is_refused(client: Client, fleet: Fleet, lab: Lab, servers: Path) -> None:
    start_with_targets(fleet, servers, "localhost:1")
    options = ("--credential", "lab", "--path", SDL, "--upload", "other", "--wait")
    started = fleet.ctl("start", f"berlin/{lab.nodes[0]}", *options)
    assert started.returncode == 1
    (node,) = client.status(started.stdout.strip()).nodes
    assert node.failure.code == "refused_at_site"
    assert "archive, masked" in node.failure.message


def test_failed_upload_says_why(client: Client, fleet: Fleet, lab: Lab, servers: Path) -> None:
    start_with_targets(fleet, servers, "localhost:1")
    job = run(client, f"berlin/{lab.nodes[0]}", upload="masked")
    assert upload_of(client, job).startswith("failed: ")


def test_missing_target_is_said(client: Client, fleet: Fleet, lab: Lab) -> None:
    job = ended(client, run(client, f"berlin/{lab.nodes[0]}"))
    (local_id,) = fleet.jobs_at("berlin", job.job_id)
    with fleet.daemons["berlin"].client() as daemon:
        daemon.label(local_id, {"upload": "removed"})
    assert upload_of(client, job) == "failed: the site has no such target any more"


def held_upload(client: Client, fleet: Fleet, lab: Lab, servers: Path, odd: OddServer) -> Job:
    """Starts a job. Returns once its upload has come to the server, which does not answer yet."""
    odd.hold.clear()
    start_with_targets(fleet, servers, odd.host)
    job = run(client, f"berlin/{lab.nodes[0]}", upload="archive")
    assert odd.came.wait(60)
    return job


def test_end_is_said_once_daemon_is_back(
    client: Client, fleet: Fleet, lab: Lab, servers: Path, odd: OddServer
) -> None:
    job = held_upload(client, fleet, lab, servers, odd)
    fleet.kill("berlin.cucmd")
    odd.hold.set()
    wait_until(lambda: f"done: https://{odd.host}" in fleet.log("berlin"), 60)
    fleet.start_again("berlin.cucmd")
    assert upload_of(client, job).startswith("done: ")
    assert len(odd.requests) == 1


def test_interrupted_upload_is_not_repeated(
    client: Client, fleet: Fleet, lab: Lab, servers: Path, odd: OddServer
) -> None:
    job = held_upload(client, fleet, lab, servers, odd)
    start_with_targets(fleet, servers, odd.host)
    assert upload_of(client, job).startswith("interrupted")
    assert len(odd.requests) == 1
    assert ended(client, run(client, f"berlin/{lab.nodes[1]}")).status == "succeeded"
