"""The process that searches files: damaged, huge and odd ones."""

import gzip
import os
import random
import subprocess
import sys
import zlib
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from cucmd.reading import find
from cucmd.reading.unpack import unpacked
from cucmd.worker import frames
from cucmd.worker.frames import NO_TIME, FindIn, FindPage, FoundLine, LinesFound
from rig.searched import archive

LINE = b"2026-11-25 14:00:01,250 INFO  [x] needle %d\n"
BY = datetime(2026, 11, 27)


class Sent:
    """Stands in for the channel to the daemon."""

    def __init__(self) -> None:
        self.frames: list[LinesFound] = []

    def send(self, frame: LinesFound) -> None:
        assert len(frames.encode_frame(frame)) <= frames.MAX_FRAME
        self.frames.append(frame)

    @property
    def lines(self) -> list[FoundLine]:
        return [line for frame in self.frames for line in frame.lines]

    @property
    def texts(self) -> list[bytes]:
        return [line.line for line in self.lines]

    @property
    def unread(self) -> dict[bytes, str]:
        return {file.path: file.why for frame in self.frames for file in frame.unread}


ALL = FindIn(
    directory=b"",
    text="needle",
    regex=None,
    number=None,
    ignore_case=False,
    since=None,
    until=None,
    context=0,
    files=False,
)


def search(folder: Path, files: dict[str, bytes], seconds: float = 10, **asked: object) -> Sent:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    changed = msgspec.structs.replace(ALL, directory=os.fsencode(folder), **asked)
    sent = Sent()
    searching = find.FileSearch(sent, changed, find.compile_search(changed), seconds)
    searching.add(FindPage(0, BY, "Europe/Berlin", tuple(map(os.fsencode, files))))
    searching.run()
    assert sent.frames[-1].ended
    return sent


def lines(count: int) -> bytes:
    return b"".join(LINE % number for number in range(count))


def incompressible(count: int) -> bytes:
    dice = random.Random(5)
    return b"".join(
        b"%s needle %d\n" % (dice.randbytes(40).hex().encode(), n) for n in range(count)
    )


def test_damaged_gzip_is_searched_before_damage(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(incompressible(20_000)))
    packed[len(packed) // 2] ^= 0xFF
    sent = search(tmp_path, {"a.gz": packed, "b.txt": LINE % 7})
    whole = b"".join(unpacked([bytes(packed)])).count(b"needle")
    assert 8000 < whole == len(sent.lines) - 1
    assert sent.unread[b"a.gz"].startswith("is damaged")
    assert LINE.strip() % 7 in sent.texts


@pytest.mark.parametrize("context", [0, 3])
def test_cut_gzip_is_searched_to_cut(tmp_path: Path, context: int) -> None:
    packed = gzip.compress(incompressible(20_000))
    cut = packed[: len(packed) // 2]
    sent = search(tmp_path, {"a.gz": cut}, context=context)
    assert 8000 < len(sent.lines) == b"".join(unpacked([cut])).count(b"needle")
    assert list(sent.unread) == [b"a.gz"]


@pytest.mark.parametrize("name", ["a.gzo", "a.gzo.1"])
def test_file_being_written_is_whole(tmp_path: Path, name: str) -> None:
    packed = gzip.compress(incompressible(20_000))
    sent = search(tmp_path, {name: packed[: len(packed) // 2]})
    assert sent.lines
    assert not sent.unread


def test_files_in_archives_are_searched(tmp_path: Path) -> None:
    packed = archive({"sdl/a.txt": LINE % 1, "sdl/b.txt.gz": gzip.compress(LINE % 2)})
    sent = search(tmp_path, {"a.tar.gz": packed})
    assert [(line.member, line.line) for line in sent.lines] == [
        ("sdl/a.txt", LINE.strip() % 1),
        ("sdl/b.txt.gz", LINE.strip() % 2),
    ]


def test_long_member_names_fit_in_frames(tmp_path: Path) -> None:
    packed = archive({"\u20ac" * 1300: b"needle\n" * 2000})
    assert len(search(tmp_path, {"a.tar.gz": packed}).lines) == 2000


def test_damage_in_archive_spares_others(tmp_path: Path) -> None:
    broken = bytearray(gzip.compress(incompressible(5000)))
    broken[len(broken) // 2] ^= 0xFF
    packed = archive({"a.gz": bytes(broken), "b.txt": LINE % 2})
    sent = search(tmp_path, {"a.tar.gz": packed})
    assert sent.unread[b"a.tar.gz"].startswith("a.gz: is damaged")
    assert sent.texts[-1] == LINE.strip() % 2


@pytest.mark.parametrize("inner", [gzip.compress(lines(3)), archive({"b.log": lines(3)})])
def test_file_packed_twice_is_named(tmp_path: Path, inner: bytes) -> None:
    outer = {"a.tgz": archive({"c.log": LINE % 1, "b.gz": gzip.compress(inner)})}
    outer["a.gz"] = gzip.compress(gzip.compress(inner))
    found = search(tmp_path, outer)
    assert found.texts == [(LINE % 1).rstrip()]
    assert found.unread.keys() == {b"a.tgz", b"a.gz"}
    assert "b.gz" in found.unread[b"a.tgz"]


def test_cut_archive_is_named(tmp_path: Path) -> None:
    packed = archive({"a.txt": lines(1000), "b.txt": incompressible(10_000)})
    sent = search(tmp_path, {"a.tar.gz": packed[: len(packed) // 2]})
    assert len(sent.lines) > 1000
    assert list(sent.unread) == [b"a.tar.gz"]


@pytest.mark.parametrize("size", [0, 1, 10])
def test_tiny_files_are_searched(tmp_path: Path, size: int) -> None:
    sent = search(tmp_path, {"a.gz": gzip.compress(b"x" * size), "b": b"x" * size, "c": b"needle"})
    assert sent.texts == [b"needle"]
    assert not sent.unread


def test_huge_archive_is_stopped(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    sent = search(tmp_path, {"a.gz": bomb, "b.txt": LINE % 7}, seconds=0.01)
    assert sent.unread == {b"a.gz": "takes far longer to search than logs of its size"}
    assert sent.texts == [LINE.strip() % 7]


@pytest.mark.parametrize("text", [b"needle", b"x" * 500 + b"needle"])
def test_long_line_is_one_match(tmp_path: Path, text: bytes) -> None:
    """The text lies where two parts of the line meet, and elsewhere."""
    one = b"x" * (find._LONGEST_SEARCHED - 3) + b"needle" + b"x" * 5_000_000 + b"needle"
    sent = search(tmp_path, {"a": b"\n" + one + b"\nneedle\n"}, text=text.decode())
    assert [line.number for line in sent.lines] == ([2, 3] if text == b"needle" else [2])
    assert all(b"needle" in line.line and len(line.line) <= 32 * 1024 for line in sent.lines)


@pytest.mark.parametrize("context", [1, 3, 20])
def test_lines_around_are_sent(tmp_path: Path, context: int) -> None:
    each = [b"%d %s" % (n, b"y" * (n % 400)) for n in range(5000)]
    sought = [0, 1, 30, 2500, 4990, 4999]
    for number in sought:
        each[number] += b" needle"
    sent = search(tmp_path, {"a": b"".join(line + b"\n" for line in each)}, context=context)
    assert [line.number - 1 for line in sent.lines] == sought
    for number, line in zip(sought, sent.lines, strict=True):
        assert list(line.before) == each[max(0, number - context) : number]
        assert list(line.after) == each[number + 1 : number + 1 + context]


def test_case_can_be_ignored(tmp_path: Path) -> None:
    files = {"a": b"NEEDLE\nneedle\nneedl\n"}
    assert len(search(tmp_path, files, ignore_case=True).lines) == 2
    assert len(search(tmp_path, files, text=None, regex="nEEdle", ignore_case=True).lines) == 2


def test_only_lines_of_time_are_found(tmp_path: Path) -> None:
    text = b"".join(b"2026-11-25 14:00:%02d,000 INFO  [x] needle\nneedle\n" % n for n in range(60))
    begin = int(datetime.fromisoformat("2026-11-25T13:00:10Z").timestamp() * 1000)
    sent = search(tmp_path, {"a": text, "b": b"needle\n"}, since=begin, until=begin + 5000)
    assert [line.time - begin for line in sent.lines] == [
        *(1000 * n for n in range(6) for _ in range(2)),
        NO_TIME - begin,
    ]


def test_marks_are_never_later_than_lines(tmp_path: Path) -> None:
    files = {
        f"{number}": b"".join(
            b"2026-11-25 14:%02d:%02d,000 INFO  [x] needle %s\n" % (number, n % 60, b"y" * 500)
            for n in range(1000)
        )
        for number in range(8)
    }
    mark = -1
    sent = search(tmp_path, files)
    for frame in sent.frames:
        assert all(line.time >= mark for line in frame.lines)
        mark = frame.mark
    assert len(sent.frames) > 10


def test_match_never_spans_lines(tmp_path: Path) -> None:
    sent = search(tmp_path, {"a": b"needle\nx\n"}, text=None, regex=r"needle\s+x|^x?$")
    assert sent.texts == [b"x"]


def test_memory_is_constant(tmp_path: Path) -> None:
    """A line of 120 MB, and many matches, fit in the memory of a process."""
    with gzip.open(tmp_path / "a.gz", "wb", 1) as file:
        for _ in range(120):
            file.write(bytes(1_000_000))
        file.write(b"\n" + lines(200_000))
    run = (
        "import resource, sys; from pathlib import Path; from unit.reading.test_find import *;"
        "resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20));"
        "Sent.send = lambda self, frame: self.frames.__setitem__(slice(None), [frame]);"
        "search(Path(sys.argv[1]), {'a.gz': open(sys.argv[1] + '/a.gz', 'rb').read()})"
    )
    tests = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", run, tmp_path], cwd=tests, check=True)
