"""Files that are computed, not kept: the same at every reading, whatever their size."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from datetime import UTC, datetime
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.lab import archive, tree
from cucmd.lab.tree import ROOTS, Shape, VirtualFile

NOW = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)
BLOCK = 32 * 1024


def content(node: int, path: str, size: int) -> bytes:
    return b"".join(tree.blocks(node, path, size))


@given(st.integers(0, 300_000))
def test_content_has_its_size_and_a_shorter_file_is_its_beginning(size):
    whole = content(1, "syslog/messages", 300_000)
    assert content(1, "syslog/messages", size) == whole[:size]


def test_blocks_are_all_whole_but_the_last():
    sizes = [len(block) for block in tree.blocks(1, "a", 3 * BLOCK + 1)]
    assert sizes == [BLOCK, BLOCK, BLOCK, 1]


def test_no_two_blocks_files_or_nodes_are_alike():
    whole = content(1, "a", 8 * BLOCK)
    assert len({whole[i : i + 2 * BLOCK] for i in range(0, len(whole), 2 * BLOCK)}) == 4
    assert len({content(1, "a", BLOCK), content(2, "a", BLOCK), content(1, "b", BLOCK)}) == 3


def test_a_file_of_five_gigabytes_costs_nothing_until_it_is_read():
    blocks = tree.blocks(1, "a", 5_000_000_000)
    assert [len(block) for block in islice(blocks, 3)] == [BLOCK] * 3


@pytest.mark.parametrize("location", ROOTS)
def test_every_file_has_a_place_of_its_own(location):
    files = tree.files_of(location, 3, Shape())
    assert max(Counter(file.path for file in files).values(), default=1) == 1
    assert all(file.age > 0 and file.size >= 0 for file in files)


def test_the_newest_trace_is_still_being_written():
    folder = [
        f for f in tree.files_of("activelog", 2, Shape(files=4)) if f.folder.endswith("ccm/sdl")
    ]
    assert [file.name for file in folder] == [
        "SDL002_100_000074.txt.gz",
        "SDL002_100_000075.txt.gz",
        "SDL002_100_000076.txt.gz",
        "SDL002_100_000077.txt.gzo",
    ]
    assert [file.age for file in folder] == sorted((file.age for file in folder), reverse=True)


def test_sizes_may_differ():
    files = tree.files_of("activelog", 1, Shape(files=20, size=1000, spread=50))
    sizes = {file.size for file in files if file.folder.endswith("ccm/sdl")}
    assert len(sizes) > 5
    assert min(sizes) >= 500
    assert max(sizes) <= 1500


@given(st.lists(st.integers(0, 100_000), max_size=4))
def test_an_archive_holds_the_files(sizes):
    files = [VirtualFile(f"cm/{n}.txt", size, 60.0) for n, size in enumerate(sizes)]
    blocks = list(
        archive.tgz("active", files, NOW, lambda file: tree.blocks(1, file.path, file.size))
    )
    assert all(len(block) == BLOCK for block in blocks[:-1])
    with tarfile.open(fileobj=io.BytesIO(b"".join(blocks))) as opened:
        found = {m.name: opened.extractfile(m).read() for m in opened.getmembers()}
    assert found == {f"active/{f.path}": content(1, f.path, f.size) for f in files}


@given(st.lists(st.binary(max_size=50)), st.integers(0, 200))
def test_an_archive_can_lack_its_last_bytes(blocks, count):
    whole = b"".join(blocks)
    cut = b"".join(archive.without_last(blocks, count))
    assert cut == whole[: max(0, len(whole) - count)]
