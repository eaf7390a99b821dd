"""Stamps out of real files: plain, gzip, archives; cut off, damaged, hostile and endless ones."""

import gzip
import io
import os
import random
import tarfile
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.reading.stamps import FirstStamp, Stamp
from cucmd.reading.trace_files import Trace, TraceFile
from cucmd.reading.traces import last_stamp, read_beginning
from cucmd.reading.unpack import PIECE, TarMembers, unpacked
from rig.tries import tries

BY = datetime(2026, 11, 25, 15, 30)
FIRST, LAST = datetime(2026, 11, 25, 13), datetime(2026, 11, 25, 14, 39, 59)


def log4j(lines: int = 6000) -> bytes:
    """Writes a line a second from 13:00 on."""
    return b"".join(
        b"2026-11-25 %02d:%02d:%02d,001 INFO  [x] %d\n"
        % (13 + n // 3600, n // 60 % 60, n % 60, n * n)
        for n in range(lines)
    )


def span_of(path: Path) -> tuple[datetime | None, datetime | None]:
    """Finds the first and the last stamp of a file, by the node's clock."""
    first = read_beginning(path, BY).first
    if first is None:
        return None, None
    last = last_stamp(path, first, BY)
    return first.stamp.local, last and last.local


def tgz(path: Path, files: dict[str, bytes], **options: object) -> Path:
    with tarfile.open(path, "w:gz", **options) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def put(tmp_path: Path) -> Callable[[bytes], Path]:
    def put(content: bytes) -> Path:
        path = tmp_path / "log"
        path.write_bytes(content)
        return path

    return put


def in_members(content: bytes) -> bytes:
    """Packs the content as several gzips, one after the other."""
    parts = (content[at : at + 10_000] for at in range(0, len(content), 10_000))
    return b"".join(map(gzip.compress, parts))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, in_members])
def test_first_and_last_stamp(put, pack):
    assert span_of(put(pack(log4j()))) == (FIRST, LAST)


def test_only_both_ends_are_read(put):
    path = put(log4j())
    with path.open("r+b") as file:  # a hole of 4 GB between the two
        file.truncate(4 * 1024**3)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + log4j())
    assert span_of(path) == (FIRST, LAST)


def test_a_cut_gzip_has_whole_lines(put):
    whole = gzip.compress(log4j())
    begin, end = span_of(put(whole[: len(whole) // 2]))
    assert begin == FIRST
    assert end is not None
    assert FIRST < end < LAST


@given(st.data())
@tries(30)
def test_no_damaged_gzip_raises(tmp_path_factory, data):
    content = bytearray(gzip.compress(log4j(300)))
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    span_of(path)


@given(st.binary(max_size=2000), st.sampled_from([b"", b"\x1f\x8b\x08\0", log4j(2)]))
@tries(50)
def test_no_bytes_of_a_file_raise(tmp_path_factory, content, beginning):
    path = tmp_path_factory.getbasetemp() / "random"
    for text in (beginning + content, gzip.compress(beginning + content)):
        path.write_bytes(text)
        span_of(path)


def test_a_damaged_gzip_gives_its_beginning():
    content = random.Random(1).randbytes(60_000)
    damaged = bytearray(gzip.compress(content))
    damaged[-8] ^= 1  # of its checksum
    given = b"".join(unpacked([bytes(damaged)]))
    assert content.startswith(given)
    assert len(given) > 50_000


def test_a_bomb_takes_little_memory(put):
    path = put(gzip.compress(log4j() + bytes(80 * 1024**2)))
    tracemalloc.start()
    try:
        assert span_of(path) == (FIRST, LAST)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2 * 1024**2


def test_a_bomb_unpacks_in_pieces():
    bomb = gzip.compress(bytes(50 * 1024**2))
    sizes = [len(piece) for piece in unpacked([bomb[:10], bomb[10:]])]
    assert sum(sizes) == 50 * 1024**2
    assert max(sizes) <= PIECE


def test_only_regular_files_are_read(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for name in ("gone", "folder", "link", "pipe"):
        assert read_beginning(tmp_path / name, BY).first is None


def test_an_empty_file_is_empty(put):
    assert read_beginning(put(b""), BY).empty
    assert not read_beginning(put(b"\x1f\x8b"), BY).empty


def test_traces_of_an_archive(tmp_path):
    lines = log4j().splitlines(keepends=True)
    long = "long/" * 30 + "y.log"
    files = {
        "active/log/x00001.log": b"".join(lines[:10]),
        "active/log/x00003.log": gzip.compress(b"".join(lines[20:])),
        "active/log/x00002.log": gzip.compress(b"".join(lines[10:20])),
        f"active/{long}": b"".join(lines[:2]),
        "active/none.log": b"nothing\n",
        "active/empty.log": b"",
    }
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        found = read_beginning(tgz(tmp_path / "a.tgz", files, format=form), BY)
        assert found.traces == (
            Trace(
                "log/x*.log",
                [
                    trace_file("log/x00001.log", FIRST),
                    trace_file("log/x00003.log", FIRST.replace(second=20), LAST),
                    trace_file("log/x00002.log", FIRST.replace(second=10)),
                ],
                file="log/x00001.log",
            ),
            Trace(long, [trace_file(long, FIRST, FIRST.replace(second=1))], file=long),
            Trace("none.log", unknown=1, file="none.log"),
        )


def trace_file(name: str, first: datetime, end: datetime | None = None) -> TraceFile:
    return TraceFile(name, FirstStamp(Stamp(first), "log4j"), end and Stamp(end))


def test_ends_before_a_jump_are_read(tmp_path):
    lines = log4j().splitlines(keepends=True)
    files = {f"a/x{number}.log": b"".join(lines[at:][:10]) for number, at in ((1, 0), (3, 50))}
    (trace,) = read_beginning(tgz(tmp_path / "a.tgz", files), BY).traces or ()
    ends = [FIRST.replace(second=9), FIRST.replace(second=59)]
    assert [one.end and one.end.local for one in trace.files] == ends


def test_a_cut_archive_is_partial(tmp_path):
    noise = random.Random(1).randbytes(500_000)
    path = tgz(tmp_path / "a.tgz", {"active/x.log": log4j(), "active/y": noise})
    os.truncate(path, path.stat().st_size - 300_000)
    assert read_beginning(path, BY).traces is not None
    assert all(trace.partial for trace in read_beginning(path, BY).traces or ())


@given(st.lists(st.binary(max_size=600)))
def test_no_bytes_of_a_tar_raise(chunks):
    for _, content in TarMembers(chunks):
        b"".join(content)


@given(st.data())
@tries(30)
def test_no_damaged_archive_raises(data):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("a", "b" * 300):
            info = tarfile.TarInfo(name)
            info.size = 700
            archive.addfile(info, io.BytesIO(bytes(700)))
    content = bytearray(stream.getvalue())
    for at in data.draw(st.lists(st.integers(0, 3000), max_size=5)):
        content[at] = data.draw(st.integers(0, 255))
    for _, member in TarMembers([bytes(content)]):
        b"".join(member)


def sdl(*times: str) -> bytes:
    head = (
        b"28131994.000 |13:00:00.000 |FileHead |UTC:+01:00,Date: 2026/11/25, AppName: CCM, "
        b"AppId: 100, FileNumber: 1262, TraceVer: 3.0\n"
    )
    return head + b"".join(b"28131995.000 |%s.000 |x\n" % time.encode() for time in times)


@pytest.mark.parametrize(
    "day",
    [
        ("00:00:00", "12:00:00"),  # into the future
        ("23:59:59", *(f"{hour:02}:00:00" for hour in range(23, -1, -1))),  # into the past
    ],
)
def test_too_many_midnights_have_no_end(put, day):
    path = put(gzip.compress(sdl(*day * (300_000 // len(day)))))
    first = read_beginning(path, BY).first
    assert first is not None
    assert last_stamp(path, first, BY) is None


@pytest.mark.parametrize(
    ("times", "following", "last"),
    [
        (("13:00:00", "14:10:05"), datetime(2026, 11, 25, 14, 30), "2026-11-25 14:10:05"),
        (("23:00:00", "00:10:05"), datetime(2026, 11, 26, 0, 30), "2026-11-26 00:10:05"),
        (("13:00:00", "14:10:05"), datetime(2026, 11, 25, 14, 10, 4), "2026-11-25 14:10:05"),
    ],
)
def test_only_the_tail_is_read(put, times, following, last):
    begin, *others = times
    path = put(sdl(begin) + b"x" * 2**20 + b"\n" + sdl(*others).partition(b"\n")[2])
    first = read_beginning(path, BY).first
    assert first is not None
    with path.open("r+b") as file:  # would be the last stamp if the whole file were read
        file.seek(2**19)
        file.write(b"\n" + sdl("12:00:00"))
    found = last_stamp(path, first, BY, FirstStamp(Stamp(following), "sdl"))
    assert found == Stamp(datetime.fromisoformat(last))


def test_days_are_counted_in_all_lines(put):
    hours = [f"{hour % 24:02}:00:00" for hour in range(13, 50)]
    path, by = put(sdl(*hours)), datetime(2026, 11, 28)
    first = read_beginning(path, by).first
    assert first is not None
    following = FirstStamp(Stamp(datetime(2026, 11, 27, 20)), "sdl")
    assert last_stamp(path, first, by, following) == Stamp(datetime(2026, 11, 27, 1))
