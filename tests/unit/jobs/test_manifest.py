"""The manifest on disk: what it says, and in which pieces it is made."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.jobs.manifest import PIECE, Entry, Manifest, words
from cucmd.received_file import ReceivedFile

FILES = st.builds(
    ReceivedFile,
    st.text(),
    st.text(),
    st.integers(0, 2**40),
    st.text(),
    st.just(True),
    st.booleans(),
)


def entry(file: ReceivedFile) -> Entry:
    return Entry(file.node, file.path, file.size, file.sha256, file.complete)


def in_one_go(job_id: str, files: tuple[ReceivedFile, ...]) -> bytes:
    return (
        msgspec.json.format(
            msgspec.json.encode(Manifest(job_id, tuple(map(entry, files)))), indent=1
        )
        + b"\n"
    )


@given(job_id=st.text(), files=st.lists(FILES, max_size=5).map(tuple))
def test_pieces_say_what_one_would(job_id: str, files: tuple[ReceivedFile, ...]) -> None:
    assert b"".join(words(job_id, files)) == in_one_go(job_id, files)


@pytest.mark.parametrize("count", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1])
def test_no_piece_is_long_in_the_making(count: int) -> None:
    files = tuple(ReceivedFile("a]}", f"a/files/[{n}", n, "00", True, True) for n in range(count))
    pieces = list(words("0a1b2c3d4e5f", files))
    assert b"".join(pieces) == in_one_go("0a1b2c3d4e5f", files)
    assert max(piece.count(b"sha256") for piece in pieces) <= PIECE
    assert len(json.loads(b"".join(pieces))["files"]) == count
