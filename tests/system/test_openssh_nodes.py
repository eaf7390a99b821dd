"""Tests nodes of OpenSSH: sshd, a shell script for the dialogue, and OpenSSH's `sftp`.

The files are real. The tests compare what arrives with what the node has, byte by byte.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cucmd.job.work_request import Collection, Login
from rig.daemon import Daemon
from rig.inspection import manifest
from rig.jobs import node, start, statuses, until
from rig.openssh_node import (
    PAM,
    PAM_LOCKS_AFTER,
    RAW_TERMINAL,
    SCRIPT,
    OpenSshNode,
    needs_openssh,
)
from rig.parameters import more
from rig.quiet import assert_nothing_open, wait_until

pytestmark = needs_openssh

MB = 1_000_000
MakeNode = Callable[..., OpenSshNode]


def real_logs(root: Path) -> None:
    """Copies what this machine has below /var/log, and makes a file of more than 100 MB."""
    for source in Path("/var/log").rglob("*"):
        if source.is_file() and os.access(source, os.R_OK) and '"' not in source.name:
            target = root / "log" / source.relative_to("/var/log")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    piece = os.urandom(MB)
    with (root / "log" / "SDL001_100_000001.txt").open("wb") as large:
        for number in range(105):
            large.write(number.to_bytes(4, "big") + piece)


def endless(root: Path) -> None:
    """Makes a sparse file that is too large for any test to receive.

    The disk has room for it; otherwise the daemon would refuse the node before the first byte.
    """
    (root / "log").mkdir()
    with (root / "log" / "core.1").open("wb") as file:
        file.truncate(shutil.disk_usage(root).free // 3)


def digests(folder: Path) -> dict[str, str]:
    """Maps each path below the folder to the SHA-256 of its file."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[str(path.relative_to(folder))] = digest
    return found


def received(job_folder: Path, address: str) -> Path:
    """Finds the one <ip>/<timestamp>/ folder that the node made."""
    host, folder = address.split(":", maxsplit=1)[0], address.replace(":", "_")
    (stamp,) = (job_folder / folder / "files" / host).iterdir()
    return stamp


@pytest.mark.long
def test_cancel_spares_other_nodes(daemon: Daemon, make_node: MakeNode) -> None:
    nodes = [make_node(number) for number in (1, 2, 3)]
    for one in nodes[:2]:
        real_logs(one.root)
    endless(nodes[2].root)
    before = daemon.descriptors()
    with daemon.client() as client:
        addresses = [one.address for one in nodes]
        job = start(client, nodes[0], addresses, paths=["log"], last=None, recurs=True)
        until(client, job.job_id, lambda job: node(job, 2).bytes_received > 20 * MB)
        client.cancel(job.job_id, [nodes[2].address])
        job = client.wait(job.job_id, timeout=120)
    assert statuses(job) == ["succeeded", "succeeded", "cancelled"]
    assert job.status == "partial"

    folder = Path(job.directory)
    for one in nodes[:2]:
        assert digests(received(folder, one.address)) == digests(one.root)
    # The files of the cancelled node appear within the grace period.
    wait_until(lambda: any(file["node"] == nodes[2].address for file in manifest(folder)))
    for file in manifest(folder):
        if file["node"] != nodes[2].address:
            assert file["complete"]
            with (folder / file["path"]).open("rb") as stored:
                assert hashlib.file_digest(stored, "sha256").hexdigest() == file["sha256"]
    (cut,) = (file for file in manifest(folder) if file["node"] == nodes[2].address)
    assert not cut["complete"]
    assert (folder / cut["path"]).stat().st_size == cut["size"]
    wait_until(lambda: all(one.processes() == [] for one in nodes))
    assert_nothing_open(daemon, before)


def test_terminal_in_raw_mode(daemon: Daemon, make_node: MakeNode) -> None:
    """In raw mode only CR is Enter. The terminals of the other nodes turn CR into LF."""
    one = make_node(6, command=f"{RAW_TERMINAL} {SCRIPT}")
    (one.root / "log").mkdir()
    (one.root / "log" / "messages").write_text("a line\n" * 1000)
    with daemon.client() as client:
        job = start(client, one, [one.address], paths=["log"], connect=5, command=20)
        job = client.wait(job.job_id)
    assert statuses(job) == ["succeeded"], node(job, 0).failure
    assert digests(received(Path(job.directory), one.address)) == digests(one.root)
    transcript = Path(job.directory, one.address.replace(":", "_"), "transcript.log").read_text()
    assert re.search(
        r" > file get activelog log.*\n"
        r"\S+ < file get activelog log.*\n"
        r"\S+ < Please wait while the system is gathering files info",
        transcript,
    )
    assert re.search(r" > \*{5}\n\S+ < \*+\n\S+ < Download directory:", transcript)


@pytest.mark.long
def test_terminal_that_wraps_lines(daemon: Daemon, make_node: MakeNode) -> None:
    """In a wrapped part of the echo the pattern looks like a question."""
    one = make_node(9, command=f"NODE_EDITS=1 {SCRIPT}")
    folder = one.root.joinpath("log", *("trace" * 30 for _ in range(3)))
    folder.mkdir(parents=True)
    (folder / "messages").write_text("a line\n" * 1000)
    within = datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp()
    os.utime(folder / "messages", (within, within))
    path, match = str(folder.relative_to(one.root)), f"(y/n):|{'x' * 500}"
    with daemon.client() as client:
        window = Collection(
            paths=(path,), since="2026-01-02T03:04:05Z", until="2026-01-03T00:00:00Z", match=match
        )
        login = Login(one.username, one.password)
        job = client.wait(client.start([one.address], login=login, work=window).job_id)
    assert statuses(job) == ["succeeded"], node(job, 0).failure
    assert digests(received(Path(job.directory), one.address)) == digests(one.root)
    transcript = Path(job.directory, one.address.replace(":", "_"), "transcript.log").read_text()
    assert re.search(
        rf" < .*file get activelog {path} abstime .{{29}} match {re.escape(match)}\n", transcript
    )
    assert transcript.count(" > y\n") == 1


@pytest.mark.long
@pytest.mark.parametrize("ending", ["cancel", "command timeout"])
def test_ctrl_c_ends_process_on_node(daemon: Daemon, make_node: MakeNode, ending: str) -> None:
    one = make_node(4)
    endless(one.root)
    with daemon.client() as client:
        if ending == "cancel":
            job = start(client, one, [one.address], paths=["log"], last=None)
            until(client, job.job_id, lambda job: node(job, 0).bytes_received > 0)
            assert any("sftp" in process for process in one.processes())
            client.cancel(job.job_id)
        else:
            os.mkfifo(f"{one.root}.busy")
            job = start(client, one, [one.address], paths=["log"], connect=2, command=3)
            wait_until(lambda: any("cat " in process for process in one.processes()))
            assert node(client.wait(job.job_id), 0).failure.code == "command_timeout"
        wait_until(lambda: one.processes() == [], within=5)
        # Waits until the session has ended and its last lines are on the disk.
        transcript = "".join(client.transcript(job.job_id, one.address, follow=True))
    # The last output of the node may come after the daemon's last line.
    assert "> quit\n" in transcript.partition("> ^C\n")[2]
    assert one.password not in transcript


@pytest.mark.long
@pytest.mark.parametrize(
    "settings",
    [
        PAM,
        *more(
            PAM.replace("KbdInteractiveAuthentication yes", "KbdInteractiveAuthentication no"),
            PAM.replace("PasswordAuthentication yes", "PasswordAuthentication no"),
        ),
    ],
    ids=["both methods", "password alone", "keyboard-interactive alone"],
)
def test_wrong_password_is_tried_once(daemon: Daemon, make_node: MakeNode, settings: str) -> None:
    """PAM counts the attempts, and locks the account at the third."""
    one = make_node(7, settings=settings)
    with daemon.client() as client:
        for attempt in range(1, PAM_LOCKS_AFTER):
            job = start(client, one, [one.address], paths=["log"], password="Not-This-One")
            assert node(client.wait(job.job_id), 0).failure.code == "auth_failed"
            assert one.refused_logins() == attempt
        job = client.wait(start(client, one, [one.address], paths=["log"]).job_id)
    assert node(job, 0).failure.code == "no_files_matched"
    assert one.refused_logins() == 0, "the account was never locked"


@pytest.mark.long
def test_chained_authentication_methods(daemon: Daemon, make_node: MakeNode) -> None:
    """The node accepts the password, but its answer to the first method looks like a refusal."""
    chain = "AuthenticationMethods password,keyboard-interactive\n"
    one = make_node(8, settings=PAM + chain)
    with daemon.client() as client:
        job = client.wait(start(client, one, [one.address], paths=["log"]).job_id)
    assert node(job, 0).failure.code == "no_files_matched"
