"""Snapshots over real sockets: what nodes print after their last path, beside their files."""

import json
from pathlib import Path

import pytest

from cucmctl import Collection, Login
from cucmd.job.asked import Files
from cucmd.job.health import HealthCheck
from cucmd.vos import SNAPSHOT
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import SDL
from rig.lab import running_lab
from rig.quiet import wait_until

NAMES = [f"{number:03}-{line.replace(' ', '-')}.txt" for number, line in enumerate(SNAPSHOT, 1)]


@pytest.mark.long
def test_a_snapshot_is_kept_beside_the_files(daemon: Daemon) -> None:
    with running_lab(1) as lab, daemon.client() as client:
        login, what = Login(lab.username, lab.password), Collection(paths=(SDL,), last="2h")
        job = client.start(lab.nodes, Files(what, snapshot=True), login=login)
        job = client.wait(job.job_id, timeout=60)
        assert (job.status, job.nodes[0].notes, job.nodes[0].files_received > 0) == (
            "succeeded",
            (),
            True,
        )
        kept = [one for one in client.output(job.job_id) if one.ended]
        assert [one.command for one in kept if one.text.strip()] == list(SNAPSHOT)


@pytest.mark.long
def test_a_snapshot_is_in_the_job_in_its_export_and_not_in_its_coverage(
    tmp_path: Path, daemon: Daemon
) -> None:
    secret, out = tmp_path / "secret", tmp_path / "x"
    with running_lab(2, "--stamps") as lab, daemon.client() as client:
        secret.write_text(lab.password)
        secret.chmod(0o600)
        login = ("--user", lab.username, "--password-file", str(secret))
        what = ("--last", "2h", "--snapshot", "--wait", "--path", SDL)
        done = daemon.ctl("start", *lab.nodes, *login, *what)
        assert done.returncode == 0, done.stderr
        job = client.status(done.stdout.strip())
        assert (job.kind, job.commands) == ("collect", SNAPSHOT)
        assert [node.notes for node in job.nodes] == [(), ()]
        outputs = [one for one in client.output(job.job_id) if one.ended]
        assert [(one.node, one.command) for one in outputs] == [
            (node, line) for node in lab.nodes for line in SNAPSHOT
        ]
        assert all(one.complete and one.text.strip() for one in outputs)
        assert all(one.parsed is not None for one in outputs)
        shown = daemon.ctl("status", job.job_id).stdout
        assert all(f"runs {line}\n" in shown for line in SNAPSHOT)
        wait_until(lambda: client.status(job.job_id).nodes[0].coverage is not None)
        covered = [node.coverage or "" for node in client.status(job.job_id).nodes]
        assert not [one for one in covered if "no time stamps" in one or "show" in one], covered

    done = daemon.ctl("export", job.job_id, "--format", "dir", "-o", str(out))
    assert done.returncode == 0, done.stderr
    files = json.loads((out / "manifest.json").read_text())["files"]
    paths = [one["path"] for one in files if "/output/" in one["path"]]
    assert sorted(path.rpartition("/output/")[2] for path in paths) == sorted(NAMES * 2)
    assert all((out / path).read_text().strip() for path in paths)
    assert "Command:" in (out / "summary.txt").read_text()
    assert daemon.ctl("verify", job.job_id).returncode == 0


@pytest.mark.long
def test_a_snapshot_that_fails_is_a_note_of_a_node_that_succeeds(tmp_path: Path) -> None:
    with running_lab(2, "--fault", "1=question*2") as lab:
        config = CONFIG + named_credential(tmp_path / "given", "lab", lab.username, lab.password)
        config += f'[profiles.first]\npaths = ["{SDL}"]\nlast = "2h"\nsnapshot = true\n'
        with running_daemon(tmp_path / "cucmd", config) as daemon, daemon.client() as client:
            login, collection = Login(credential="lab"), Collection(profile="first")
            job = client.start(lab.nodes, login=login, work=collection)
            job = client.wait(job.job_id, timeout=120)
            assert job.status == "succeeded", [node.error for node in job.nodes]
            asked, healthy = job.nodes
            assert "Continue (y/n)?" in asked.notes[0]
            assert healthy.notes == ()
            assert len(list(client.output(job.job_id))) == 2 * len(SNAPSHOT)
            without = client.start(lab.nodes[1:], Files(collection, snapshot=False), login=login)
            client.wait(without.job_id, timeout=60)
            assert client.status(without.job_id).commands is None
            assert client.profiles("first")[0].snapshot is True


@pytest.mark.long
def test_a_snapshot_may_be_a_look_at_the_health_of_the_nodes(tmp_path: Path) -> None:
    with running_lab(2, "--fault", "2=service-stopped", "--fault", "2=other-version") as lab:
        config = CONFIG + named_credential(tmp_path / "given", "lab", lab.username, lab.password)
        config += f'[profiles.first]\npaths = ["{SDL}"]\nlast = "2h"\nsnapshot = "health"\n'
        with running_daemon(tmp_path / "cucmd", config) as daemon, daemon.client() as client:
            what = ("--profile", "first", "--credential", "lab")
            done = daemon.ctl("start", *lab.nodes, *what, "--snapshot", "--wait")
            assert done.returncode == 0, done.stderr
            assert "2 findings" in done.stderr
            job = client.status(done.stdout.strip())
            assert (job.kind, job.commands) == ("collect", HealthCheck().commands_kept)
            assert all(node.files_received and not node.notes for node in job.nodes)
            well, ill = ({one.state for one in node.health.findings} for node in job.nodes)
            assert (well, ill) == ({"good"}, {"good", "bad"})
            shown = daemon.ctl("status", job.job_id).stdout
            between = "others of its cluster"
            assert "services: " in shown
            assert between in shown
            out = tmp_path / "case"
            exported = daemon.ctl("export", job.job_id, "--format", "dir", "-o", str(out))
            assert exported.returncode == 0, exported.stderr
            summary = (out / "summary.txt").read_text()
            assert f"{lab.nodes[1]}: bad: services: " in summary
            assert between in summary
            nodes = json.loads((out / "manifest.json").read_text())["job"]["nodes"]
            assert all(node["result"]["findings"] for node in nodes)
            outputs = [one for one in client.output(job.job_id) if one.ended]
            run = {*HealthCheck().commands_kept} - {"utils ha status"}  # of IM and Presence alone
            assert {one.command for one in outputs} == run
            assert client.profiles("first")[0].health is True
            done = daemon.ctl("start", lab.nodes[0], *what, "--no-snapshot", "--wait")
            assert client.status(done.stdout.strip()).nodes[0].health is None
            assert daemon.ctl("retry", job.job_id).returncode == 65
