"""Which paths a job collects: some of a profile, others beside it, with their location."""

from pathlib import Path

import pytest

from cucmctl import Collection, Login
from cucmd.job.asked import Files
from rig.daemon import Daemon
from rig.jobs import SDL
from rig.lab import running_lab

SYSLOG = "syslog/CiscoSyslog*"


@pytest.mark.long
def test_some_paths_of_a_profile_and_others_beside_them(tmp_path: Path, daemon: Daemon) -> None:
    secret = tmp_path / "secret"
    with running_lab(1, "--ask-host-key") as lab, daemon.client() as client:
        secret.write_text(lab.password)
        secret.chmod(0o600)
        login = ("--user", lab.username, "--password-file", str(secret))
        chosen = ("--profile", "callmanager", "--only", "ccm/sdl,syslog", "--last", "1w")
        added = ("--path", "activelog", "/cm/trace/ris/sdi")
        done = daemon.ctl("start", *lab.nodes, *login, *chosen, "--wait", *added)
        assert done.returncode == 0, done.stderr
        job = client.status(done.stdout.strip())
        assert job.collection.profile == "callmanager"
        assert job.collection.paths == (SDL, SYSLOG, "cm/trace/ris/sdi")
        assert job.collection.location == "activelog"
        typed = [
            line.partition("file get ")[2]
            for line in "".join(client.transcript(job.job_id, lab.nodes[0])).splitlines()
            if "> file get" in line
        ]
        assert [line.split()[:2] for line in typed] == [
            ["activelog", path] for path in job.collection.paths
        ]
        shown = daemon.ctl("status", job.job_id).stdout
        assert f"paths {SDL}, {SYSLOG}, cm/trace/ris/sdi\n" in shown
        refused = daemon.ctl("start", *lab.nodes, *login, "--profile", "sip", "--only", "syslog")
        assert refused.returncode == 65
        assert refused.stderr.startswith("cucmctl: --only: 'syslog': ")
        assert client.list(limit=10)[0].job_id == job.job_id


@pytest.mark.long
def test_a_program_adds_paths(daemon: Daemon) -> None:
    with running_lab(1) as lab, daemon.client() as client:
        job = client.start(
            lab.nodes,
            Files(
                Collection(profile="sip"),
                only=("sdl",),
                added_paths=("activelog/syslog/messages*",),
            ),
            login=Login(lab.username, lab.password),
        )
        done = client.wait(job.job_id, timeout=60)
        assert done.status == "succeeded", done.nodes[0].error
        assert job.collection.paths == (SDL, "syslog/messages*")


def test_a_path_as_on_the_disk_of_a_node_and_one_that_no_shell_may_see(
    tmp_path: Path, daemon: Daemon
) -> None:
    secret = tmp_path / "secret"
    with running_lab(1) as lab, daemon.client() as client:
        secret.write_text(lab.password)
        secret.chmod(0o600)
        asked = (*lab.nodes, "--user", lab.username, "--password-file", str(secret), "--wait")
        done = daemon.ctl("start", *asked, "--path", f"/var/log/active/{SDL}")
        assert done.returncode == 0, done.stderr
        assert client.status(done.stdout.strip()).collection.paths == (SDL,)
        for path in ("a;reboot", "$(x)"):
            refused = daemon.ctl("start", *asked, "--path", path)
            assert (refused.returncode, refused.stdout) == (65, "")
            assert f"--path: {path!r}" in refused.stderr
        wrong = daemon.ctl("start", *asked, "--path", "cm/trace/ccm/nix")
        (hint,) = (line for line in wrong.stderr.splitlines() if line.startswith("  hint: "))
        assert "cm/trace/ccm/nix" not in hint
