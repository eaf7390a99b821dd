"""Tests exports: what is in them, what is left out, and where they continue."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from cucmctl import DaemonUnavailable, InvalidRequest
from cucmctl.export.received import Export
from cucmctl.export.save import Format, save
from cucmctl.export.target import target
from rig.collected import JOB_ID
from rig.daemon import CONFIG, running_daemon
from rig.exported import LARGE, SMALL, Case, make_job, running_case
from rig.quiet import wait_until

FORMATS: dict[Format, str] = {"zip": ".zip", "tar": ".tar", "tgz": ".tar.gz", "dir": ""}
ODD = {
    "empty": 0,
    "of a block": 512,
    "large": LARGE,
    "folder/" * 30 + "long": 700,
    "x\\y\nz": 1,
    "größe": 5,
    "\udcff": 6,
    "..\\..\\up": 7,
    "sdl/Case.txt": 8,
    "sdl/case.txt": 9,
    "nul.txt": 10,
    "larger": LARGE + 1,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with running_case(tmp_path_factory.mktemp("files"), ODD | SMALL) as case:
        yield case


@pytest.fixture
def case(whole: Case) -> Iterator[Case]:
    """Checks after the test that nobody holds the job and no process reads it."""
    yield whole
    wait_until(lambda: not whole.in_use())
    assert whole.exporting() == []


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Case]:
    """Makes a job that the test may change."""
    with running_case(tmp_path, SMALL) as case:
        yield case


RENAMED = {
    "x\\y\nz": "x%5Cy%0Az",
    "\\xff": "%FF",
    "..\\..\\up": "..%5C..%5Cup",
    "sdl/Case.txt": "sdl/%43ase.txt",
    "nul.txt": "%6Eul.txt",
}


@pytest.mark.parametrize("form", FORMATS)
def test_exported_names_are_portable(case: Case, tmp_path: Path, form: Format) -> None:
    path = tmp_path / f"x{FORMATS[form]}"
    done = case.daemon.ctl("export", JOB_ID, "--format", form, "-o", path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    unpack(path, out)
    there = {str(file.relative_to(out / "a")) for file in (out / "a").rglob("*") if file.is_file()}
    kept = (ODD.keys() | SMALL.keys()) - RENAMED.keys() - {"\udcff"}
    assert there == kept | set(RENAMED.values())
    check = ["sha256sum", "-c", "--quiet", "--strict", "SHA256SUMS"]
    subprocess.run(check, cwd=out, check=True, capture_output=True)
    summary = (out / "summary.txt").read_text()
    files = json.loads((out / "manifest.json").read_text())["files"]
    for given, name in RENAMED.items():
        assert f"  {f'a/{given}'!r} is a/{name}\n" in summary
    assert {file["path"]: file["exported_as"] for file in files if "exported_as" in file} == {
        f"a/{given}": f"a/{name}" for given, name in RENAMED.items()
    }


def unpack(path: Path, out: Path) -> None:
    if path.is_dir():
        path.rename(out)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(out)
    else:
        with tarfile.open(path) as tar:
            tar.extractall(out, filter="data")


@pytest.mark.long
def test_verify_names_damaged_files(own: Case) -> None:
    changed, shorter, gone, fifo, *_ = sorted((own.folder / "a/files/small").iterdir())[1:]
    changed.write_bytes(bytes(changed.stat().st_size))
    shorter.write_bytes(b"")
    gone.unlink()
    with own.daemon.client() as client:
        theirs = [file for reply in client.verify(JOB_ID) for file in reply.wrong]
    fifo.unlink()
    os.mkfifo(fifo)
    done = own.daemon.ctl("--json", "verify", JOB_ID)
    assert done.returncode == 1
    wrong = [json.loads(line) for line in done.stdout.splitlines()]
    assert wrong[:-1] == [structs.asdict(file) for file in theirs]
    assert wrong[-1]["reason"] == "is no regular file"
    shutil.rmtree(own.folder)
    assert len(own.daemon.ctl("verify", JOB_ID).stdout.splitlines()) == len(SMALL)


def overwritten(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def test_export_leaves_out_damaged_file(own: Case, tmp_path: Path) -> None:
    """The client finds the damage while it reads, and exports once more."""
    overwritten(own.folder / "a/files/small/0003")
    done = own.daemon.ctl("export", JOB_ID, "-o", tmp_path / "x.zip")
    assert done.returncode == 3
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert "a/small/0003" not in archive.namelist()
        assert "a: small/0003 has another checksum" in archive.read("summary.txt").decode()


@pytest.mark.long
def test_export_continues_after_file(case: Case) -> None:
    with case.daemon.client() as client:
        with client.export(JOB_ID) as export:
            whole = read_all(export)
        with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
            members = tar.getmembers()
        for member, behind in zip(members[::200], members[1::200], strict=False):
            with client.export(JOB_ID, after=member.name) as export:
                assert read_all(export) == whole[-export.reply.length :]
                begins = export.reply.length - (len(whole) - behind.offset)
                assert begins in (0, 1024)  # a long name has an additional header
        with pytest.raises(InvalidRequest) as refused:
            client.export(JOB_ID, after="a/no such file")
        assert refused.value.parameters.parameter == "after"


def read_all(export: Export) -> bytes:
    return b"".join(iter(lambda: export.read(1 << 20), b""))


@pytest.mark.long
def test_vanished_file_is_remembered(tmp_path: Path) -> None:
    with (
        running_case(tmp_path, {"large": LARGE, "second": LARGE}) as own,
        own.daemon.client() as client,
    ):
        with client.export(JOB_ID) as export:
            (own.folder / "a/files/second").unlink()
            cut_off = target(tmp_path / "x", "dir", force=False)
            with pytest.raises(DaemonUnavailable), cut_off as sink:
                save(export, sink)
        assert not (tmp_path / "x").exists()
        wait_until(lambda: "was cut off" in own.daemon.log.read_text())
        with client.export(JOB_ID) as export:
            assert [file.path for file in export.reply.wrong] == ["second"]


@pytest.mark.long
def test_killed_process_cuts_export_off(tmp_path: Path) -> None:
    with (
        running_case(tmp_path, {"large": 10 * LARGE}) as own,
        own.daemon.client() as client,
        client.export(JOB_ID) as export,
    ):
        export.read(1)
        (pid,) = own.exporting()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(DaemonUnavailable):
            read_all(export)
        wait_until(lambda: not own.in_use())


SPEAKS = f"""
[access]
view_reads_files = true
may_speak_for = ["{os.getuid()}"]
"""


@pytest.mark.long
def test_delete_ends_export_of_viewer(tmp_path: Path) -> None:
    make_job(tmp_path / "cucmd/state", {"large": 10 * LARGE})
    parameters = {"job_id": JOB_ID, "on_behalf_of": {"name": "carol", "role": "view"}}
    call = {"method": "io.cucmd.Jobs.Export", "parameters": parameters, "upgrade": True}
    with (
        running_daemon(tmp_path / "cucmd", CONFIG + SPEAKS) as daemon,
        daemon.client() as client,
        socket.socket(socket.AF_UNIX) as peer,
    ):
        peer.settimeout(30)
        peer.connect(str(daemon.socket))
        peer.sendall(json.dumps(call).encode() + b"\0")
        assert peer.recv(1) == b"{"
        assert client.delete(JOB_ID).job.job_id == JOB_ID
        while peer.recv(1 << 20):
            pass
