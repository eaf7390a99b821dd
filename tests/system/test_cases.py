"""What was collected, in the hands of a user who has nothing but the socket."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cucmctl import Client, JobBusy
from cucmd.protocol.cases import File
from cucmd.protocol.jobs import Job, JobSummary, ListReply
from cucmd.protocol.requests import ListRequest
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
    """One node has succeeded, one has failed."""
    with daemon.client() as client:
        job = client.wait(start(client, lab).job_id)
    assert job.status == "partial"
    return job


@pytest.fixture
def files(daemon: Daemon, job: Job) -> list[File]:
    with daemon.client() as client:
        return list(client.files(job.job_id))


def on_disk(daemon: Daemon, job: Job) -> dict[str, Path]:
    """Name in an export -> path, of every file that a node pushed."""
    directory = daemon.state / "jobs" / job.job_id
    return {
        str(path.relative_to(directory)).replace("/files/", "/", 1): path
        for path in directory.glob("*/files/**/*")
        if path.is_file()
    }


def named(file: File) -> str:
    return f"{file.node.replace(':', '_')}/{file.path}"


def left_in(folder: Path) -> set[str]:
    """Lists what a client has left there, but for the coverage that it measured of itself."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".coverage.")}


def test_files_are_those_on_disk(daemon: Daemon, job: Job, files: list[File]) -> None:
    there = on_disk(daemon, job)
    assert {named(file): file.size for file in files} == {
        name: path.stat().st_size for name, path in there.items()
    }
    for file in files:
        assert file.sha256 == hashlib.sha256(there[named(file)].read_bytes()).hexdigest()
        assert (file.complete, file.exported, file.attempt) == (True, True, 1)


def test_files_in_json_are_a_line_each(daemon: Daemon, job: Job) -> None:
    done = daemon.ctl("--json", "files", job.job_id, "--node", job.nodes[0].node)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["node"] for line in lines} == {job.nodes[0].node}
    assert len(lines) == job.nodes[0].files_received


def test_the_time_stamp_of_a_node_is_shown_and_exported(
    daemon: Daemon, job: Job, files: list[File], tmp_path: Path
) -> None:
    """The lab sets it as OpenSSH's `sftp -p` does. Traces are older than their collection."""
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
        for name, stamp in stamps.items():  # a zip has even seconds, of no zone
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


def test_a_zip_has_everything(daemon: Daemon, job: Job, tmp_path: Path) -> None:
    path = tmp_path / exported(daemon, job, tmp_path)
    assert path.name == f"cucmd-{job.job_id}.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == expected_names(daemon, job)
        for name, file in on_disk(daemon, job).items():
            assert archive.read(name) == file.read_bytes()
    if unzip := shutil.which("unzip"):  # `.ci/run` has it
        subprocess.run([unzip, "-qt", path], check=True)


def test_an_export_is_named_after_its_case(daemon: Daemon, job: Job, tmp_path: Path) -> None:
    with daemon.client() as client:
        client.label(job.job_id, {"case": "698123456"})
    try:
        assert exported(daemon, job, tmp_path) == "case-698123456.zip"
        assert daemon.ctl("export", job.job_id, cwd=tmp_path).returncode == 2  # it is there
    finally:
        with daemon.client() as client:
            client.label(job.job_id, {"case": ""})


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
def test_the_name_says_the_format(
    daemon: Daemon, job: Job, tmp_path: Path, options: str, made: str, form: str
) -> None:
    done = daemon.ctl("export", job.job_id, *options.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout, left_in(tmp_path)) == (0, f"{made}\n", {made})
    assert ("says no format" in done.stderr) == (made != options.split()[1] and form != "dir")
    if form == "dir":
        assert (tmp_path / made / "summary.txt").is_file()
    else:
        assert (tmp_path / made).read_bytes().startswith(BEGINS[form])
    if form == "tgz":
        with tarfile.open(tmp_path / made) as tar:
            assert set(tar.getnames()) == expected_names(daemon, job)


@pytest.mark.parametrize(
    "options", ["-o x.tgz --format zip", "-o x.tar.gz --format tar", "-o x/ --format zip"]
)
def test_a_name_and_a_format_that_differ_are_refused(
    daemon: Daemon, job: Job, tmp_path: Path, options: str
) -> None:
    done = daemon.ctl("export", job.job_id, *options.split(), cwd=tmp_path)
    assert (done.returncode, left_in(tmp_path)) == (2, set())
    assert "--format" in done.stderr


@pytest.mark.long
def test_a_tar_on_standard_output_is_read_by_tar(daemon: Daemon, job: Job) -> None:
    done = daemon.ctl("export", job.job_id, "-o", "-", text=False)
    assert done.returncode == 0
    listed = subprocess.run(["tar", "-t"], input=done.stdout, capture_output=True, check=True)
    assert set(listed.stdout.decode().splitlines()) == expected_names(daemon, job)
    with daemon.client() as client, client.export(job.job_id) as export:
        assert export.reply.length == len(done.stdout)


def test_a_folder_passes_its_checksums(daemon: Daemon, job: Job, tmp_path: Path) -> None:
    exported(daemon, job, tmp_path, "--format", "dir", "-o", "case")
    folder = tmp_path / "case"
    checked = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert checked.stdout.count(": OK") == len(on_disk(daemon, job))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {file["path"] for file in manifest["files"]} == set(on_disk(daemon, job))
    assert [node["status"] for node in manifest["job"]["nodes"]] == ["succeeded", "failed"]
    summary = (folder / "summary.txt").read_text()
    for node in job.nodes:
        assert node.node in summary
    assert job.nodes[1].failure.code in summary


@pytest.mark.long
def test_an_existing_target_is_replaced_by_force_only(
    daemon: Daemon, job: Job, tmp_path: Path
) -> None:
    for name, form in (("x.zip", "zip"), ("x.tar", "tar"), ("x", "dir")):
        target = tmp_path / name
        target.write_text("mine")
        done = daemon.ctl("export", job.job_id, "--format", form, "-o", name, cwd=tmp_path)
        assert (done.returncode, target.read_text()) == (2, "mine")
        exported(daemon, job, tmp_path, "--format", form, "-o", name, "--force")
        assert target.is_dir() or target.read_bytes()[:4] != b"mine"
    assert left_in(tmp_path) == {"x.zip", "x.tar", "x"}


@pytest.mark.long
def test_a_full_disk_leaves_nothing(daemon: Daemon, job: Job, tmp_path: Path) -> None:
    for form in ("zip", "tar", "dir"):
        command = f"ulimit -f 100; exec {' '.join(_ctl(daemon))} export {job.job_id}"
        done = subprocess.run(
            ["bash", "-c", f"trap '' XFSZ; {command} --format {form} -o out"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 74, done.stderr
        assert left_in(tmp_path) == set()


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_a_reader_that_closes_is_no_error(daemon: Daemon, job: Job, form: str) -> None:
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


def test_a_standard_output_that_is_closed_is_reported(daemon: Daemon, job: Job) -> None:
    command = f"{' '.join(_ctl(daemon))} export {job.job_id} -o - >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 74
    assert "standard output" in done.stderr


def _ctl(daemon: Daemon) -> list[str]:
    return [sys.executable, "-m", "cucmctl", "--socket", str(daemon.socket)]


@pytest.mark.long
def test_a_job_that_runs_is_not_exported(lab: Lab, daemon: Daemon, tmp_path: Path) -> None:
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


def test_a_transcript_is_that_on_disk_with_escapes_made_visible(daemon: Daemon, job: Job) -> None:
    node = job.nodes[0].node
    path = daemon.state / "jobs" / job.job_id / node.replace(":", "_") / "transcript.log"
    done = daemon.ctl("transcript", job.job_id, node)
    assert len(done.stdout.splitlines()) == len(path.read_text().split("\n")) - 1
    assert "\x1b" not in done.stdout
    assert daemon.ctl("transcript", job.job_id, "nobody").returncode == 5


def test_a_node_is_named_without_its_port_where_one_alone_has_the_host(
    daemon: Daemon, job: Job, tmp_path: Path
) -> None:
    name = job.nodes[0].node
    host = name.partition(":")[0]
    whole = daemon.ctl("transcript", job.job_id, name).stdout
    assert daemon.ctl("transcript", job.job_id, host).stdout == whole
    listed = daemon.ctl("--json", "files", job.job_id, "--node", host).stdout.splitlines()
    assert {json.loads(line)["node"] for line in listed} == {name}
    exported(daemon, job, tmp_path, "--node", host, "-o", "one.tar")
    folder = name.replace(":", "_")
    own = {path for path in on_disk(daemon, job) if path.startswith(folder)}
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert set(tar.getnames()) == DOCUMENTS | {f"transcripts/{folder}.log"} | own
    assert name in daemon.ctl("cancel", job.job_id, host).stdout
    assert daemon.ctl("retry", job.job_id, host).returncode == 65, "it has succeeded"
    assert daemon.ctl("verify", job.job_id, "--node", "127.9.9.9").returncode == 5


@pytest.fixture
def damaged(lab: Lab, daemon: Daemon) -> tuple[Job, dict[str, str]]:
    """A job, and of its files those that are damaged: name -> what is wrong. The daemon remembers
    those of a job that was exported.
    """
    with daemon.client() as client:
        job = client.wait(start(client, lab, lab.nodes[:1]).job_id)
    changed, last, shorter, gone, *_ = sorted(on_disk(daemon, job).items(), reverse=True)
    for _, path in (changed, last):
        path.write_bytes(os.urandom(path.stat().st_size))
    shorter[1].write_bytes(b"short")
    gone[1].unlink()
    wrong = dict.fromkeys((changed[0], last[0]), "has another checksum")
    wrong[shorter[0]] = "has 5 bytes, 200000 were received"
    return job, {**wrong, gone[0]: "is gone"}


@pytest.mark.parametrize("form", ["zip", "tgz", "dir"])
def test_damaged_files_are_left_out_and_named(
    daemon: Daemon, damaged: tuple[Job, dict[str, str]], tmp_path: Path, form: str
) -> None:
    job, wrong = damaged
    name = job.nodes[0].node.replace(":", "_")
    done = daemon.ctl("--json", "export", job.job_id, "--format", form, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    reply = json.loads(done.stdout)
    assert reply["damaged"] == len(wrong)
    assert {f"{name}/{file['path']}": file["reason"] for file in reply["wrong"]} == wrong
    found = read_all(Path(reply["path"]))
    sums = [line.split("  ") for line in found["SHA256SUMS"].decode().splitlines()]
    assert {name: hashlib.sha256(found[name]).hexdigest() for _, name in sums} == {
        name: checksum for checksum, name in sums
    }
    there = {n for n in found if n.startswith(name)}
    listed = {file["path"] for file in json.loads(found["manifest.json"])["files"]}
    assert there == listed == {name for _, name in sums}
    assert not there & set(wrong)
    for path, reason in wrong.items():
        assert f"{path.removeprefix(f'{name}/')} {reason}" in found["summary.txt"].decode()
        assert f"{path.removeprefix(f'{name}/')} {reason}" in done.stderr


def test_what_is_damaged_on_standard_output_does_not_pass_for_whole(
    daemon: Daemon, damaged: tuple[Job, dict[str, str]], tmp_path: Path
) -> None:
    """What was written stays; which files it is, is said of all of them."""
    job, wrong = damaged
    done = daemon.ctl("export", job.job_id, "-o", "-", text=False)
    assert done.returncode == 74
    for name, reason in wrong.items():
        assert (name in done.stderr.decode()) == (reason == "has another checksum")
    assert subprocess.run(
        ["tar", "-t"], input=done.stdout, capture_output=True, check=False
    ).returncode


def read_all(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        return {str(file.relative_to(path)): file.read_bytes() for file in files}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_jobs_are_found_by_label_target_and_age(lab: Lab, daemon: Daemon) -> None:
    with daemon.client() as client:
        job = client.wait(start(client, lab, lab.nodes[:1]).job_id)
        client.label(job.job_id, {"case": "698123456", "site": "bern"})
        found = _listed(client, labels={"case": "698123456"})
        assert [one.job_id for one in found] == [job.job_id]
        assert found[0].labels == {"case": "698123456", "site": "bern"}
        assert found[0].owner == os.getuid()
        assert _listed(client, labels={"case": "1"}) == ()
        assert job.job_id in {one.job_id for one in _listed(client, target=lab.nodes[0])}
        assert _listed(client, target="nobody") == ()
        assert _listed(client, since="2099-01-01T00:00:00Z") == ()
        older = client.call("List", ListRequest(limit=1), ListReply).older
        assert older == len(_listed(client, limit=1000)) - 1


def _listed(client: Client, **fields: object) -> tuple[JobSummary, ...]:
    return client.call("List", ListRequest(**fields), ListReply).jobs
