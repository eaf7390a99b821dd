"""The directory of a job is removed, and nothing outside of it."""

import os
import threading
from pathlib import Path

import pytest

from cucmd.cases.files import Stopped, remove_directory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "jobs" / "0a1b2c3d4e5f"
    for node in ("pub", "sub"):
        files = directory / node / "files" / "10.0.0.1" / "2026-11-25"
        files.mkdir(parents=True)
        for name in ("a.txt", os.fsdecode(b"\xff\n.gz")):
            (files / name).write_text("x")
    (directory / "manifest.json").write_text("{}")
    return directory


@pytest.fixture
def other(tmp_path: Path) -> Path:
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept").write_text("x")
    return other


def test_a_directory_is_removed(directory, tmp_path):
    for _ in range(2):  # a missing one is no error
        remove_directory(directory, threading.Event())
        assert list(directory.parent.iterdir()) == []
    remove_directory(tmp_path / "no jobs" / "at all", threading.Event())


def test_no_link_is_followed(directory, other):
    (directory / "pub" / "files" / "folder").symlink_to(other)
    (directory / "pub" / "files" / "file").symlink_to(other / "kept")
    os.link(other / "kept", directory / "pub" / "same")
    os.mkfifo(directory / "pub" / "pipe")
    remove_directory(directory, threading.Event())
    assert not directory.exists()
    assert (other / "kept").read_text() == "x"


def test_a_linked_directory_is_not_followed(directory, other):
    link = directory.with_name("link")
    link.symlink_to(other)
    remove_directory(link, threading.Event())
    assert not link.is_symlink()
    assert (other / "kept").exists()


def test_a_stop_leaves_the_rest_for_later(directory):
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(Stopped):
        remove_directory(directory, stopped)
    assert (directory / "manifest.json").exists()
    remove_directory(directory, threading.Event())
    assert not directory.exists()


def test_an_error_is_raised(directory):
    class AddsFiles(threading.Event):
        """Stands for another process that puts files into the folder while it is removed."""

        def is_set(self) -> bool:
            (directory / "pub" / "late").touch()
            return False

    with pytest.raises(OSError, match="not empty"):
        remove_directory(directory, AddsFiles())
