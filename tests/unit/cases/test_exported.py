"""The files of an export: pieces of its tar, or open. What is not as recorded is not handed out."""

import os
import resource
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.cases import exported
from cucmd.cases.exported import (
    MOST_TOGETHER,
    CannotExport,
    OnDisk,
    TarEntry,
    WantedFile,
    batches,
    open_all,
)

CHUNK = 4000  # in these tests
SIZES = (0, 1, 511, 512, 513, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7, 0, 5, CHUNK)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported, "CHUNK", CHUNK)


def written(folder: Path, sizes: tuple[int, ...]) -> list[OnDisk]:
    items = []
    for number, size in enumerate(sizes):
        path = folder / f"{number}.txt"
        path.write_bytes(os.urandom(size))
        items.append((TarEntry(f"a/{path.name}", size, 1_764_000_000), path))
    return items


def whole(items: list[OnDisk]) -> bytes:
    return b"".join(entry.header() + path.read_bytes() + entry.padding() for entry, path in items)


async def pieces_of(items: list[OnDisk]) -> list[bytes]:
    async with aclosing(exported.contents(items)) as pieces:
        return [piece async for piece in pieces]


async def test_the_pieces_are_the_files_with_headers_and_padding(tmp_path: Path) -> None:
    items = written(tmp_path, SIZES)
    pieces = await pieces_of(items)
    assert b"".join(pieces) == whole(items)
    assert max(map(len, pieces)) <= CHUNK + MOST_TOGETHER * 2 * 512


async def test_small_files_share_a_piece(tmp_path: Path) -> None:
    items = written(tmp_path, (0, 10) * MOST_TOGETHER)
    assert len(await pieces_of(items)) == 2


@pytest.mark.parametrize("size", [100, CHUNK, 2 * CHUNK])
@pytest.mark.parametrize("left", [0, 99])
async def test_a_file_that_was_cut_is_an_error(tmp_path: Path, size: int, left: int) -> None:
    items = written(tmp_path, (3, size, 5))
    os.truncate(items[1][1], left)
    with pytest.raises(CannotExport, match=r"a/1\.txt"):
        await pieces_of(items)


async def test_a_file_that_is_a_link_by_now_is_not_followed(tmp_path: Path) -> None:
    items = written(tmp_path, (3, 3))
    items[1][1].unlink()
    items[1][1].symlink_to(items[0][1])
    with pytest.raises(OSError, match="symbolic links"):
        await pieces_of(items)


@given(st.lists(st.integers(0, 2 * CHUNK), max_size=300))
def test_a_batch_is_small_or_a_single_file(sizes: list[int]) -> None:
    items = [(TarEntry("a", size, 0), Path("a")) for size in sizes]
    found = list(batches(items))
    assert [item for batch in found for item in batch] == items
    for batch in found:
        assert len(batch) <= MOST_TOGETHER
        assert len(batch) == 1 or sum(entry.size for entry, _ in batch) <= CHUNK


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"abc")
    return tmp_path


def wanted(*names: str) -> list[WantedFile]:
    return [WantedFile(TarEntry(name, 3, 0), name, "n") for name in names]


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
