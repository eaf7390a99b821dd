"""Kills the daemon or the client during an export.

After any kill no part of an export is at the target, and a second export is whole.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from cucmctl import Client
from cucmctl.export.save import Format
from rig.forked import Installation
from rig.inspection import check_database, digest
from rig.jobs import start
from rig.killed import KILLS, kill_after, kills, start_cucmctl, wait_closed
from rig.lab import Lab, running_lab
from rig.quiet import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(120 + 20 * KILLS),
    pytest.mark.usefixtures("forks"),
]
FORMATS: tuple[Format, ...] = ("zip", "tar", "dir")
# Programs that read a stream and say whether it is whole.
TESTS: dict[Format, list[str]] = {"tar": ["tar", "-tf"], "zip": ["unzip", "-tqq"]}
if not shutil.which("unzip"):  # `.ci/run` installs it
    del TESTS["zip"]
DOCUMENTS = {"summary.txt", "SHA256SUMS", "manifest.json"}
SIZE = 12_000_000  # bytes of each of the two files; an export takes some tenths of a second


@pytest.fixture(scope="module")
def large() -> Iterator[Lab]:
    with running_lab(1, "--files", "2", "--size", str(SIZE)) as lab:
        yield lab


class Exported:
    """Holds a closed job and a folder for its exports. An export takes `seconds`."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.installation = Installation(folder, lab)
        self.targets = folder / "targets"
        self.targets.mkdir()
        with self.installation.daemon(), Client(self.installation.socket) as client:
            job = wait_closed(client, start(client, lab, credential="lab").job_id)
            assert job.status == "succeeded", job.nodes
            self.job_id = job.job_id
            self.files = {
                f"{file.node.replace(':', '_')}/{file.path}": file.sha256
                for file in client.files(self.job_id)
            }
            began = time.monotonic()
            assert self.begin("zip").wait(60) == 0
            self.seconds = time.monotonic() - began
            self.job = client.status(self.job_id)
        self.remove_whole("zip")

    def begin(self, form: Format, *options: str) -> subprocess.Popen[bytes]:
        out = str(self.targets / f"out.{form}")
        arguments = ("export", self.job_id, "--format", form, "-o", out, *options)
        return start_cucmctl(self.installation, *arguments)

    def begin_on_standard_output(
        self, form: Format, out: IO[bytes], said: int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """Begins with Python's own checks, which show errors in a destructor."""
        python = [sys.executable, "-X", "dev", "-W", "error", "-m", "cucmctl"]
        arguments = ("export", self.job_id, "--format", form, "-o", "-")
        socket = str(self.installation.socket)
        command = [*python, "--socket", socket, *arguments]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=said)

    def left(self) -> set[str]:
        names = {path.name for path in self.targets.iterdir()}
        return {name for name in names if not name.startswith(".coverage.")}

    def remove_temporary(self) -> None:
        for path in self.targets.glob(".cucmctl-*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def remove_whole(self, form: Format) -> None:
        """Checks every file of the export, and removes it."""
        path = self.targets / f"out.{form}"
        found = {name: sha256 for name, sha256 in _content(path, form) if "transcripts" not in name}
        assert {name: found[name] for name in found.keys() - DOCUMENTS} == self.files
        assert found.keys() >= DOCUMENTS
        shutil.rmtree(path) if form == "dir" else path.unlink()

    def check_daemon(self, client: Client) -> None:
        """Asserts that the job is unchanged and whole, and that nobody holds it."""
        assert client.status(self.job_id) == self.job
        wait_until(lambda: client.prune(keep=0, dry_run=True).jobs != ())
        assert [one for reply in client.verify(self.job_id) for one in reply.wrong] == []


def _content(path: Path, form: Format) -> Iterator[tuple[str, str]]:
    if form == "zip":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, hashlib.sha256(archive.read(name)).hexdigest()
    elif form == "tar":
        with tarfile.open(path) as tar:
            for member in tar:
                yield member.name, hashlib.sha256(tar.extractfile(member).read()).hexdigest()
    else:
        for file in path.rglob("*"):
            if file.is_file():
                yield str(file.relative_to(path)), digest(file)


@pytest.fixture
def exported(tmp_path: Path, large: Lab) -> Exported:
    return Exported(tmp_path, large)


def test_killed_daemon_leaves_no_export(exported: Exported, dice: random.Random) -> None:
    codes: list[int] = []  # not 0: the export was cut off
    for _ in kills(lambda: any(codes)):
        form = dice.choice(FORMATS)
        with exported.installation.daemon() as daemon, Client(exported.installation.socket) as one:
            exported.check_daemon(one)
            began, client = time.monotonic(), exported.begin(form)
            end = dice.choice([daemon.kill, daemon.terminate])
            killer = threading.Timer(dice.random() * exported.seconds, end)
            killer.start()
            code = client.wait(60)
            if code == 0:  # the machine may have been busier before
                exported.seconds = time.monotonic() - began
            killer.join()
        check_database(exported.installation.state / "cucmd.db")
        assert code in (0, 69)
        if code == 0:
            exported.remove_whole(form)
        assert exported.left() == set()
        codes.append(code)
    with exported.installation.daemon(), Client(exported.installation.socket) as client:
        exported.check_daemon(client)
        for form in FORMATS:
            assert exported.begin(form).wait(60) == 0
            exported.remove_whole(form)


def test_cut_stream_does_not_look_whole(exported: Exported, dice: random.Random) -> None:
    """A kill of the daemon or Ctrl-C cuts the stream."""
    codes: list[int] = []
    out = exported.targets / "stream"
    for _ in kills(lambda: any(codes)):
        form = dice.choice(list(TESTS))
        with exported.installation.daemon() as daemon, out.open("wb") as file:
            client = exported.begin_on_standard_output(form, file)
            wait_until(lambda one=client: out.stat().st_size > 0 or one.poll() is not None)
            end = dice.choice([daemon.kill, partial(client.send_signal, signal.SIGINT)])
            # Most kills come early, some near the end.
            killer = threading.Timer(dice.random() ** 4 * exported.seconds, end)
            killer.start()
            _, said = client.communicate(timeout=60)
            killer.join()
        assert client.returncode in (0, 69, 130), said
        assert looks_whole(out, form) == (client.returncode == 0)
        assert b"Traceback" not in said
        assert b"ignored" not in said
        codes.append(client.returncode)


def looks_whole(out: Path, form: Format) -> bool:
    return subprocess.run([*TESTS[form], out], capture_output=True, check=False).returncode == 0


def test_killed_client_leaves_no_export(exported: Exported, dice: random.Random) -> None:
    with exported.installation.daemon() as daemon, Client(exported.installation.socket) as client:
        exported.check_daemon(client)
        descriptors = len(os.listdir(f"/proc/{daemon.pid}/fd"))
        for _ in range(KILLS):
            form = dice.choice(FORMATS)
            number = dice.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
            options = ["--force"] if dice.random() < 0.5 else []
            process = exported.begin(form, *options)
            kill_after(process, dice.random() * exported.seconds, number)
            if f"out.{form}" in exported.left():
                exported.remove_whole(form)
            if number == signal.SIGKILL:  # the client cannot remove its temporary files
                exported.remove_temporary()
            assert exported.left() == set()
            exported.check_daemon(client)
        wait_until(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) <= descriptors)
