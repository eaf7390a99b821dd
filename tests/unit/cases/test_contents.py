"""The files of an export, as pieces of its tar."""

import os
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.cases import contents
from cucmd.cases.contents import MOST_TOGETHER, CannotExport, Item, batches
from cucmd.cases.entries import Entry

CHUNK = 4000  # in these tests
SIZES = (0, 1, 511, 512, 513, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7, 0, 5, CHUNK)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "CHUNK", CHUNK)


def written(folder: Path, sizes: tuple[int, ...]) -> list[Item]:
    items = []
    for number, size in enumerate(sizes):
        path = folder / f"{number}.txt"
        path.write_bytes(os.urandom(size))
        items.append((Entry(f"a/{path.name}", size, 1_764_000_000), path))
    return items


def whole(items: list[Item]) -> bytes:
    return b"".join(entry.header() + path.read_bytes() + entry.padding() for entry, path in items)


async def pieces_of(items: list[Item]) -> list[bytes]:
    async with aclosing(contents.contents(items)) as pieces:
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
    items = [(Entry("a", size, 0), Path("a")) for size in sizes]
    found = list(batches(items))
    assert [item for batch in found for item in batch] == items
    for batch in found:
        assert len(batch) <= MOST_TOGETHER
        assert len(batch) == 1 or sum(entry.size for entry, _ in batch) <= CHUNK
