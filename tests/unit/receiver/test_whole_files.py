"""A file is complete only if each of its bytes was written."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.failure import Code
from cucmd.received_file import ReceivedFile
from cucmd.receiver.limits import MIB, ReceiverLimits, Status
from cucmd.receiver.sftp_packets import PacketType
from rig import sftp_words as words
from rig.sftp_client import Client, received_by


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "offset",
    [
        *(0, 3),  # overwrites the file, or a part of it
        *(5, 1000, 16 * MIB + 1, 2**62, 2**64 - 1),  # leaves a gap
    ],
)
def test_block_must_follow(client: Any, offset: int) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 0, b"abcd")
    assert client.write(handle, offset, b"efgh").status == Status.FAILURE
    assert client.write(handle, 4, b"efgh").status == Status.FAILURE, "after that it takes nothing"
    assert client.close(handle).status == Status.FAILURE
    assert client.received.files() == (ReceivedFile("", "a", 4, sha(b"abcd"), False),)
    assert (client.folder / "a").read_bytes() == b"abcd"
    refusal = client.received.refusal
    assert (refusal.code, refusal.retryable) == (Code.QUOTA_EXCEEDED, False)


def test_size_cannot_be_set(client: Any) -> None:
    handle = client.open(b"a").handle
    client.write(handle, 0, b"abcdefgh")
    for size, status in ((8, Status.OK), (12, Status.PERMISSION_DENIED)):
        packet = words.packet(PacketType.FSETSTAT, 4, words.string(handle), words.set_size(size))
        assert client.ask(packet).status == status
    assert (
        client.on_path(PacketType.SETSTAT, b"a", words.set_size(12)).status
        == Status.PERMISSION_DENIED
    )
    assert client.close(handle).status == Status.OK
    assert client.received.files() == (ReceivedFile("", "a", 8, sha(b"abcdefgh"), True),)


WRITES = st.lists(st.tuples(st.sampled_from((0, 0, 0, -1, 1)), st.binary(max_size=12)), max_size=20)


@given(WRITES)
def test_only_consecutive_writes_are_whole(
    writes: list[tuple[int, bytes]],
) -> None:
    """writes: for each, its distance from the end of the file so far, and its bytes."""
    content, whole = b"", True
    with tempfile.TemporaryDirectory() as folder:
        limits = ReceiverLimits()
        client = Client(Path(folder), received_by(limits), limits)
        handle = client.open(b"a").handle
        for beside, block in writes:
            offset = max(0, len(content) + beside)
            whole = whole and (not block or offset == len(content))
            taken = client.write(handle, offset, block).status == Status.OK
            assert taken == whole
            content += block if taken else b""
        assert (client.close(handle).status == Status.OK) == whole
        client.handler.close()
        assert client.received.files() == (
            ReceivedFile("", "a", len(content), sha(content), whole),
        )
        assert (Path(folder) / "a").read_bytes() == content


def test_empty_block_changes_nothing(client: Any) -> None:
    handle = client.open(b"a").handle
    assert client.write(handle, 1, b"").status == Status.OK
    assert client.close(handle).status == Status.OK
    assert client.received.files() == (ReceivedFile("", "a", 0, sha(b""), True),)
