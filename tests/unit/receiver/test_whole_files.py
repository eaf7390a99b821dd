"""A file is complete only if each of its bytes was written."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from cucmd.received_file import ReceivedFile
from cucmd.receiver.limits import MIB, Status


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_blocks_out_of_order_make_a_whole_file_with_the_right_checksum(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 3, b"def")
    client.write(handle, 0, b"abc")
    assert client.close(handle).status == Status.OK
    assert client.accounting.files() == (ReceivedFile("", "a", 6, sha(b"abcdef"), True),)


def test_a_block_written_again_changes_the_checksum(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 0, b"abc")
    client.write(handle, 1, b"X")
    client.close(handle)
    assert client.accounting.files()[0].sha256 == sha(b"aXc")


def test_a_file_with_a_gap_is_not_complete(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 1000, b"abc")
    reply = client.close(handle)
    assert (reply.status, reply.reason) == (Status.FAILURE, "the file did not arrive whole")
    assert not client.accounting.files()[0].closed


def test_an_empty_block_behind_the_end_changes_nothing(client: Any) -> None:
    handle = client.open(b"a").handle
    assert client.write(handle, 1, b"").status == Status.OK
    assert client.close(handle).status == Status.OK
    assert client.accounting.files() == (ReceivedFile("", "a", 0, sha(b""), True),)


@pytest.mark.parametrize("offset", [2**62, 2**64 - 1, 16 * MIB + 1])
def test_a_block_far_beyond_the_rest_is_refused_and_the_file_stays_small(
    client: Any, offset: int
) -> None:
    handle = client.open(b"a").handle
    assert client.write(handle, offset, b"x").status == Status.FAILURE
    assert client.write(handle, 0, b"x").status == Status.FAILURE, "after that it takes nothing"
    assert client.close(handle).status == Status.FAILURE
    assert (client.folder / "a").stat().st_size == 0
    assert not client.accounting.files()[0].closed
