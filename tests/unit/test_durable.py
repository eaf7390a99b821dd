"""Files are replaced completely or not at all, also in a power failure."""

import os
import stat
import threading
from pathlib import Path

import pytest

from cucmd.durable import drop_half_written, make_directories, replace_file


def mine(path: Path) -> Path:
    """Returns the path at which this thread writes the new content of `path`."""
    return path.with_name(f".{path.name}.{threading.get_native_id()}.new")


@pytest.fixture
def synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Records at each fsync what is synced, and the content of `file` at that moment."""
    said = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        what = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        path = tmp_path / "file"
        said.append((what, path.read_text() if path.exists() else None))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    return said


def test_bytes_are_synced_before_the_name(
    tmp_path: Path, synced: list[tuple[str, str | None]]
) -> None:
    replace_file(tmp_path / "file", [b"old"], 0o600)
    replace_file(tmp_path / "file", [b"n", b"ew"], 0o600)
    assert synced == [("file", None), ("folder", "old"), ("file", "old"), ("folder", "new")]
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file(tmp_path, error):
    (tmp_path / "file").write_text("old")

    def content():
        yield b"ne"
        raise error

    with pytest.raises(type(error)):
        replace_file(tmp_path / "file", content(), 0o600)
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_symbolic_link_is_not_followed(tmp_path):
    (tmp_path / "other").write_text("theirs")
    (tmp_path / "file").symlink_to("other")
    mine(tmp_path / "file").symlink_to("other")
    replace_file(tmp_path / "file", [b"ours"], 0o600)
    assert (tmp_path / "other").read_text() == "theirs"
    assert not (tmp_path / "file").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["file", "other"]


def test_only_half_written_files_are_dropped(tmp_path):
    replace_file(tmp_path / "file", [b"x"], 0o600)
    half_written = mine(tmp_path / "file")
    half_written.write_text("x")
    old = [tmp_path / ".manifest.json.new", tmp_path / ".receiver_host_key_rsa.4711.new"]
    for path in (*old, tmp_path / "a.new", tmp_path / ".new", tmp_path / ".a.newer"):
        path.write_text("x")
    (tmp_path / ".folder.new").mkdir()
    assert set(drop_half_written(tmp_path)) == {half_written, *old}
    assert sorted(os.listdir(tmp_path)) == [".a.newer", ".folder.new", ".new", "a.new", "file"]
    assert drop_half_written(tmp_path) == drop_half_written(tmp_path / "gone") == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_group_and_mode_ignore_umask(tmp_path):
    before = os.umask(0o077)
    try:
        replace_file(tmp_path / "file", [b"x"], 0o640, group=61002)
    finally:
        os.umask(before)
    found = (tmp_path / "file").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o640, 61002)


def test_new_directories_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, synced = os.fsync, []

    def watched(descriptor: int) -> None:
        folder = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((folder.relative_to(tmp_path), os.listdir(folder)))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    for _ in range(2):  # they may exist without being synced
        make_directories(tmp_path, tmp_path / "job" / "node" / "files", 0o750)
        assert synced == [
            (Path(), ["job"]),
            (Path("job"), ["node"]),
            (Path("job/node"), ["files"]),
        ]
        synced.clear()
