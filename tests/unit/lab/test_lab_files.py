"""Tests the files and packets that a lab node computes, and what a reader finds in them."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cucmd.reading.stamps import LastStamp, first_stamp
from cucmlab.captures import Traffic, parse_capture
from cucmlab.files import (
    BLOCK,
    SMALLEST_GZIP,
    Shape,
    blocks,
    files_of,
    gzipped,
    stamped,
    unpacked_size,
)
from cucmlab.selection import CommandRefused

NOW = datetime(2026, 8, 3, 12, 0, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def content(path: str, size: int, node: int = 1) -> bytes:
    return b"".join(blocks(node, path, size))


def test_all_blocks_differ():
    whole = content("a", 8 * BLOCK)
    assert len({whole[i : i + 2 * BLOCK] for i in range(0, len(whole), 2 * BLOCK)}) == 4
    assert len({content("a", BLOCK), content("a", BLOCK, node=2), content("b", BLOCK)}) == 3


def test_newest_trace_has_open_name():
    files = files_of("activelog", 2, Shape(files=4))
    *older, newest = (one.name for one in files if one.folder == "cm/trace/ccm/sdl")
    assert older == [f"SDL002_100_0000{number}.txt.gz" for number in (74, 75, 76)]
    assert newest == "SDL002_100_000077.txt.gzo"


@pytest.mark.parametrize(
    "path",
    [
        "cm/trace/ccm/sdi/ccm00000074.txt.gz",
        "cm/trace/ccm/calllogs/calllogs_00000074.txt.gz",
        "tomcat/logs/axl/log4j/axl00074.log",
        "syslog/messages",
    ],
)
def test_stamps_follow_node_clock(path: str) -> None:
    (file,) = [one for one in files_of("activelog", 1, Shape()) if one.path == path]
    found = b"".join(stamped(blocks(1, path, file.size), file, NOW, BERLIN))
    assert len(found) == file.size
    by = NOW.replace(tzinfo=None)
    first = first_stamp(found[:1000], by)
    assert first is not None
    last = LastStamp(first, by)
    last.feed(found)
    end = last.end()
    assert end is not None
    assert end.local == file.modified(NOW).astimezone(BERLIN).replace(tzinfo=None)
    assert (end.local - first.stamp.local).total_seconds() == file.span


@given(st.integers(SMALLEST_GZIP, 4 * BLOCK))
@example(SMALLEST_GZIP + BLOCK + 4)
@example(SMALLEST_GZIP + BLOCK + 5)
@example(SMALLEST_GZIP + BLOCK + 10)
def test_gzip_has_its_size(size: int) -> None:
    inside = content("a", unpacked_size(size))
    packed = b"".join(gzipped(blocks(1, "a", len(inside)), size))
    assert len(packed) == size
    assert gzip.decompress(packed) == inside


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs tcpdump")
def test_tcpdump_reads_generated_packets(tmp_path: Path) -> None:
    path = tmp_path / "x.cap"
    traffic = Traffic("127.1.0.1", 40, host="127.1.0.1", port=123)
    path.write_bytes(b"".join(traffic.blocks(traffic.count_within(1), NOW)))
    command = ["tcpdump", "-n", "-v", "-tttt", "-r", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"TZ": "UTC"})
    assert done.stdout.count("2026-08-03 12:00:3") == done.stdout.count("10.20.0.4.123") == 10
    assert "bad cksum" not in done.stdout


@pytest.mark.parametrize(
    "more",
    [
        "file a/b",
        "file x count 100001",
        "file x size +5",
        "file x host 10.20.0.2",
        "file x count 5 count 6",
        "file x fast",
    ],
)
def test_wrong_capture_arguments_are_refused(more: str) -> None:
    with pytest.raises(CommandRefused):
        parse_capture(["eth0", *more.split()])
