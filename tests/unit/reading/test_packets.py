"""Captures of every kind that a node may write; and what is none."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.reading.packets import NotPcap, count_packets, count_packets_at
from cucmd.received_file import PacketCount

MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D
ORDERS = ("<", ">")
MOST = 1000
FRAME = bytes(12) + b"\x08\x00" + b"\x45\x00\x00\x14" + bytes(16)  # Ethernet, an IPv4 header


def pcap(packets: list[bytes], order: str = "<", magic: int = MICRO, longest: int = 65535) -> bytes:
    header = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, longest, 1)
    records = [struct.pack(f"{order}IIII", 1, 2, len(one), len(one)) + one for one in packets]
    return header + b"".join(records)


def count(content: bytes) -> PacketCount:
    return count_packets(io.BytesIO(content), MOST)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("magic", [MICRO, NANO])
@pytest.mark.parametrize("packets", [0, 1, 3])
def test_byte_orders_and_resolutions(order, magic, packets):
    assert count(pcap([FRAME] * packets, order, magic)) == PacketCount(packets)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\xd4\xc3", "it has 2 bytes"),
        (b"\xd4\xc3\xb2\xa1", "ends after 4 of 24 bytes"),
        (pcap([])[:23], "ends after 23 of 24 bytes"),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "begins with the bytes 0a 0d 0d 0a"),  # pcapng
        (b"\x1f\x8b\x08\x00" + bytes(40), "begins with the bytes 1f 8b 08 00"),
        (b"No such file or directory\n", "begins with the bytes 4e 6f 20 73"),
        (pcap([])[:4] + b"\x03\x00" + bytes(20), "version 3"),
    ],
)
def test_no_capture_says_why(content, reason):
    with pytest.raises(NotPcap) as caught:
        count(content)
    assert reason in str(caught.value)


@pytest.mark.parametrize("content", [pcap([FRAME] * 3), pcap([FRAME] * 3, ">", NANO)])
def test_a_capture_cut_at_any_byte(content):
    whole = {length: count(content[:length]) for length in range(24, len(content) + 1)}
    counts = [found.count for found in whole.values()]
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2, 3}
    ends = [length for length, found in whole.items() if not found.truncated]
    assert len(content) in ends
    for length in ends:  # only between two packets
        assert count(content[:length] + b"\0").truncated


def record(length: int) -> bytes:
    return struct.pack("<IIII", 1, 2, length, 60)


@pytest.mark.parametrize(
    ("longest", "length"),
    [(65535, 0), (65535, 65536), (60, 61), (0, 256 * 1024 + 1), (0xFFFFFFFF, 256 * 1024 + 1)],
)
def test_an_impossible_length(longest, length):
    found = count(pcap([FRAME], longest=longest) + record(length) + bytes(300 * 1024))
    assert (found.count, found.truncated) == (1, False)
    assert found.uncounted is not None
    assert f"{length:,} bytes" in found.uncounted


def test_the_largest_packets():
    assert count(pcap([bytes(60)] * 2, longest=60)) == PacketCount(2)
    assert count(pcap([bytes(256 * 1024)] * 2, longest=0)) == PacketCount(2)


def test_counting_ends_at_the_limit():
    assert count_packets(counted([FRAME] * 5), 5) == PacketCount(5)
    file = counted([b"x"] * 100_000)
    found = count_packets(file, 5)
    assert (found.count, bool(found.uncounted)) == (5, True)
    assert file.read_bytes == 24 + 6 * 16


@given(st.binary(max_size=400))
def test_no_bytes_raise(content):
    try:
        found = count(content)
    except NotPcap:
        return
    assert 0 <= found.count <= len(content) // 16


@given(
    st.sampled_from([pcap([FRAME] * 2), pcap([FRAME] * 2, ">", NANO)]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 400),
)
def test_no_damaged_capture_raises(content, changes, length):
    damaged = bytearray(content)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    try:
        found = count(bytes(damaged[:length]))
    except NotPcap:
        return
    assert 0 <= found.count <= len(content) // 16


class Counted(io.BytesIO):
    """Counts the bytes that are read, and the most at once."""

    read_bytes = 0
    most = 0

    def read(self, size: int | None = -1) -> bytes:
        got = super().read(size)
        self.read_bytes += len(got)
        self.most = max(self.most, len(got))
        return got


def counted(packets: list[bytes]) -> Counted:
    return Counted(pcap(packets))


def test_packets_are_skipped():
    file = counted([bytes(60_000)] * 50)
    assert count_packets(file, MOST).count == 50
    assert file.most <= 24
    assert file.read_bytes < 50 * 16 + 100


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs tcpdump")
@pytest.mark.parametrize(
    "content",
    [
        *(pcap([FRAME] * 5, order, magic) for order in ORDERS for magic in (MICRO, NANO)),
        pcap([]),
        pcap([FRAME] * 4)[:-7],
        pcap([FRAME]) + record(256 * 1024 + 1) + bytes(300 * 1024),
    ],
)
def test_tcpdump_counts_the_same(tmp_path, content):
    path = tmp_path / "x.cap"
    path.write_bytes(content)
    ours = count_packets_at(path, MOST)
    done = subprocess.run(
        ["tcpdump", "-n", "-t", "-r", str(path)], capture_output=True, text=True, check=False
    )
    assert len(re.findall("^IP", done.stdout, re.MULTILINE)) == ours.count, done.stderr
    assert (done.returncode != 0) == (ours != PacketCount(ours.count)), done.stderr
