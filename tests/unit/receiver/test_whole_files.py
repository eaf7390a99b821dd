"""A file is complete only if each of its bytes was written."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.failure import Code
from cucmd.received_file import ReceivedFile
from cucmd.receiver.limits import MIB, ReceiverLimits, Status
from cucmd.receiver.packets import PacketType
from rig import sftp_words as words
from rig.sftp_client import Client, Pair

Make = Callable[..., Any]


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_blocks_out_of_order_make_a_whole_file_with_the_right_checksum(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 3, b"def")
    client.write(handle, 0, b"abc")
    assert client.close(handle).status == Status.OK
    assert client.received.files() == (ReceivedFile("", "a", 6, sha(b"abcdef"), True),)


def test_a_block_written_again_changes_the_checksum(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 0, b"abc")
    client.write(handle, 1, b"X")
    client.close(handle)
    assert client.received.files()[0].sha256 == sha(b"aXc")


def test_a_file_with_a_gap_is_not_complete(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 1000, b"abc")
    reply = client.close(handle)
    assert (reply.status, reply.reason) == (Status.FAILURE, "the file did not arrive whole")
    assert not client.received.files()[0].closed


def test_a_byte_that_is_written_again_does_not_fill_a_gap(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 0, b"abcd")
    client.write(handle, 0, b"abcd")
    client.write(handle, 8, b"efgh")  # twelve bytes came, and four of the file never did
    assert client.close(handle).status == Status.FAILURE
    assert not client.received.files()[0].closed


def test_a_size_that_is_set_fills_no_gap(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 4, b"efgh")
    for size, status in ((8, Status.OK), (12, Status.PERMISSION_DENIED)):
        packet = words.packet(PacketType.FSETSTAT, 4, words.string(handle), words.set_size(size))
        assert client.ask(packet).status == status
    assert (
        client.on_path(PacketType.SETSTAT, b"a", words.set_size(12)).status
        == Status.PERMISSION_DENIED
    )
    assert client.close(handle).status == Status.FAILURE
    assert (client.folder / "a").stat().st_size == 8
    assert not client.received.files()[0].closed


def test_blocks_that_leave_gaps_everywhere_are_refused_at_a_limit(make_client: Make) -> None:
    client = make_client(parts=3)
    handle = client.open(b"a").handle
    for offset in (2, 4, 6):
        assert client.write(handle, offset, b"x").status == Status.OK
    assert client.write(handle, 8, b"x").status == Status.FAILURE
    assert client.close(handle).status == Status.FAILURE
    refusal = client.received.refusal
    assert (refusal.code, refusal.retryable) == (Code.QUOTA_EXCEEDED, False)


def test_a_block_that_closes_a_gap_is_taken_at_the_limit(make_client: Make) -> None:
    client = make_client(parts=2)
    handle = client.open(b"a").handle
    for offset, block in ((2, b"c"), (4, b"e"), (3, b"d"), (6, b"g"), (5, b"f"), (0, b"ab")):
        assert client.write(handle, offset, block).status == Status.OK
    assert client.close(handle).status == Status.OK
    assert client.received.files()[0].sha256 == sha(b"abcdefg")


WRITES = st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=12)), max_size=20)


@given(WRITES)
def test_any_writes_make_a_whole_file_only_if_each_byte_was_written(
    writes: list[tuple[int, bytes]],
) -> None:
    content, written = bytearray(), bytearray()
    with tempfile.TemporaryDirectory() as folder:
        limits = ReceiverLimits()
        client = Client(Path(folder), Pair(limits), limits)
        handle = client.open(b"a").handle
        for offset, block in writes:
            assert client.write(handle, offset, block).status == Status.OK
            if block:
                grown = max(0, offset + len(block) - len(content))
                content += bytes(grown)
                written += bytes(grown)
                content[offset : offset + len(block)] = block
                written[offset : offset + len(block)] = b"\1" * len(block)
        whole = all(written)
        assert (client.close(handle).status == Status.OK) == whole
        client.handler.close()
        (file,) = client.received.files()
        assert (file.size, file.closed) == (len(content), whole)
        assert (Path(folder) / "a").read_bytes() == content
        if whole:
            assert file.sha256 == sha(bytes(content))


def test_an_empty_block_behind_the_end_changes_nothing(client: Any) -> None:
    handle = client.open(b"a").handle
    assert client.write(handle, 1, b"").status == Status.OK
    assert client.close(handle).status == Status.OK
    assert client.received.files() == (ReceivedFile("", "a", 0, sha(b""), True),)


@pytest.mark.parametrize("offset", [2**62, 2**64 - 1, 16 * MIB + 1])
def test_a_block_far_beyond_the_rest_is_refused_and_the_file_stays_small(
    client: Any, offset: int
) -> None:
    handle = client.open(b"a").handle
    assert client.write(handle, offset, b"x").status == Status.FAILURE
    assert client.write(handle, 0, b"x").status == Status.FAILURE, "after that it takes nothing"
    assert client.close(handle).status == Status.FAILURE
    assert (client.folder / "a").stat().st_size == 0
    assert not client.received.files()[0].closed
