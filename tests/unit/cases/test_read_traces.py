"""Stamps out of real files: plain, gzip, archives; cut off, damaged, hostile and endless ones."""

import gzip
import io
import os
import random
import tarfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.cases import read_traces
from cucmd.cases.covered import Trace
from cucmd.cases.read_traces import Abandoned, Found, Pace, last_stamp, look, look_all
from cucmd.cases.stamps import Stamp
from cucmd.cases.unpack import PIECE, Tar, unpacked
from rig.tries import tries

BY = datetime(2026, 11, 25, 15, 30)
FIRST, LAST = datetime(2026, 11, 25, 13), datetime(2026, 11, 25, 14, 39, 59)


def log4j(lines: int = 6000) -> bytes:
    """A line a second from 13:00 on."""
    return b"".join(
        b"2026-11-25 %02d:%02d:%02d,001 INFO  [x] %d\n"
        % (13 + n // 3600, n // 60 % 60, n % 60, n * n)
        for n in range(lines)
    )


def pace(seconds: float = 60) -> Pace:
    return Pace(threading.Event(), seconds)


def span_of(path: Path) -> tuple[datetime | None, datetime | None]:
    """The first and the last stamp of a file, by the node's clock."""
    first = look(pace(), path, BY).first
    if first is None:
        return None, None
    last = last_stamp(pace(), path, first, BY)
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


def test_a_plain_file(put: Callable[[bytes], Path]) -> None:
    assert span_of(put(log4j())) == (FIRST, LAST)


def test_of_a_large_plain_file_only_both_ends_are_read(put: Callable[[bytes], Path]) -> None:
    path = put(log4j())
    with path.open("r+b") as file:  # a hole of 4 GB between the two
        file.truncate(4 * 1024**3)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + log4j())
    assert span_of(path) == (FIRST, LAST)


def test_a_gzip(put: Callable[[bytes], Path]) -> None:
    assert span_of(put(gzip.compress(log4j()))) == (FIRST, LAST)


def test_gzips_one_after_the_other(put: Callable[[bytes], Path]) -> None:
    lines = log4j()
    parts = (lines[start : start + 10_000] for start in range(0, len(lines), 10_000))
    assert span_of(put(b"".join(map(gzip.compress, parts)))) == (FIRST, LAST)


def test_a_gzip_that_is_cut_off_ends_with_its_last_whole_line(
    put: Callable[[bytes], Path],
) -> None:
    whole = gzip.compress(log4j())
    begin, end = span_of(put(whole[: len(whole) // 2]))
    assert begin == FIRST
    assert end is not None
    assert FIRST < end < LAST


@given(st.data())
@tries(30)
def test_a_gzip_cut_off_or_damaged_anywhere_raises_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
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
def test_no_bytes_of_a_file_raise(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, beginning: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random"
    for text in (beginning + content, gzip.compress(beginning + content)):
        path.write_bytes(text)
        span_of(path)


@pytest.mark.long
def test_a_gzip_that_unpacks_to_too_much_has_no_end(
    put: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_traces, "MOST_UNPACKED", 20 * 1024**2)
    path = put(gzip.compress(log4j() + bytes(200 * 1024**2)))
    tracemalloc.start()
    try:
        assert span_of(path) == (FIRST, None)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2 * 1024**2


def test_a_piece_is_small_however_much_a_gzip_unpacks_to() -> None:
    bomb = gzip.compress(bytes(50 * 1024**2))
    sizes = [len(piece) for piece in unpacked([bomb[:10], bomb[10:]])]
    assert sum(sizes) == 50 * 1024**2
    assert max(sizes) <= PIECE


def test_a_file_that_is_too_large_to_unpack_is_not_begun(
    put: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_traces, "MOST_READ", 1000)
    assert span_of(put(gzip.compress(log4j()))) == (FIRST, None)


def test_what_is_no_file_any_more_has_no_stamps(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for name in ("gone", "folder", "link", "pipe"):
        assert look(pace(), tmp_path / name, BY).first is None


def test_an_empty_file_is_not_one_without_stamps(put: Callable[[bytes], Path]) -> None:
    assert look(pace(), put(b""), BY).empty
    assert not look(pace(), put(b"\x1f\x8b"), BY).empty


def test_an_archive_has_the_traces_of_its_files(tmp_path: Path) -> None:
    lines = log4j().splitlines(keepends=True)
    files = {
        "active/log/x00001.log": b"".join(lines[:10]),
        "active/log/x00003.log": gzip.compress(b"".join(lines[20:])),
        "active/log/x00002.log": gzip.compress(b"".join(lines[10:20])),
        "active/" + "long/" * 30 + "y.log": b"".join(lines[:2]),
        "active/none.log": b"nothing\n",
        "active/empty.log": b"",
    }
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        found = look(pace(), tgz(tmp_path / "a.tgz", files, format=form), BY)
        assert found.traces == (
            Trace("log/x*.log", Stamp(FIRST), Stamp(LAST)),
            Trace("long/" * 30 + "y.log", Stamp(FIRST), Stamp(FIRST.replace(second=1))),
            Trace("none.log", unknown=1),
        )


def test_traces_of_too_many_names_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_traces, "MOST_TRACES", 2)
    files = {f"active/{name}.log": log4j(2) for name in "abcd"}
    found = look(pace(), tgz(tmp_path / "a.tgz", files), BY)
    assert found.traces is not None
    assert [(trace.name, trace.unknown) for trace in found.traces] == [
        ("a.log", 0),
        ("b.log", 0),
        ("others", 2),
    ]


def test_an_archive_that_is_cut_off_may_have_had_more(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(500_000)
    path = tgz(tmp_path / "a.tgz", {"active/x.log": log4j(), "active/y": noise})
    os.truncate(path, path.stat().st_size - 300_000)
    assert look(pace(), path, BY).traces is not None
    assert all(trace.partial for trace in look(pace(), path, BY).traces or ())


def test_an_archive_that_is_too_large_may_have_had_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_traces, "MOST_OF_ARCHIVE", 1024**2)
    files = {"active/x.log": log4j(), "active/y": bytes(2 * 1024**2)}
    found = look(pace(), tgz(tmp_path / "a.tgz", files), BY)
    assert found.traces is not None
    assert found.traces[0].partial


@given(st.lists(st.binary(max_size=600)))
def test_no_bytes_are_an_archive_that_raises(chunks: list[bytes]) -> None:
    for _, content in Tar(chunks):
        b"".join(content)


@given(st.data())
@tries(30)
def test_a_damaged_archive_raises_nothing(data: st.DataObject) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("a", "b" * 300):
            info = tarfile.TarInfo(name)
            info.size = 700
            archive.addfile(info, io.BytesIO(bytes(700)))
    content = bytearray(stream.getvalue())
    for at in data.draw(st.lists(st.integers(0, 3000), max_size=5)):
        content[at] = data.draw(st.integers(0, 255))
    for _, member in Tar([bytes(content)]):
        b"".join(member)


def test_reading_ends_when_nobody_waits(put: Callable[[bytes], Path]) -> None:
    ended = threading.Event()
    ended.set()
    with pytest.raises(Abandoned):
        look_all(Pace(ended, 60), [(put(log4j()), BY)])


def test_after_the_time_for_a_job_its_files_are_unknown(put: Callable[[bytes], Path]) -> None:
    path = put(log4j())
    assert look_all(pace(0), [(path, BY)] * 3) == [Found()] * 3
    first = look(pace(), path, BY).first
    assert first is not None
    assert last_stamp(pace(0), path, first, BY) is None


def test_the_thread_rests_twice_as_long_as_it_works(put: Callable[[bytes], Path]) -> None:
    path = put(gzip.compress(log4j(3000)))
    cpu, clock = time.thread_time(), time.monotonic()
    look_all(pace(), [(path, BY)] * 400)
    assert time.monotonic() - clock > 2.5 * (time.thread_time() - cpu)
