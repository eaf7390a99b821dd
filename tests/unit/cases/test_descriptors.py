"""Files of a job are opened for a client: what is not as recorded is not handed out."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from cucmd.cases.contents import CannotExport
from cucmd.cases.descriptors import Wanted, open_all
from cucmd.cases.entries import Entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"abc")
    return tmp_path


def wanted(*names: str) -> list[Wanted]:
    return [Wanted(Entry(name, 3, 0), name, "n") for name in names]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def as_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("a")


def as_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "change", [Path.unlink, as_link, as_fifo, as_folder, lambda path: path.write_bytes(b"longer")]
)
def test_what_is_not_as_recorded_is_not_opened(
    folder: Path, change: Callable[[Path], None]
) -> None:
    change(folder / "b")
    before = descriptors()
    first, second, third = open_all(folder, wanted("a", "b", "a"), damaged=True)
    assert (second.descriptor, first.wrong, third.wrong) == (None, None, None)
    assert second.wrong
    for one in (first, third):
        os.close(one.descriptor)
    with pytest.raises(CannotExport, match="b "):
        open_all(folder, wanted("a", "b"))
    assert descriptors() == before


def test_a_job_without_a_folder_has_no_file(tmp_path: Path) -> None:
    (one,) = open_all(tmp_path / "gone", wanted("a"), damaged=True)
    assert one.wrong == "is gone"


@pytest.mark.parametrize("damaged", [True, False])
def test_that_no_descriptor_is_left_is_not_the_fault_of_a_file(
    folder: Path, damaged: bool, request: pytest.FixtureRequest
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, before))
    open_before = descriptors()
    next_one = os.dup(0)
    os.close(next_one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one + 3, before[1]))
    with pytest.raises(OSError, match="Too many open files"):
        open_all(folder, wanted(*["a"] * 64), damaged=damaged)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert descriptors() == open_before
