"""Reads the stamps of one file or archive, in a thread that works only while the daemon has time.

The one rule: everything is bounded, the bytes read and unpacked and the time. A file that cannot be
read is told apart, one that is read in part has no stamp beyond it, and neither fails anything.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from cucmd.cases.covered import Trace, trace_name
from cucmd.cases.stamps import First, LastStamp, Stamp, first_stamp
from cucmd.cases.unpack import PIECE, Tar, is_tar, unpacked

# Of the beginning of a file, unpacked: the first line with a stamp is in it, or none is.
BEGINNING = 64 * 1024
# Of a file that is read to its end: bytes on disk, and unpacked. A trace of CallManager has 10 MB.
MOST_READ = 256 * 1024 * 1024
MOST_UNPACKED = 512 * 1024 * 1024
# Of an archive, for both: it has all files of one command.
MOST_OF_ARCHIVE = 4 * 1024 * 1024 * 1024
# Of a text file that need not be read from its beginning.
_TAIL = 256 * 1024
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

# Traces of one node that are told apart.
MOST_TRACES = 200
# Work for a hundredth of a second, then rest twice as long. The thread's priority is not lowered
# instead: it holds the interpreter's lock while it searches a piece, and on a busy machine the
# daemon would wait for a thread that the kernel does not run.
_WORK, _REST = 0.01, 2


class Abandoned(Exception):
    """Nobody waits for the result any more."""


class OutOfTime(Exception):
    """The time for the files of one job is over."""


class Pace:
    """Of one job and one thread: when to rest, and when to give up.

    seconds   for all files of the job
    """

    def __init__(self, ended: threading.Event, seconds: float) -> None:
        self._ended = ended
        self._deadline = time.monotonic() + seconds
        self._rested: float | None = None  # when, in the thread's own time; None: not begun

    def step(self) -> None:
        """Before each piece. Raises `Abandoned`, `OutOfTime`."""
        if self._ended.is_set():
            raise Abandoned
        if time.monotonic() >= self._deadline:
            raise OutOfTime
        now = time.thread_time()
        if self._rested is None:
            self._rested = now
        elif (worked := now - self._rested) >= _WORK:
            self._ended.wait(_REST * worked)
            self._rested = time.thread_time()


class Found(msgspec.Struct, frozen=True):
    """What the beginning of a file shows: a first stamp, or, of an archive, its traces.

    Both None: no stamp that is known. `empty`: there is nothing in it. `unread`: it is gone, or
    cannot be read.
    """

    first: First | None = None
    traces: tuple[Trace, ...] | None = None
    empty: bool = False
    unread: bool = False


def look_all(pace: Pace, files: Sequence[tuple[Path, datetime]]) -> list[Found]:
    """(path, when it was collected) of each file. Raises `Abandoned`."""
    return [look(pace, path, by) for path, by in files]


def look(pace: Pace, path: Path, by: datetime) -> Found:
    """Raises `Abandoned`."""
    try:
        beginning = _beginning(unpacked(_chunks(pace, path, BEGINNING)))
        if not beginning:
            return Found(empty=path.lstat().st_size == 0)
        if is_tar(beginning):
            return Found(traces=_of_archive(pace, path, by) or None)
    except OSError:
        return Found(unread=True)
    except OutOfTime:
        return Found()
    return Found(first_stamp(beginning, by))


def last_stamp(pace: Pace, path: Path, first: First, by: datetime) -> Stamp | None:
    """The last stamp of a file, which is read to its end where it must be.

    None: it is too large, or cannot be read. Raises `Abandoned`.
    """
    try:
        if first.form != "sdl" and not _is_gzip(pace, path):
            tail = LastStamp(first, by)
            for chunk in _chunks(pace, path, _TAIL, from_end=True):
                tail.feed(chunk)
            return tail.end()
        size = path.lstat().st_size
        chunks = _chunks(pace, path, size)
        return _last(pace, chunks, first, by) if size <= MOST_READ else None
    except (OSError, OutOfTime):
        return None


# Archives


def _of_archive(pace: Pace, path: Path, by: datetime) -> tuple[Trace, ...]:
    """It is read twice: which file of a trace is the last one is known only at its end."""
    files = Files()

    def begin(name: str, content: Iterator[bytes]) -> None:
        if beginning := _beginning(unpacked(content)):
            files.add(name, name.partition("/")[2] or name, first_stamp(beginning, by))

    def end(name: str, content: Iterator[bytes]) -> None:
        for trace, (last, first) in files.newest.items():
            if last == name:
                files.traces[trace].end = _last(pace, content, first, by)

    whole = False
    with suppress(OutOfTime):
        whole = _each_member(pace, path, begin)
        if whole:
            _each_member(pace, path, end)
    for trace in files.traces.values():
        trace.partial = not whole
    return files.all()


def _each_member(pace: Pace, path: Path, use: Callable[[str, Iterator[bytes]], None]) -> bool:
    """False: the archive is too large, or was cut off."""
    archive = unpacked(_chunks(pace, path, MOST_OF_ARCHIVE))
    tar = Tar(_Bounded(pace, archive, MOST_OF_ARCHIVE))
    for name, content in tar:
        use(name, content)
    return tar.whole


def trace_of(traces: dict[str, Trace], name: str) -> Trace | None:
    """The trace of that name; None: there are too many."""
    if name not in traces and len(traces) >= MOST_TRACES:
        return None
    return traces.setdefault(name, Trace(name))


class Files:
    """What was found in the files of one node, or of one archive, so far.

    newest   of each trace the file with the last of the first stamps
    """

    def __init__(self) -> None:
        self.traces: dict[str, Trace] = {}
        self.newest: dict[str, tuple[str, First]] = {}
        self._left_out = Trace("others")

    def add(self, path: str, name: str, first: First | None) -> None:
        """`path`: by which the file is found again. `name`: below the folders of its push."""
        trace = trace_of(self.traces, trace_name(name))
        if trace is None or first is None:
            (trace or self._left_out).unknown += 1
            return
        if trace.begin is None or first.stamp.local < trace.begin.local:
            trace.begin = first.stamp
        newest = self.newest.get(trace.name)
        if newest is None or first.stamp.local >= newest[1].stamp.local:
            self.newest[trace.name] = path, first

    def add_trace(self, one: Trace) -> None:
        """A trace of an archive."""
        trace = trace_of(self.traces, one.name)
        if trace is None:
            self._left_out.unknown += 1
            return
        trace.unknown += one.unknown
        # Where the end of one archive is not known, that of another is not the end of all.
        trace.partial = trace.partial or one.partial or (one.begin is not None and one.end is None)
        if one.begin is not None and (trace.begin is None or one.begin.local < trace.begin.local):
            trace.begin = one.begin
        if one.end is not None and (trace.end is None or one.end.local > trace.end.local):
            trace.end = one.end

    def all(self) -> tuple[Trace, ...]:
        traces = sorted(self.traces.values(), key=lambda trace: trace.name)
        return (*traces, self._left_out) if self._left_out.unknown else tuple(traces)


# Bytes


class _Bounded:
    """At most `most` bytes of what is given. `cut`: there was more."""

    def __init__(self, pace: Pace, pieces: Iterable[bytes], most: int) -> None:
        self._pace = pace
        self._pieces = iter(pieces)
        self._left = most
        self.cut = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._pace.step()
        piece = next(self._pieces)
        self._left -= len(piece)
        if self._left < 0:
            self.cut = True
            raise StopIteration
        return piece


def _beginning(pieces: Iterator[bytes]) -> bytes:
    taken = bytearray()
    for piece in pieces:
        taken += piece
        if len(taken) >= BEGINNING:
            break
    return bytes(taken[:BEGINNING])


def _last(pace: Pace, chunks: Iterator[bytes], first: First, by: datetime) -> Stamp | None:
    content = _Bounded(pace, unpacked(chunks), MOST_UNPACKED)
    last = LastStamp(first, by)
    for piece in content:
        last.feed(piece)
    return None if content.cut else last.end()


def _is_gzip(pace: Pace, path: Path) -> bool:
    return b"".join(_chunks(pace, path, 2)) == b"\x1f\x8b"


def _chunks(pace: Pace, path: Path, most: int, *, from_end: bool = False) -> Iterator[bytes]:
    """At most `most` bytes of a file, from its beginning or at its end. Raises `OSError`."""
    descriptor = os.open(path, _FLAGS)
    try:
        if from_end:
            size = os.fstat(descriptor).st_size
            os.lseek(descriptor, max(size - most, 0), os.SEEK_SET)
        left = most
        while left > 0:
            pace.step()
            chunk = os.read(descriptor, min(PIECE, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
    finally:
        os.close(descriptor)
