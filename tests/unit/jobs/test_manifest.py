"""The manifest on disk: lines are added; what a kill or a full disk left is repaired."""

import errno
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from cucmd.jobs.manifest import Manifest
from cucmd.received_file import ReceivedFile
from rig.inspection import manifest as listed
from rig.tries import tries

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
    """The content of a manifest of these files."""
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
    await Manifest(tmp_path).append([A])
    assert len(raw(tmp_path).splitlines()) == 2


async def test_a_restart_adds_what_only_the_store_has(tmp_path: Path) -> None:
    await Manifest(tmp_path).append([A])
    before = raw(tmp_path)
    await Manifest(tmp_path).append([A, B])
    assert raw(tmp_path) == before + written(B)


async def test_lines_that_the_store_lacks_are_kept(tmp_path: Path) -> None:
    await Manifest(tmp_path).append([A, B])
    await Manifest(tmp_path).append([C])
    assert listed(tmp_path) == as_listed(A, B, C)


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


async def test_lines_that_were_not_synced_are_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, at_work = Disk(monkeypatch), Manifest(tmp_path)
    await at_work.append([A])
    disk.failing = 1
    with pytest.raises(OSError, match=NO_SPACE):
        await at_work.append([B])
    with (tmp_path / "manifest.jsonl").open("ab") as torn:
        torn.write(b'{"node":"b","pa')
    await at_work.append([C])
    assert raw(tmp_path) == written(A, C)


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
    assert raw(tmp_path) == written(A, B)
    assert disk.synced[-1] == tmp_path.name


async def test_a_first_append_without_files_that_failed_is_made_again(tmp_path: Path) -> None:
    at_work = Manifest(tmp_path / "job")
    with pytest.raises(FileNotFoundError):
        await at_work.append([])
    (tmp_path / "job").mkdir()
    await at_work.append([])
    assert raw(tmp_path / "job") == b""


WHOLE = written(A, B, C)


async def test_a_restart_repairs_a_line_that_was_cut_anywhere(tmp_path: Path) -> None:
    for length in range(len(WHOLE)):
        (tmp_path / "manifest.jsonl").write_bytes(WHOLE[:length])
        await Manifest(tmp_path).append([A, B, C])
        assert raw(tmp_path) == WHOLE, f"torn at {length}"


@tries(60)
@given(
    length=st.integers(0, len(WHOLE)),
    rest=st.binary() | st.text('{}"\n\0:,a1').map(str.encode),
    more=st.lists(st.sampled_from([A, B, C]), unique=True),
)
def test_any_bytes_after_the_synced_lines_are_repaired(
    length: int, rest: bytes, more: Sequence[ReceivedFile]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "manifest.jsonl").write_bytes(WHOLE[:length] + rest)
        trio.run(Manifest(folder).append, more)
        kept = [file for file in (A, B, C) if written(file) in WHOLE[:length] or file in more]
        found = listed(folder)
        assert [file for file in as_listed(*kept) if file not in found] == []
        assert raw(folder)[-1:] in {b"", b"\n"}
        assert os.listdir(folder) == ["manifest.jsonl"]


def first_version(folder: Path, *files: ReceivedFile) -> None:
    document = {"job_id": "0a1b2c3d4e5f", "files": as_listed(*files)}
    (folder / "manifest.json").write_text(json.dumps(document, indent=1))


async def test_a_manifest_of_the_first_version_becomes_lines(tmp_path: Path) -> None:
    first_version(tmp_path, A, B)
    await Manifest(tmp_path).append([B, C])
    assert raw(tmp_path) == written(A, B, C)
    assert os.listdir(tmp_path) == ["manifest.jsonl"]


async def test_of_both_versions_the_new_one_counts(tmp_path: Path) -> None:
    await Manifest(tmp_path).append([A])
    first_version(tmp_path, ReceivedFile(A.node, A.path, 1), B)
    await Manifest(tmp_path).append([])
    assert sorted(listed(tmp_path), key=lambda file: file["path"]) == as_listed(A, B)


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
async def test_the_first_version_stays_until_the_lines_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """A conversion that failed at any step is repeated."""
    first_version(tmp_path, A, B)
    disk, at_work = Disk(monkeypatch), Manifest(tmp_path)
    disk.failing = failing
    for _ in range(failing):
        with pytest.raises(OSError, match=NO_SPACE):
            await at_work.append([C])
        if not (tmp_path / "manifest.json").exists():
            assert listed(tmp_path) == as_listed(A, B)
    await at_work.append([C])
    assert raw(tmp_path) == written(A, B, C)
    assert os.listdir(tmp_path) == ["manifest.jsonl"]


async def test_a_damaged_manifest_of_the_first_version_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"job_id": "0a1b2c3d4e5f", "fi')
    await Manifest(tmp_path).append([A])
    assert raw(tmp_path) == written(A)
    assert os.listdir(tmp_path) == ["manifest.jsonl"]


NESTED = b'{"files":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize("name", ["manifest.json", "manifest.jsonl"])
async def test_damage_that_is_nested_deeply_is_in_nobodys_way(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(NESTED + b"\n")
    await Manifest(tmp_path).append([A])
    assert raw(tmp_path) == written(A)


async def test_a_folder_of_its_name_is_not_one_of_the_first_version(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    await Manifest(tmp_path).append([A])
    assert raw(tmp_path) == written(A)
    assert sorted(os.listdir(tmp_path)) == ["manifest.json", "manifest.jsonl"]


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
    assert raw(tmp_path) == written(A, C, B)


async def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    at_work = Manifest(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        await at_work.append([A])
    assert os.listdir(tmp_path) == []


async def test_a_link_is_replaced_and_its_lines_are_kept(tmp_path: Path) -> None:
    """As after `mv manifest.jsonl other; ln -s other manifest.jsonl`, while the job runs."""
    at_work = Manifest(tmp_path)
    await at_work.append([A])
    (tmp_path / "manifest.jsonl").rename(tmp_path / "other")
    (tmp_path / "manifest.jsonl").symlink_to("other")
    await at_work.append([B])
    assert raw(tmp_path) == written(A, B)
    assert not (tmp_path / "manifest.jsonl").is_symlink()
    assert (tmp_path / "other").read_bytes() == written(A)


async def test_a_pipe_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.jsonl")
    await Manifest(tmp_path).append([A])
    assert raw(tmp_path) == written(A)


async def test_a_file_that_cannot_be_written_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work = Manifest(tmp_path)
    await at_work.append([A])
    before = (tmp_path / "manifest.jsonl").stat().st_ino
    # Root may write to any file.
    monkeypatch.setattr("cucmd.jobs.manifest.os.access", lambda path, mode: False)
    await at_work.append([B])
    assert raw(tmp_path) == written(A, B)
    assert (tmp_path / "manifest.jsonl").stat().st_ino != before
