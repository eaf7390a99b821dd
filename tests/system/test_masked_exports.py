"""Exports a job with masks, from a real daemon."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl.cli import exits
from cucmd.job.discover import Discover, Found, Member
from cucmd.job.node import Node
from rig.collected import JOB_ID, record
from rig.exported import Case, running_case
from rig.quiet import wait_until
from rig.small_disk import small_disk

LINE = b'From: "Miller, Mary" <sip:9110001@10.20.30.5>;tag=38ed18552a12296c00ff41e8-5fb7856e\n'
# Nothing marks these names and addresses. The daemon knows them from a discovery.
MEMBERS = (
    Member("10.20.30.5", "10.20.30.5", "pub7", "Publisher", "callmanager", "pub7.acme.example"),
    Member("10.20.30.66", "10.20.30.66", "imp-x", "Subscriber", "cups", "imp-x.acme.example"),
)
UNMARKED = (
    b"talked to imp-x about pub7, not to implant or pub77; 421e140a, 10.20.30.66\n"
    b"IMP-X: a user said acme\n"
)
LARGE = (LINE + UNMARKED) * 60_000


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    discovered = tmp_path / "cucmd/state"
    (discovered / "jobs/123456789abc").mkdir(parents=True)
    nodes = (Node("10.20.30.5", result=Found(MEMBERS)),)
    record(discovered, [], "123456789abc", nodes=nodes, work=Discover())
    files = {"sdl/SDL1.txt": LINE, "sdl/SDL2.txt": UNMARKED, "core": b"\0" + LINE}
    with running_case(tmp_path, files) as case:
        yield case


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    out = tmp_path / "out"
    out.mkdir()
    return out


def files_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_masked_export_has_no_original(case: Case, out: Path) -> None:
    with case.daemon.client() as client:
        client.label(JOB_ID, {"customer": "ACME"})
    done = case.daemon.ctl("export", JOB_ID, "--mask", "-o", str(out / "x.zip"))
    assert done.returncode == 3, done.stderr  # `core` cannot be masked
    assert [path.name for path in out.iterdir()] == ["x.zip"]
    files = files_of(out / "x.zip")
    assert {"a/sdl/SDL1.txt", "manifest.json", "summary.txt", "MASKED.txt"} <= files.keys()
    assert "a/core" not in files
    for original in (b"Miller", b"9110001", b"10.20.30.5", b"38ed18552a12", b"ACME"):
        assert [name for name, data in files.items() if original in data] == []
    assert files["a/sdl/SDL1.txt"].count(b"\n") == 1


def test_nodes_of_known_clusters_are_masked(case: Case, out: Path) -> None:
    case.daemon.ctl("export", JOB_ID, "--mask", "-o", str(out / "x.zip"))
    masked = files_of(out / "x.zip")["a/sdl/SDL2.txt"].decode()
    before = UNMARKED.decode()
    changed = [a for a, b in zip(before.split(), masked.split(), strict=True) if a != b]
    assert changed == ["imp-x", "pub7,", "421e140a,", "10.20.30.66", "IMP-X:", "acme"]
    words = masked.split()
    assert words[2] == words[12].lower().rstrip(":")
    address = bytes.fromhex(words[10].rstrip(","))[::-1]
    assert words[11] == ".".join(map(str, address))


def test_stream_cannot_be_masked(case: Case) -> None:
    done = case.daemon.ctl("export", JOB_ID, "--mask", "--format", "tar", "-o", "-")
    assert done.returncode == 2
    assert done.stdout == ""


def masking(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "cucmctl", "--socket", "/nonexistent", "mask"]
    return subprocess.Popen([*command, *map(str, arguments)], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("end", [".zip", ".tgz"])
@pytest.mark.parametrize("number", [9, 15, 2])
def test_killed_masking_leaves_no_original(out: Path, end: str, number: int) -> None:
    (out / "traces").mkdir()
    (out / "traces/a.txt").write_bytes(LARGE)
    source = Path(f"{out}{end}")
    if end == ".zip":
        with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(out / "traces/a.txt", "a.txt")
    else:
        subprocess.run(["tar", "czf", source, "-C", out / "traces", "a.txt"], check=True)
    (out / "traces/a.txt").unlink()
    (out / "traces").rmdir()
    process = masking(source, "-o", out / "new.zip")
    wait_until(lambda: any(path.stat().st_size for path in out.rglob("*") if path.is_file()))
    process.send_signal(number)
    process.communicate()
    left = [path for path in out.rglob("*") if path.is_file()]
    assert number == 9 or left == []
    assert [path for path in left if b"9110001" in path.read_bytes()] == []


def test_full_disk_leaves_no_file(out: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_bytes(LARGE)
    with small_disk(tmp_path / "small", 4) as disk:
        process = masking(source, "-o", disk / "new.zip")
        _, stderr = process.communicate()
        assert process.returncode == exits.CANNOT_WRITE
        assert stderr.count("\n") == 1
        assert list(disk.iterdir()) == []
