"""Tests host keys of nodes: the policies, a changed key, and `cucmctl hostkeys`."""

import json
import signal
from collections.abc import Callable

import pytest

from rig.daemon import Daemon
from rig.jobs import start
from rig.lab import Lab
from rig.quiet import wait_until

MakeLab = Callable[..., Lab]
MakeDaemon = Callable[..., Daemon]
# The key of a machine outside the lab.
ANOTHER = (
    "10.10.1.9 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
)


def fingerprints(daemon: Daemon) -> dict[str, str]:
    listed = json.loads(daemon.ctl("--json", "hostkeys").stdout)
    return {key["node"]: key["fingerprint"] for key in listed}


@pytest.mark.long
def test_first_key_is_remembered(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(2)
    with daemon.client() as client:
        assert client.wait(start(client, lab).job_id).status == "succeeded"
    assert set(fingerprints(daemon)) == set(lab.nodes)
    shown = daemon.ctl("hostkeys").stdout
    assert "SHA256:" in shown


@pytest.mark.long
def test_changed_key_gets_no_password(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(2, "--fault", "1=key-changed")
    with daemon.client() as client:
        client.wait(start(client, lab).job_id)
        before = fingerprints(daemon)[lab.nodes[0]]
        logins = lab.report()["nodes"][lab.nodes[0]]["logins"]
        job = client.wait(start(client, lab).job_id)
    failed, other = job.nodes
    assert (failed.failure.code, other.status) == ("host_key_changed", "succeeded")
    assert before in failed.error
    assert failed.error.count("SHA256:") == 2
    assert lab.report()["nodes"][lab.nodes[0]]["logins"] == logins

    done = daemon.ctl("--json", "hostkeys", "forget", lab.nodes[0])
    assert json.loads(done.stdout) == {"forgotten": 1}
    with daemon.client() as client:
        assert client.wait(start(client, lab, lab.nodes[:1]).job_id).status == "succeeded"
    assert fingerprints(daemon)[lab.nodes[0]] != before


@pytest.mark.long
def test_strict_policy_needs_added_key(make_daemon: MakeDaemon, make_lab: MakeLab) -> None:
    daemon, lab = make_daemon('[ssh]\nhost_keys = "strict"\n'), make_lab(2)
    with daemon.client() as client:
        job = client.wait(start(client, lab).job_id)
        assert [one.failure.code for one in job.nodes] == ["host_key_unknown"] * 2
        assert lab.report()["logins"] == 0
        done = daemon.ctl("hostkeys", "add", lab.nodes[0])
        assert done.returncode == 0
        assert fingerprints(daemon)[lab.nodes[0]] in done.stdout
        job = client.wait(start(client, lab).job_id)
    assert [one.status for one in job.nodes] == ["succeeded", "failed"]


@pytest.mark.long
def test_reload_reads_known_hosts(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(1)
    with daemon.client() as client:
        client.wait(start(client, lab).job_id)
        (daemon.state / "known_hosts").write_text(f"# nobody\n{ANOTHER}\n")
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: set(fingerprints(daemon)) == {"10.10.1.9"})
        assert client.wait(start(client, lab).job_id).status == "succeeded"
    assert set(fingerprints(daemon)) == {"10.10.1.9", *lab.nodes}
    assert "# nobody" in (daemon.state / "known_hosts").read_text()
