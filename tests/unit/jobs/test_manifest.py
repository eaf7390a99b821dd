"""The manifest on disk: lines are added; what a kill or a full disk left is cut off."""

import errno
import json
import os
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import pytest
import trio

from cucmd.jobs.filing import Manifest
from cucmd.received_file import ReceivedFile
from cucmd.store import StoreFailed
from rig.inspection import manifest as listed

A = ReceivedFile("a", "a/files/core.1", 4, "00" * 32, closed=True, complete=True)
B = ReceivedFile("b", 'b/files/"caf\u00e9\n.txt', 2**40, "11" * 32, closed=True, complete=False)
C = ReceivedFile("c", "c/files/core.3", 0)
NO_SPACE = rf"Errno {errno.ENOSPC}\b"
FIELDS = ["node", "path", "size", "sha256", "complete"]


def as_listed(*files: ReceivedFile) -> list[dict]:
    return [{field: getattr(file, field) for field in FIELDS} for file in files]


def raw(folder: Path) -> bytes:
    return (folder / "manifest.jsonl").read_bytes()


def line(file: ReceivedFile) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        trio.run(Manifest(Path(folder)).append, [file])
        return raw(Path(folder))


LINES = {file: line(file) for file in (A, B, C)}


def written(*files: ReceivedFile) -> bytes:
    """Returns the content of a manifest of these files."""
    return b"".join(LINES[file] for file in files)


async def test_a_file_is_a_line(tmp_path: Path) -> None:
    at_work = Manifest(tmp_path)
    await at_work.append([A, B])
    await at_work.append([C])
    lines = raw(tmp_path).splitlines(keepends=True)
    assert [json.loads(line) for line in lines] == as_listed(A, B, C)
    assert [list(json.loads(line)) for line in lines] == [FIELDS] * 3


async def test_a_manifest_without_files_is_an_empty_file(tmp_path: Path) -> None:
    at_work = Manifest(tmp_path)
    await at_work.append([])
    assert raw(tmp_path) == b""
    await at_work.append([A])
    assert listed(tmp_path) == as_listed(A)


async def test_of_a_path_the_last_line_counts(tmp_path: Path) -> None:
    before = ReceivedFile(A.node, A.path, 1)
    await Manifest(tmp_path).append([before])
    await Manifest(tmp_path).append([A])
    assert len(raw(tmp_path).splitlines()) == 2
    assert listed(tmp_path) == as_listed(A)


async def pages(*all_pages: Sequence[ReceivedFile]) -> AsyncGenerator[Sequence[ReceivedFile], None]:
    for page in all_pages:
        await trio.lowlevel.checkpoint()
        yield page


async def test_a_restart_makes_it_again_of_what_the_store_has(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(b"torn" + written(B))
    await Manifest(tmp_path).write(pages([A, B], [C]))
    assert raw(tmp_path) == written(A, B, C)
    await Manifest(tmp_path).write(pages())
    assert raw(tmp_path) == b""
    assert os.listdir(tmp_path) == ["manifest.jsonl"]


async def test_one_that_cannot_be_made_again_stays(tmp_path: Path) -> None:
    async def fails() -> AsyncGenerator[Sequence[ReceivedFile], None]:
        yield [B]
        raise StoreFailed("the disk cannot be read")

    await Manifest(tmp_path).append([A])
    with pytest.raises(StoreFailed):
        await Manifest(tmp_path).write(fails())
    assert raw(tmp_path) == written(A)
    assert os.listdir(tmp_path) == ["manifest.jsonl"]


class Disk:
    """Fails the next `failing` calls of fsync."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failing = 0
        self.synced: list[str] = []
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, descriptor: int) -> None:
        self.synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        if self.failing:
            self.failing -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self._fsync(descriptor)


async def test_a_part_of_a_line_is_cut_off(tmp_path: Path) -> None:
    at_work = Manifest(tmp_path)
    await at_work.append([A])
    with (tmp_path / "manifest.jsonl").open("ab") as torn:
        torn.write(b'{"node":"b","pa')
    await at_work.append([C])
    assert raw(tmp_path) == written(A, C)


async def test_a_bad_sector_is_an_error(tmp_path: Path) -> None:
    def bad_sector(descriptor: int, size: int, offset: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    await Manifest(tmp_path).append([A])
    with pytest.raises(OSError, match=rf"Errno {errno.EIO}\b"):
        await Manifest(tmp_path, bad_sector).append([B])
    assert raw(tmp_path) == written(A)
    await Manifest(tmp_path).append([B])
    assert listed(tmp_path) == as_listed(A, B)


async def test_a_long_part_of_a_line_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(written(A) + b"x" * 200_000)
    await Manifest(tmp_path).append([B])
    assert raw(tmp_path) == written(A, B)


async def test_lines_that_were_not_synced_are_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, at_work = Disk(monkeypatch), Manifest(tmp_path)
    await at_work.append([A])
    disk.failing = 1
    with pytest.raises(OSError, match=NO_SPACE):
        await at_work.append([B])
    await at_work.append([B, C])
    assert listed(tmp_path) == as_listed(A, B, C)


async def test_a_new_name_is_synced_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, at_work = Disk(monkeypatch), Manifest(tmp_path)
    await at_work.append([A])
    await at_work.append([B])
    assert disk.synced == ["manifest.jsonl", tmp_path.name, "manifest.jsonl"]


async def test_a_first_append_that_failed_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, at_work = Disk(monkeypatch), Manifest(tmp_path)
    disk.failing = 1
    with pytest.raises(OSError, match=NO_SPACE):
        await at_work.append([A])
    await at_work.append([A, B])
    assert listed(tmp_path) == as_listed(A, B)


async def test_a_first_append_without_files_that_failed_is_made_again(tmp_path: Path) -> None:
    at_work = Manifest(tmp_path / "job")
    with pytest.raises(FileNotFoundError):
        await at_work.append([])
    (tmp_path / "job").mkdir()
    await at_work.append([])
    assert raw(tmp_path / "job") == b""


WHOLE = written(A, B, C)


async def test_a_line_that_was_cut_anywhere_is_not_continued(tmp_path: Path) -> None:
    for length in range(len(WHOLE)):
        (tmp_path / "manifest.jsonl").write_bytes(WHOLE[:length])
        await Manifest(tmp_path).append([A, B, C])
        assert listed(tmp_path) == as_listed(A, B, C), f"torn at {length}"


def removed(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("meddle", [removed, emptied])
async def test_lines_that_somebody_removed_are_not_written_again(
    tmp_path: Path, meddle: Callable[[Path], None]
) -> None:
    at_work = Manifest(tmp_path)
    await at_work.append([A])
    meddle(tmp_path / "manifest.jsonl")
    await at_work.append([B])
    assert raw(tmp_path) == written(B)


async def test_a_line_of_a_file_that_somebody_edited_is_not_continued(tmp_path: Path) -> None:
    at_work = Manifest(tmp_path)
    await at_work.append([A, C])
    (tmp_path / "manifest.jsonl").write_bytes(b"# seen\n" + written(A, C))
    await at_work.append([B])
    assert raw(tmp_path) == b"# seen\n" + written(A, C, B)


async def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    at_work = Manifest(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        await at_work.append([A])
    assert os.listdir(tmp_path) == []


async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    (tmp_path / "manifest.jsonl").symlink_to("other")
    with pytest.raises(OSError, match=rf"Errno {errno.ELOOP}\b"):
        await Manifest(tmp_path).append([A])
    assert (tmp_path / "other").read_bytes() == b""


async def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.jsonl")
    with trio.fail_after(10), pytest.raises(OSError, match="seekable"):
        await Manifest(tmp_path).append([A])
