"""The manifest on disk: what it says, and in which pieces it is made."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.jobs.manifest import PIECE, Entry, Manifest, words

ENTRIES = st.builds(Entry, st.text(), st.text(), st.integers(0, 2**40), st.text(), st.booleans())


def in_one_go(job_id: str, files: tuple[Entry, ...]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(Manifest(job_id, files)), indent=1) + b"\n"


@given(job_id=st.text(), files=st.lists(ENTRIES, max_size=5).map(tuple))
def test_pieces_say_what_one_would(job_id: str, files: tuple[Entry, ...]) -> None:
    assert b"".join(words(job_id, files)) == in_one_go(job_id, files)


@pytest.mark.parametrize("count", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1])
def test_no_piece_is_long_in_the_making(count: int) -> None:
    files = tuple(Entry("a]}", f"a/files/[{n}", n, "00", True) for n in range(count))
    pieces = list(words("0a1b2c3d4e5f", files))
    assert b"".join(pieces) == in_one_go("0a1b2c3d4e5f", files)
    assert max(piece.count(b"sha256") for piece in pieces) <= PIECE
    assert len(json.loads(b"".join(pieces))["files"]) == count
