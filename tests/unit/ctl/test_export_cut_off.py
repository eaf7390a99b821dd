"""An export that fails on standard output is refused by `tar` and `unzip`."""

import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import NoReturn

import pytest

from cucmctl.client.errors import ClientError, DaemonUnavailable
from cucmctl.export.save import CHECKSUMS, Damaged, Format, save
from cucmctl.export.target import target

LONG = "n/" + "folder/" * 30 + "x"  # too long for a plain header
FILES = {"n/a": b"a" * 700, "n/empty": b"", LONG: b"b" * 512, "n/b": b"c", "n/last": b""}
TESTS = {"tar": ["tar", "-tf"], "tgz": ["tar", "-tzf"], "zip": ["unzip", "-tqq"]}

needs_unzip = pytest.mark.skipif(not shutil.which("unzip"), reason="needs unzip")
forms = pytest.mark.parametrize("form", ["tar", "tgz", pytest.param("zip", marks=needs_unzip)])


def stream(files: dict[str, bytes] = FILES, **changed: bytes) -> bytes:
    """Returns the stream that the daemon sends. `changed` has new contents of files."""
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in {CHECKSUMS: sums.encode(), **files, **changed}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class CutOff:
    """Returns the first bytes of a stream in pieces, and then raises."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._data = io.BytesIO(data)
        self._piece = piece

    def read(self, size: int) -> bytes:
        data = self._data.read(min(size, self._piece))
        if not data:
            raise DaemonUnavailable("the export was cut off")
        return data


class Whole(CutOff):
    def read(self, size: int) -> bytes:
        return self._data.read(min(size, self._piece))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The file that stands for standard output."""
    path = tmp_path / "out"
    path.touch()
    return path


def export(
    source: CutOff, form: Format, out: Path, when_whole: Callable[[], None] = lambda: None
) -> None:
    """Exports to standard output, and closes it."""
    into_stdout = target(None, form, force=False, when_whole=when_whole)
    with out.open("w") as file, redirect_stdout(file), into_stdout as sink:
        save(source, sink)


def looks_whole(out: Path, form: Format) -> bool:
    return subprocess.run([*TESTS[form], out], capture_output=True, check=False).returncode == 0


@forms
@pytest.mark.parametrize("piece", [300, 512, 128 * 1024])
def test_cut_off_export_fails_its_check(form: Format, piece: int, out: Path) -> None:
    whole = stream()
    ends = [end for end in range(0, len(whole), 128) if end % 512 in (0, 128)]
    for end in ends:
        with pytest.raises(ClientError):
            export(CutOff(whole[:end], piece), form, out)
        assert not looks_whole(out, form), f"cut off at {end} of {len(whole)}"


@forms
def test_damaged_export_fails_its_check(form: Format, out: Path) -> None:
    files = {"n/a": b"a" * 700}
    with pytest.raises(Damaged):
        export(Whole(stream(files, **{"n/a": b"b" * 700}), 1 << 20), form, out)
    assert not looks_whole(out, form)


@forms
@pytest.mark.parametrize("piece", [300, 512, 128 * 1024])
def test_complete_export_passes_its_check(form: Format, piece: int, out: Path) -> None:
    export(Whole(stream(), piece), form, out)
    assert looks_whole(out, form)
    if form == "tar":
        assert out.read_bytes() == stream()


@forms
def test_late_interrupt_fails_the_check(form: Format, out: Path) -> None:
    def interrupted() -> NoReturn:
        raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        export(Whole(stream(), 1 << 20), form, out, interrupted)
    assert not looks_whole(out, form)


MANY_EMPTY = {"n/a": b"a", **{f"n/{number}": b"" for number in range(1000)}}


def test_empty_files_are_held_back(out: Path) -> None:
    whole = stream(MANY_EMPTY)
    for left in (20_480, 100_352, 409_600):
        with pytest.raises(ClientError):
            export(CutOff(whole[:-left], 1000), "tar", out)
        assert not looks_whole(out, "tar"), f"cut off {left} before the end"
