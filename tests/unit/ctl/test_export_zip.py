"""Large files and odd dates in a zip."""

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl.export.save import ZipSink

PIECE = bytes(1 << 20)
LARGE = 5 << 30  # more than the 32 bits of a plain zip


class Sparse(io.FileIO):
    """Zeros become holes, so that the file takes little space on the disk."""

    def write(self, data: bytes) -> int:
        if bytes(data) != PIECE:
            return super().write(data)
        self.seek(len(data), io.SEEK_CUR)
        return len(data)


def member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info


def zeros(size: int) -> Iterator[bytes]:
    for _ in range(size // len(PIECE)):
        yield PIECE


@pytest.mark.long
@pytest.mark.timeout(300)
def test_file_of_5_gib(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with Sparse(path, "w+") as out:
        sink = ZipSink(out)
        sink.add(member("n/large", LARGE), zeros(LARGE))
        sink.add(member("n/behind it", 3), iter([b"abc"]))
        sink.close()
    assert path.stat().st_size > LARGE
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert [info.file_size for info in archive.infolist()] == [LARGE, 3]
        assert archive.read("n/behind it") == b"abc"


@pytest.mark.parametrize(
    ("modified", "kept"),
    [
        (0, (1980, 1, 1, 0, 0, 0)),
        (-(1 << 31), (1980, 1, 1, 0, 0, 0)),
        (1_790_000_000, (2026, 9, 21, 14, 13, 20)),
        (1 << 33, (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_dates_outside_of_zip(tmp_path: Path, modified: int, kept: tuple[int, ...]) -> None:
    info = member("n/a", 3)
    info.mtime = modified
    assert only_entry(tmp_path, info).date_time == kept


def only_entry(folder: Path, info: tarfile.TarInfo) -> zipfile.ZipInfo:
    with (folder / "x.zip").open("wb") as out:
        sink = ZipSink(out)
        sink.add(info, iter([b"abc"]))
        sink.close()
    with zipfile.ZipFile(folder / "x.zip") as archive:
        assert archive.testzip() is None
        (entry,) = archive.infolist()
    return entry
