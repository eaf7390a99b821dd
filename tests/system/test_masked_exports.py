"""Exports a job with masks, from a real daemon."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.collected import JOB_ID
from rig.exported import Case, running_case

LINE = b'From: "Miller, Mary" <sip:9110001@10.20.30.5>;tag=38ed18552a12296c00ff41e8-5fb7856e\n'


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with running_case(tmp_path, {"sdl/SDL1.txt": LINE, "core": b"\0" + LINE}) as case:
        yield case


def test_masked_export_has_no_original(case: Case, tmp_path: Path) -> None:
    with case.daemon.client() as client:
        client.label(JOB_ID, {"customer": "ACME"})
    out = tmp_path / "out"
    out.mkdir()
    environ = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")}
    done = case.daemon.ctl("export", JOB_ID, "--mask", "-o", str(out / "x.zip"), env=environ)
    assert done.returncode == 3, done.stderr  # `core` cannot be masked
    assert [path.name for path in out.iterdir()] == ["x.zip"]
    with zipfile.ZipFile(out / "x.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert {"a/sdl/SDL1.txt", "manifest.json", "summary.txt", "MASKED.txt"} <= files.keys()
    assert "a/core" not in files
    for original in (b"Miller", b"9110001", b"10.20.30.5", b"38ed18552a12", b"ACME"):
        assert [name for name, data in files.items() if original in data] == []
    assert files["a/sdl/SDL1.txt"].count(b"\n") == 1


def test_stream_cannot_be_masked(case: Case) -> None:
    done = case.daemon.ctl("export", JOB_ID, "--mask", "--format", "tar", "-o", "-")
    assert done.returncode == 2
    assert done.stdout == ""
