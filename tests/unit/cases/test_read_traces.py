"""Stamps out of real files: plain, gzip, archives; cut off, damaged, hostile and endless ones."""

import gzip
import io
import os
import random
import tarfile
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
from cucmd.cases.read_traces import Beginning, Budget, OutOfBudget, Pace, last_stamp, look
from cucmd.cases.stamps import Stamp
from cucmd.cases.unpack import PIECE, TarMembers, unpacked
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


def span_of(path: Path) -> tuple[datetime | None, datetime | None]:
    """The first and the last stamp of a file, by the node's clock."""
    budget = Budget()
    first = look(budget, path, BY).first
    if first is None:
        return None, None
    last = last_stamp(budget, path, first, BY)
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


def test_a_gzip_that_unpacks_to_too_much_has_no_end(put: Callable[[bytes], Path]) -> None:
    path = put(gzip.compress(log4j() + bytes(80 * 1024**2)))
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


def test_what_is_no_file_any_more_has_no_stamps(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for name in ("gone", "folder", "link", "pipe"):
        assert look(Budget(), tmp_path / name, BY).first is None


def test_an_empty_file_is_not_one_without_stamps(put: Callable[[bytes], Path]) -> None:
    assert look(Budget(), put(b""), BY).empty
    assert not look(Budget(), put(b"\x1f\x8b"), BY).empty


def test_an_archive_has_the_traces_of_its_files(tmp_path: Path) -> None:
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
        found = look(Budget(), tgz(tmp_path / "a.tgz", files, format=form), BY)
        assert found.traces == (
            Trace(
                "log/x*.log",
                Stamp(FIRST),
                Stamp(LAST),
                file="log/x00001.log",
                last_begin=Stamp(FIRST.replace(second=20)),
            ),
            Trace(
                long,
                Stamp(FIRST),
                Stamp(FIRST.replace(second=1)),
                file=long,
                last_begin=Stamp(FIRST),
            ),
            Trace("none.log", unknown=1, file="none.log"),
        )


def test_traces_of_too_many_names_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_traces, "MOST_TRACES", 2)
    files = {f"active/{name}.log": log4j(2) for name in "abcd"}
    found = look(Budget(), tgz(tmp_path / "a.tgz", files), BY)
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
    assert look(Budget(), path, BY).traces is not None
    assert all(trace.partial for trace in look(Budget(), path, BY).traces or ())


def test_an_archive_that_unpacks_to_too_much_may_have_had_more(tmp_path: Path) -> None:
    files = {"active/x.log": log4j(), "active/y": bytes(100 * 1024**2)}
    found = look(Budget(), tgz(tmp_path / "a.tgz", files), BY)
    assert found.traces is not None
    assert found.traces[0].partial


@given(st.lists(st.binary(max_size=600)))
def test_no_bytes_are_an_archive_that_raises(chunks: list[bytes]) -> None:
    for _, content in TarMembers(chunks):
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
    for _, member in TarMembers([bytes(content)]):
        b"".join(member)


# The costs


class Steps:
    """Counts them, and the bytes that a budget has lost."""

    def __init__(self) -> None:
        self.count = 0
        self.budget = Budget(self.step)

    def step(self) -> None:
        self.count += 1

    @property
    def used(self) -> int:
        return self.budget.given - self.budget.left


def test_a_budget_grows_with_what_a_node_has_sent() -> None:
    budget = Budget()
    assert budget.left == read_traces.BUDGET
    budget.add_file(1000)
    assert budget.left == read_traces.BUDGET + read_traces.BUDGET_OF_FILE + 32 * 1000
    for _ in range(3):
        budget.add_file(1024**4)
    assert budget.left == read_traces.MOST


def test_a_budget_that_is_spent_stays_so() -> None:
    budget = Budget()
    budget.spend(read_traces.BUDGET)
    assert not budget.spent
    with pytest.raises(OutOfBudget):
        budget.spend(1)
    budget.add_file(1000)
    with pytest.raises(OutOfBudget):
        budget.spend(1)
    assert budget.spent


def test_the_files_of_a_node_share_its_budget(put: Callable[[bytes], Path]) -> None:
    path = put(gzip.compress(log4j() + bytes(60 * 1024**2)))
    budget = Budget()
    first = look(budget, path, BY).first
    assert first is not None
    ends = [last_stamp(budget, path, first, BY) is not None for _ in range(10)]
    assert ends == sorted(ends, reverse=True)
    assert budget.spent
    assert look(budget, path, BY) == Beginning(unread=True)


def test_no_piece_is_free(put: Callable[[bytes], Path]) -> None:
    """A gzip of nothing has 20 bytes, and takes as long as some kilobytes."""
    steps = Steps()
    path = put(gzip.compress(log4j(2)) + gzip.compress(b"") * 50_000)
    first = look(steps.budget, path, BY).first
    assert first is not None
    last_stamp(steps.budget, path, first, BY)
    assert steps.budget.spent
    assert steps.count < 30_000


def test_each_member_of_an_archive_costs(tmp_path: Path) -> None:
    few, many = Steps(), Steps()
    for steps, members in ((few, 100), (many, 2000)):
        path = tgz(tmp_path / "a.tgz", {f"active/{number}": b"" for number in range(members)})
        look(steps.budget, path, BY)
    assert 1900 * 2 * 16 * 1024 < many.used - few.used < 2 * 1900 * 2 * 16 * 1024


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
def test_a_trace_that_passes_midnight_too_often_has_no_end_and_is_not_read_to_it(
    put: Callable[[bytes], Path], day: tuple[str, ...]
) -> None:
    steps = Steps()
    path = put(gzip.compress(sdl(*day * (300_000 // len(day)))))
    first = look(steps.budget, path, BY).first
    assert first is not None
    assert last_stamp(steps.budget, path, first, BY) is None
    assert steps.count < 20


def test_a_trace_whose_lines_cost_the_most_ends_with_its_budget(
    put: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_traces, "BUDGET", 1024**2)
    steps = Steps()
    path = put(gzip.compress(sdl(*("13:00:01", "13:00:00") * 20_000)))
    first = look(steps.budget, path, BY).first
    assert first is not None
    assert last_stamp(steps.budget, path, first, BY) is None
    assert steps.budget.spent


def test_a_reader_rests_each_hundredth_of_a_second(put: Callable[[bytes], Path]) -> None:
    path = put(gzip.compress(log4j(3000)))
    rests: list[float] = []
    pace = Pace(rests.append)
    budget = Budget(pace.step)
    began = time.thread_time()
    for _ in range(400):
        with pace.at_work():
            look(budget, path, BY)
    worked = time.thread_time() - began
    assert rests
    assert 0.5 * worked < sum(rests) <= worked
    assert sum(rest > 0.03 for rest in rests) <= len(rests) // 10


def test_what_a_rest_raises_ends_the_reading(put: Callable[[bytes], Path]) -> None:
    def end(worked: float) -> None:
        raise KeyboardInterrupt

    path = put(gzip.compress(log4j() + bytes(60 * 1024**2)))
    pace = Pace(end)
    budget = Budget(pace.step)
    first = look(Budget(), path, BY).first
    assert first is not None
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(KeyboardInterrupt) as kept, pace.at_work():
        last_stamp(budget, path, first, BY)
    assert len(os.listdir("/proc/self/fd")) == before, f"the file is open, as long as {kept} lives"
    assert budget.left > 0
