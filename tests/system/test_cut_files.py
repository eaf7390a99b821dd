"""Tests files that are cut while OpenSSH's `sftp` pushes them.

A file counts if and only if `gzip -t` accepts it.
"""

import gzip
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import Client
from cucmctl.export.save import save
from cucmctl.export.target import target
from cucmd.job.work_request import Login
from cucmd.protocol.jobs import Job
from rig.daemon import Daemon
from rig.inspection import check_files, manifest
from rig.jobs import node, start
from rig.openssh_node import OpenSshNode, needs_openssh, openssh_node
from rig.quiet import wait_until

pytestmark = needs_openssh

SDL = [f"SDL001_100_{number:06d}.txt.gz" for number in range(3)]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[OpenSshNode]:
    """Makes a node with traces, and with a log that is not compressed."""
    with openssh_node(tmp_path / "node", "127.3.1.1") as node:
        logs = node.root / "log"
        logs.mkdir()
        for number, name in enumerate(SDL):
            noise = random.Random(number).randbytes(300_000)
            (logs / name).write_bytes(gzip.compress(noise + b"a line\n" * 10_000))
        (logs / "messages").write_bytes(b"a line\n" * 50_000)
        yield node


def meanwhile(one: OpenSshNode, *commands: str) -> None:
    """Lets the node run commands between the sizes and the push."""
    Path(f"{one.root}.meanwhile").write_text("\n".join(commands) + "\n")


def job_of(client: Client, one: OpenSshNode, **options: bool) -> Job:
    return client.wait(
        start(client, one, [one.address], paths=["log"], last=None, **options).job_id
    )


def exported(client: Client, job: Job, folder: Path, *, incomplete: bool = False) -> set:
    """Exports the job; returns the names of the files that the node pushed."""
    with (
        client.export(job.job_id, incomplete=incomplete) as export,
        target(folder, "dir", force=False) as sink,
    ):
        save(export, sink)
    return {path.name for path in folder.glob("*_*/127.3.1.1/**/*") if path.is_file()}


def sound(path: Path) -> bool:
    return subprocess.run(["gzip", "-t", path], capture_output=True, check=False).returncode == 0


@pytest.mark.long
def test_cut_archive_is_retried(daemon: Daemon, one: OpenSshNode, tmp_path: Path) -> None:
    meanwhile(one, "truncate -s $(($(stat -c %s active_1.tgz) / 2)) active_1.tgz")
    with daemon.client() as client:
        job = job_of(client, one, compress=True)
        failed = node(job, 0)
        assert (failed.failure.code, failed.files_received) == ("transfer_incomplete", 0)
        assert "active_1.tgz ends before" in failed.failure.message
        (file,) = manifest(Path(job.directory))
        assert (file["complete"], sound(Path(job.directory, file["path"]))) == (False, False)
        (listed,) = client.files(job.job_id)
        assert (listed.complete, listed.exported) == (False, False)
        assert [reply for reply in client.verify(job.job_id) if reply.wrong] == []
        wait_until(lambda: client.status(job.job_id).closed)
        assert exported(client, job, tmp_path / "without") == set()
        assert exported(client, job, tmp_path / "with", incomplete=True) == {"active_1.tgz"}

        Path(f"{one.root}.meanwhile").unlink()
        client.retry(job.job_id, login=Login(one.username, one.password))
        job = client.wait(job.job_id)
        assert (job.status, node(job, 0).files_received) == ("succeeded", 1)
        wait_until(lambda: client.status(job.job_id).closed)  # the manifest is final then
        (file,) = (file for file in manifest(Path(job.directory)) if file["complete"])
        packed = Path(job.directory, file["path"])
        listing = subprocess.run(
            ["tar", "-tzf", packed], capture_output=True, text=True, check=True
        )
        assert set(listing.stdout.split()) == {f"log/{name}" for name in (*SDL, "messages")}
        check_files(Path(job.directory))


@pytest.mark.long
def test_archive_without_last_byte_fails(daemon: Daemon, one: OpenSshNode) -> None:
    meanwhile(one, "truncate -s -1 active_1.tgz")
    with daemon.client() as client:
        job = job_of(client, one, compress=True)
    assert node(job, 0).failure.code == "transfer_incomplete"
    assert [file["complete"] for file in manifest(Path(job.directory))] == [False]


@pytest.mark.long
def test_growing_log_hides_no_cut_trace(daemon: Daemon, one: OpenSshNode, tmp_path: Path) -> None:
    """More bytes come than the node announced. All files count but the cut one."""
    meanwhile(one, f"truncate -s -500 log/{SDL[1]}", "head -c 5000 /dev/zero >>log/messages")
    with daemon.client() as client:
        job = job_of(client, one)
        failed = node(job, 0)
        assert failed.failure.code == "transfer_incomplete"
        assert failed.bytes_received > failed.bytes_announced
        whole = {SDL[0], SDL[2], "messages"}
        files = manifest(Path(job.directory))
        assert {Path(file["path"]).name for file in files if file["complete"]} == whole
        assert len(files) == 4, "what is cut is kept"
        wait_until(lambda: client.status(job.job_id).closed)
        assert exported(client, job, tmp_path / "export") == whole
        check_files(Path(job.directory))
