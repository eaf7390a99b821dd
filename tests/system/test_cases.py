"""Tests what a user who has nothing but the socket can do with a case."""

import hashlib
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cucmctl import JobBusy
from cucmd.protocol.cases import File
from cucmd.protocol.jobs import Job
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import in_phase, start, until
from rig.lab import Lab, running_lab

NODES = 2
DOCUMENTS = {"summary.txt", "SHA256SUMS", "manifest.json"}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(NODES, "--fault", "2=silent-return:command") as lab:
        yield lab


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running_daemon(tmp_path_factory.mktemp("cases") / "cucmd", CONFIG) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def job(lab: Lab, daemon: Daemon) -> Job:
    """Runs a job of which one node succeeds and one fails."""
    with daemon.client() as client:
        job = client.wait(start(client, lab).job_id)
    assert job.status == "partial"
    return job


@pytest.fixture
def files(daemon: Daemon, job: Job) -> list[File]:
    with daemon.client() as client:
        return list(client.files(job.job_id))


def on_disk(daemon: Daemon, job: Job) -> dict[str, Path]:
    """Maps the name in an export to the path, for every file that a node pushed."""
    directory = daemon.state / "jobs" / job.job_id
    return {
        str(path.relative_to(directory)).replace("/files/", "/", 1): path
        for path in directory.glob("*/files/**/*")
        if path.is_file()
    }


def named(file: File) -> str:
    return f"{file.node.replace(':', '_')}/{file.path}"


def left_in(folder: Path) -> set[str]:
    """Lists what a client has left in a folder, without the coverage data of its own process."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".coverage.")}


def test_listed_files_match_disk(daemon: Daemon, job: Job, files: list[File]) -> None:
    there = on_disk(daemon, job)
    assert {named(file): file.size for file in files} == {
        name: path.stat().st_size for name, path in there.items()
    }
    for file in files:
        assert file.sha256 == hashlib.sha256(there[named(file)].read_bytes()).hexdigest()
        assert (file.complete, file.exported, file.attempt) == (True, True, 1)


def test_time_stamps_are_exported(
    daemon: Daemon, job: Job, files: list[File], tmp_path: Path
) -> None:
    """The lab sets the times as OpenSSH's `sftp -p` does. Traces are older than the job."""
    stamps = {named(file): file.modified for file in files}
    assert stamps
    for name in on_disk(daemon, job):
        stamp = stamps[name]
        assert stamp is not None
        assert stamp < job.created_at
    shown = daemon.ctl("files", job.job_id).stdout
    for stamp in stamps.values():
        assert stamp.astimezone().strftime("%Y-%m-%d %H:%M:%S") in shown
    exported(daemon, job, tmp_path, "-o", "stamps.tar")
    with tarfile.open(tmp_path / "stamps.tar") as tar:
        assert {
            name: datetime.fromtimestamp(tar.getmember(name).mtime, UTC) for name in stamps
        } == stamps
    exported(daemon, job, tmp_path, "-o", "stamps.zip")
    with zipfile.ZipFile(tmp_path / "stamps.zip") as archive:
        for name, stamp in stamps.items():  # a zip has even seconds and no time zone
            at = datetime(*archive.getinfo(name).date_time, tzinfo=UTC)
            assert timedelta() <= stamp - at < timedelta(seconds=2)


def exported(daemon: Daemon, job: Job, folder: Path, *options: str) -> str:
    done = daemon.ctl("export", job.job_id, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def expected_names(daemon: Daemon, job: Job) -> set[str]:
    folders = [node.node.replace(":", "_") for node in job.nodes]
    transcripts = {f"transcripts/{folder}.log" for folder in folders}
    return DOCUMENTS | transcripts | set(on_disk(daemon, job))


def test_zip_has_everything(daemon: Daemon, job: Job, tmp_path: Path) -> None:
    path = tmp_path / exported(daemon, job, tmp_path)
    assert path.name == f"cucmd-{job.job_id}.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == expected_names(daemon, job)
        for name, file in on_disk(daemon, job).items():
            assert archive.read(name) == file.read_bytes()
    if unzip := shutil.which("unzip"):  # `.ci/run` installs it
        subprocess.run([unzip, "-qt", path], check=True)


BEGINS = {"zip": b"PK", "tar": b"summary.txt", "tgz": b"\x1f\x8b"}


@pytest.mark.parametrize(
    ("options", "made", "form"),
    [
        ("-o x.zip", "x.zip", "zip"),
        ("-o x.TAR", "x.TAR", "tar"),
        ("-o x.tgz", "x.tgz", "tgz"),
        ("-o x.tar.gz --format tgz", "x.tar.gz", "tgz"),
        ("-o case-698.1", "case-698.1.zip", "zip"),
        ("-o case --format tgz", "case.tgz", "tgz"),
        ("-o case/", "case", "dir"),
    ],
)
def test_name_decides_format(
    daemon: Daemon, job: Job, tmp_path: Path, options: str, made: str, form: str
) -> None:
    done = daemon.ctl("export", job.job_id, *options.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout, left_in(tmp_path)) == (0, f"{made}\n", {made})
    assert ("writing to" in done.stderr) == (made != options.split()[1] and form != "dir")
    if form == "dir":
        assert (tmp_path / made / "summary.txt").is_file()
    else:
        assert (tmp_path / made).read_bytes().startswith(BEGINS[form])
    if form == "tgz":
        with tarfile.open(tmp_path / made) as tar:
            assert set(tar.getnames()) == expected_names(daemon, job)


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_closed_reader_is_no_error(daemon: Daemon, job: Job, form: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = daemon.ctl(
            *("export", job.job_id, "--format", form, "-o", "-"),
            stdout=writer,
            stderr=subprocess.PIPE,
            capture_output=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.long
def test_running_job_is_not_exported(lab: Lab, daemon: Daemon, tmp_path: Path) -> None:
    with running_lab(1, "--fault", "hang:command") as slow, daemon.client() as client:
        job_id = start(client, slow).job_id
        until(client, job_id, in_phase("command"))
        for verb in ("export", "verify"):
            assert daemon.ctl(verb, job_id, cwd=tmp_path).returncode == 75
        with pytest.raises(JobBusy):
            client.export(job_id)
        follow = client.transcript(job_id, slow.nodes[0], follow=True)
        text = next(follow)
        client.cancel(job_id)
        text += "".join(follow)
        path = daemon.state / "jobs" / job_id / slow.nodes[0].replace(":", "_") / "transcript.log"
        assert text == path.read_text()
        with client.export(job_id) as export:
            assert export.reply.files == 0
