"""Snapshots over real sockets: what nodes print after their last path, beside their files."""

import json
from pathlib import Path

import pytest

from cucmd.vos import SNAPSHOT
from rig.credentials import login_options
from rig.daemon import Daemon
from rig.jobs import SDL
from rig.lab import running_lab
from rig.quiet import wait_until

NAMES = [f"{number:03}-{line.replace(' ', '-')}.txt" for number, line in enumerate(SNAPSHOT, 1)]


@pytest.mark.long
def test_a_snapshot_is_in_the_job_in_its_export_and_not_in_its_coverage(
    tmp_path: Path, daemon: Daemon
) -> None:
    out = tmp_path / "x"
    with running_lab(2, "--stamps") as lab, daemon.client() as client:
        login = login_options(tmp_path, lab)
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
