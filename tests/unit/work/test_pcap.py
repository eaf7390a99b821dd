"""Captures of every kind that a node, or a person's own machine, may write; and what is none."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.work.pcap import NotPcap, Packets, Pcap, count_in, count_packets, read_header

MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D
ORDERS = ("<", ">")
FRAME = bytes(12) + b"\x08\x00" + b"\x45\x00\x00\x14" + bytes(16)  # Ethernet, an IPv4 header


def pcap(packets: list[bytes], order: str = "<", magic: int = MICRO) -> bytes:
    header = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    records = [struct.pack(f"{order}IIII", 1, 2, len(one), len(one)) + one for one in packets]
    return header + b"".join(records)


def block(kind: int, body: bytes, order: str) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str) -> bytes:
    interface = block(1, struct.pack(f"{order}HHI", 1, 0, 65535), order)
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order) + interface


def pcapng(packets: list[bytes], order: str = "<") -> bytes:
    blocks = [
        block(6, struct.pack(f"{order}IIIII", 0, 0, 1, len(one), len(one)) + one, order)
        for one in packets
    ]
    statistics = block(5, struct.pack(f"{order}III", 0, 0, 1), order)
    return section(order) + b"".join(blocks) + statistics


def count(content: bytes) -> Packets:
    return count_in(io.BytesIO(content), len(content))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("magic", [MICRO, NANO])
@pytest.mark.parametrize("packets", [0, 1, 3])
def test_pcap_of_both_byte_orders_and_resolutions(order: str, magic: int, packets: int) -> None:
    content = pcap([FRAME] * packets, order, magic)
    assert read_header(content[:28]) == Pcap("pcap", order, magic == NANO, 24)
    assert count(content) == Packets(packets, truncated=False)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("packets", [0, 1, 3])
def test_pcapng_of_both_byte_orders(order: str, packets: int) -> None:
    content = pcapng([FRAME + b"x"] * packets, order)
    assert read_header(content[:28]) == Pcap("pcapng", order, nanoseconds=False, length=28)
    assert count(content) == Packets(packets, truncated=False)


def test_pcapng_of_several_sections_and_all_kinds_of_packets() -> None:
    simple = block(3, struct.pack("<I", len(FRAME)) + FRAME, "<")
    obsolete = block(2, struct.pack("<HHIIII", 0, 0, 0, 1, len(FRAME), len(FRAME)) + FRAME, "<")
    unknown = block(0x0BAD, b"of another program", "<")
    content = pcapng([FRAME], "<") + simple + obsolete + unknown + pcapng([FRAME] * 2, ">")
    assert count(content) == Packets(5, truncated=False)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\xd4\xc3", "it has 2 bytes"),
        (b"\xd4\xc3\xb2\xa1", "ends after 4 of 24 bytes"),
        (pcap([])[:23], "ends after 23 of 24 bytes"),
        (b"\x1f\x8b\x08\x00" + bytes(40), "begins with the bytes 1f 8b 08 00"),
        (b"No such file or directory\n", "begins with the bytes 4e 6f 20 73"),
        (pcap([])[:4] + b"\x03\x00" + bytes(20), "version 3"),
        (section("<")[:27], "ends after 27 of 28 bytes"),
        (section("<")[:8] + bytes(20), "for a byte order"),
        (section("<")[:4] + b"\x1d\0\0\0" + section("<")[8:], "claims to have 29 bytes"),
        (section("<")[:4] + b"\x18\0\0\0" + section("<")[8:], "claims to have 24 bytes"),
    ],
)
def test_what_is_no_capture_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(NotPcap) as caught:
        count(content)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "content", [pcap([FRAME] * 3), pcap([FRAME] * 3, ">", NANO), pcapng([FRAME] * 3)]
)
def test_a_capture_cut_at_any_byte_keeps_what_came_before(content: bytes) -> None:
    whole = {length: count(content[:length]) for length in range(28, len(content) + 1)}
    counts = [found.count for found in whole.values()]
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2, 3}
    ends = [length for length, found in whole.items() if not found.truncated]
    assert len(content) in ends
    for length in ends:  # only between two packets or blocks
        assert count(content[:length] + b"\0").truncated


def test_a_length_that_no_packet_has_ends_the_count() -> None:
    record = struct.pack("<IIII", 1, 2, 256 * 1024 + 1, 60)
    content = pcap([FRAME]) + record + bytes(300 * 1024)
    assert count(content) == Packets(1, truncated=True)


def test_a_block_that_does_not_repeat_its_length_ends_the_count() -> None:
    packet = block(6, struct.pack("<IIIII", 0, 0, 1, 4, 4) + b"abcd", "<")
    content = section("<") + packet + packet[:-4] + b"\x24\0\0\x01" + packet
    assert count(content) == Packets(1, truncated=True)


@pytest.mark.parametrize("length", [0, 4, 13, 0xFFFFFFF0])
def test_a_block_of_an_impossible_length_ends_the_count(length: int) -> None:
    content = section("<") + struct.pack("<II", 6, length) + bytes(64)
    assert count(content) == Packets(0, truncated=True)


@given(st.binary(max_size=400))
def test_any_bytes_are_counted_or_refused(content: bytes) -> None:
    try:
        found = count(content)
    except NotPcap:
        return
    assert 0 <= found.count <= len(content) // 16


@given(
    st.sampled_from([pcap([FRAME] * 2), pcap([FRAME] * 2, ">", NANO), pcapng([FRAME] * 2, ">")]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 400),
)
def test_a_capture_with_wrong_bytes_is_counted_or_refused(
    content: bytes, changes: list[tuple[int, int]], length: int
) -> None:
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


@pytest.mark.parametrize("make", [pcap, pcapng])
def test_the_bytes_of_packets_are_not_read(make) -> None:
    content = make([bytes(60_000)] * 50)
    file = Counted(content)
    assert count_in(file, len(content)).count == 50
    assert file.most <= 28
    assert file.read_bytes < 50 * 32 + 100


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs tcpdump")
@pytest.mark.parametrize(
    "content",
    [
        *(pcap([FRAME] * 5, order, magic) for order in ORDERS for magic in (MICRO, NANO)),
        *(pcapng([FRAME] * 5, order) for order in ORDERS),
        pcapng([FRAME]) + pcapng([FRAME] * 3),
        pcap([]),
        pcap([FRAME] * 4)[:-7],
        pcapng([FRAME] * 4)[:-40],
        pcap([FRAME]) + struct.pack("<IIII", 1, 2, 256 * 1024 + 1, 60) + bytes(300 * 1024),
    ],
)
def test_tcpdump_counts_the_same(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.cap"
    path.write_bytes(content)
    ours = count_packets(path)
    done = subprocess.run(
        ["tcpdump", "-n", "-t", "-r", str(path)], capture_output=True, text=True, check=False
    )
    assert len(re.findall("^IP", done.stdout, re.MULTILINE)) == ours.count, done.stderr
    assert (done.returncode != 0) == ours.truncated, done.stderr


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs tcpdump")
def test_tcpdump_refuses_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.cap"
    path.write_bytes(b"No such file or directory\n" * 10)
    done = subprocess.run(["tcpdump", "-r", str(path)], capture_output=True, check=False)
    assert done.returncode != 0
    with pytest.raises(NotPcap):
        count_packets(path)
