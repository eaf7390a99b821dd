"""SFTP packets are the same at every split of the bytes, and every length is checked."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.receiver.sftp_packets import (
    MAX_PACKET,
    Attributes,
    Fields,
    Malformed,
    PacketBuffer,
)
from rig import sftp_words as words

CORPUS = sorted(Path(__file__).with_name("corpus").joinpath("packets").iterdir())


def fed(pieces: list[bytes]) -> list[bytes]:
    buffer = PacketBuffer()
    return [bytes(packet) for piece in pieces for packet in buffer.feed(piece)]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.data())
def test_every_split_gives_same_packets(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(words.string, bodies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert fed(pieces) == bodies
    assert fed([bytes([byte]) for byte in stream]) == bodies


@pytest.mark.parametrize("length", [0, MAX_PACKET + 1, 2**31, 2**32 - 1])
def test_impossible_length_is_refused(length: int) -> None:
    buffer = PacketBuffer()
    first, rest = length.to_bytes(4, "big")[:1], length.to_bytes(4, "big")[1:]
    assert buffer.feed(first) == []
    with pytest.raises(Malformed, match=f"a packet of {length} bytes"):
        buffer.feed(rest)


def test_longest_packet_is_accepted() -> None:
    body = bytes(MAX_PACKET)
    assert fed([words.string(body)]) == [body]


@given(st.binary(max_size=60))
def test_any_fields_are_read_or_malformed(body: bytes) -> None:
    fields = Fields(memoryview(body))
    try:
        fields.byte()
        fields.uint32()
        fields.string()
        fields.attributes()
        fields.uint64()
    except Malformed:
        pass


@given(
    st.none() | st.integers(0, 2**64 - 1),
    st.none() | st.integers(0, 2**32 - 1),
    st.none() | st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.booleans(),
)
def test_attributes_are_read(
    size: int | None, mode: int | None, times: tuple[int, int] | None, owner: bool
) -> None:
    flags, rest = 0, b""
    if size is not None:
        flags, rest = flags | 0x01, rest + struct.pack(">Q", size)
    if owner:
        flags, rest = flags | 0x02, rest + struct.pack(">II", 0, 0)
    if mode is not None:
        flags, rest = flags | 0x04, rest + struct.pack(">I", mode)
    if times is not None:
        flags, rest = flags | 0x08, rest + struct.pack(">II", *times)
    fields = Fields(memoryview(struct.pack(">I", flags) + rest))
    assert fields.attributes() == Attributes(size, times)


@pytest.mark.parametrize("kept", CORPUS, ids=lambda path: path.name)
def test_kept_streams(kept: Path) -> None:
    stream = kept.read_bytes()
    try:
        packets = fed([stream])
    except Malformed:
        return
    assert fed([stream[:3], stream[3:]]) == packets
