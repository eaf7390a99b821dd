"""The packets of a lab node: how many there are at a time, and a file of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.lab.traffic import FLOWS, HEADER, Traffic
from cucmd.work.pcap import Packets, count_packets

HERE = "127.1.0.1"
BEGAN = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
TRAFFIC = st.builds(
    Traffic,
    st.just(HERE),
    st.integers(0, 1000),
    st.sampled_from([None, HERE, "10.20.0.2", "192.0.2.1"]),
    st.sampled_from([None, 5060, 123, 80]),
    st.sampled_from([65535, 128, 14]),
)


@given(TRAFFIC, st.integers(0, 200))
def test_a_file_has_the_size_and_the_packets_that_are_told(traffic: Traffic, count: int) -> None:
    if traffic.seconds_until(1) is None:
        count = 0
    blocks = list(traffic.blocks(count, BEGAN))
    assert {len(block) for block in blocks[:-1]} <= {32 * 1024}
    assert len(b"".join(blocks)) == traffic.bytes_of(count)
    assert traffic.bytes_of(0) == HEADER


@given(TRAFFIC, st.integers(1, 200))
def test_a_packet_comes_when_it_is_told(traffic: Traffic, count: int) -> None:
    seconds = traffic.seconds_until(count)
    if seconds is None:
        assert traffic.count_within(1e6) == 0
    else:
        assert traffic.count_within(seconds + 1e-6) == count
        assert traffic.count_within(seconds - 1e-6) < count


def test_a_longer_capture_begins_as_the_shorter_one() -> None:
    traffic = Traffic(HERE, 40)
    short, long = (b"".join(traffic.blocks(count, BEGAN)) for count in (7, 9))
    assert long.startswith(short)


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs tcpdump")
@pytest.mark.parametrize(
    ("traffic", "count", "flows"),
    [
        (Traffic(HERE, 40), 40, {flow.peer for flow in FLOWS}),
        (Traffic(HERE, 40, host="10.20.0.2"), 10, {"10.20.0.2"}),
        (Traffic(HERE, 40, port=123, size=128), 10, {"10.20.0.4"}),
        (Traffic(HERE, 40, host=HERE), 40, {flow.peer for flow in FLOWS}),
        (Traffic(HERE, 40, host="192.0.2.1"), 0, set()),
    ],
)
def test_tcpdump_reads_it(tmp_path: Path, traffic: Traffic, count: int, flows: set[str]) -> None:
    path = tmp_path / "x.cap"
    assert traffic.count_within(1) == count
    path.write_bytes(b"".join(traffic.blocks(count, BEGAN)))
    assert count_packets(path, 100_000) == Packets(count)
    done = subprocess.run(
        ["tcpdump", "-n", "-v", "-tttt", "-r", str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": "UTC"},
    )
    assert len(re.findall("^2026-11-26 09:30:0", done.stdout, re.MULTILINE)) == count
    assert "bad cksum" not in done.stdout
    assert set(re.findall(r"10\.20\.0\.[0-9]", done.stdout)) >= flows
    peers = re.findall(r"(?:> (10\.20\.0\.\d)\.\d+:|(10\.20\.0\.\d)\.\d+ >)", done.stdout)
    assert {one or other for one, other in peers} == flows
