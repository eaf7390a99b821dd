"""Reads the stamps of one file or archive, in a thread that works only while the daemon has time.

What is read of a node is bounded by what the node has sent. A file that cannot be read is told
apart, one that is read in part has no stamp beyond it, and neither fails anything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import msgspec

from cucmd.cases.covered import Trace, trace_name
from cucmd.cases.stamps import First, LastStamp, Stamp, first_stamp
from cucmd.cases.unpack import PIECE, TarMembers, is_tar, unpacked

# Of the beginning of a file, unpacked: the first line with a stamp is in it, or none is.
BEGINNING = 64 * 1024
# Of a text file that need not be read from its beginning.
_TAIL = 256 * 1024
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

# Traces of one node that are told apart.
MOST_TRACES = 200

# What may be read and unpacked of one node, in bytes: so much, and for each file, and so often what
# it has sent. Logs pack to a tenth, now and then to a thirtieth. Of all files but archives only the
# beginnings are unpacked, and of each trace one file to its end; archives are, twice.
BUDGET, BUDGET_OF_FILE, _TIMES = 64 * 1024**2, 256 * 1024, 32
MOST = 8 * 1024**3  # an archive of 4 GB, twice
# The least that a piece costs, and a member of an archive: about as long as so many bytes take.
_COST, _COST_OF_MEMBER = 4 * 1024, 16 * 1024
# Following times of day line by line takes so many times as long as unpacking them.
_FOLLOWED = 4

# A rest after so many seconds of work, or if that takes long since the disk is slow.
_WORK, _LONGEST = 0.01, 0.1


class OutOfBudget(Exception):
    """More would have to be read of a node than what it has sent allows."""


class Pace:
    """When a reader has to rest.

    rest   called in the thread with the seconds of processor time since the last rest; what it
           raises ends the reading
    """

    def __init__(self, rest: Callable[[float], None]) -> None:
        self._rest = rest
        self._worked = 0.0
        self._since = self._at = 0.0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The body is work, in one thread; the next may be in another."""
        self._since, self._at = time.thread_time(), time.monotonic()
        try:
            yield
        finally:
            self._worked += time.thread_time() - self._since

    def step(self) -> None:
        """Before each piece."""
        worked = self._worked + time.thread_time() - self._since
        if worked >= _WORK or time.monotonic() - self._at >= _LONGEST:
            self._rest(worked)
            self._worked = 0.0
            self._since, self._at = time.thread_time(), time.monotonic()


class Budget:
    """What may be read of one node, in bytes: `left` of `given`.

    spent  something was left out for that
    """

    def __init__(self, step: Callable[[], None] = lambda: None) -> None:
        self._step = step
        self.given = self.left = BUDGET
        self.spent = False

    def add_file(self, size: int) -> None:
        """The node has sent a file of so many bytes."""
        more = min(BUDGET_OF_FILE + _TIMES * size, MOST - self.given)
        self.given += more
        self.left += more

    def spend(self, size: int) -> None:
        """Before so many bytes are used. Raises `OutOfBudget`, and what ends the reading."""
        self._step()
        if self.spent or size > self.left:
            self.spent = True
            raise OutOfBudget
        self.left -= size


class Beginning(msgspec.Struct, frozen=True):
    """What the beginning of a file shows: a first stamp, or, of an archive, its traces.

    Both None: no stamp that is known. `empty`: there is nothing in it. `unread`: it is gone, or
    cannot be read.
    """

    first: First | None = None
    traces: tuple[Trace, ...] | None = None
    empty: bool = False
    unread: bool = False


def look(budget: Budget, path: Path, by: datetime) -> Beginning:
    try:
        with _opened(path) as (file, size):
            budget.add_file(size)
            beginning = _beginning(budget, _chunks(budget, file, 0, min(size, BEGINNING)))
            if not beginning:
                return Beginning(empty=size == 0)
            if is_tar(beginning):
                traces = _of_archive(budget, file, size, by)
                return Beginning(traces=traces or None, unread=budget.spent and not traces)
    except (OSError, OutOfBudget):
        return Beginning(unread=True)
    return Beginning(first_stamp(beginning, by))


def last_stamp(budget: Budget, path: Path, first: First, by: datetime) -> Stamp | None:
    """The last stamp of a file, which is read to its end where it must be.

    None: it unpacks to too much, or cannot be read.
    """
    try:
        with _opened(path) as (file, size):
            if first.form != "sdl" and os.pread(file, 2, 0) != b"\x1f\x8b":
                tail = _chunks(budget, file, max(size - _TAIL, 0), size)
                return _last(budget, tail, first, by)
            return _last(budget, unpacked(_chunks(budget, file, 0, size)), first, by)
    except (OSError, OutOfBudget):
        return None


# Archives


def _of_archive(budget: Budget, file: int, size: int, by: datetime) -> tuple[Trace, ...]:
    """It is read twice: which file of a trace is the last one is known only at its end."""
    files = Traces()

    def begin(name: str, content: Iterator[bytes]) -> None:
        if beginning := _beginning(budget, content):
            files.add(name, name.partition("/")[2] or name, first_stamp(beginning, by))

    def end(name: str, content: Iterator[bytes]) -> None:
        for trace, (last, first) in files.newest.items():
            if last == name:
                files.traces[trace].end = _last(budget, unpacked(content), first, by)

    whole = False
    with suppress(OutOfBudget):
        whole = _each_member(budget, file, size, begin)
        if whole:
            _each_member(budget, file, size, end)
    for trace in files.traces.values():
        trace.partial = not whole
    return files.all()


def _each_member(
    budget: Budget, file: int, size: int, use: Callable[[str, Iterator[bytes]], None]
) -> bool:
    """False: the archive was cut off."""
    archive = unpacked(_chunks(budget, file, 0, size))
    tar = TarMembers(_spending(budget, archive))
    for name, content in tar:
        budget.spend(_COST_OF_MEMBER)
        use(name, content)
    return tar.whole


def trace_of(traces: dict[str, Trace], name: str) -> Trace | None:
    """The trace of that name; None: there are too many."""
    if name not in traces and len(traces) >= MOST_TRACES:
        return None
    return traces.setdefault(name, Trace(name))


class Traces:
    """What was found in the files of one node, or of one archive, so far.

    newest   of each trace the file with the last of the first stamps
    """

    def __init__(self) -> None:
        self.traces: dict[str, Trace] = {}
        self.newest: dict[str, tuple[str, First]] = {}
        self._left_out = Trace("others")
        self._missed: set[str] = set()

    def miss(self, name: str) -> None:
        """A file that could not be read: what its trace lacks may be in there."""
        if len(self._missed) < MOST_TRACES:
            self._missed.add(trace_name(name))

    def add(self, path: str, name: str, first: First | None) -> None:
        """`path`: by which the file is found again. `name`: below the folders of its push."""
        trace = trace_of(self.traces, trace_name(name))
        if trace is not None:
            trace.file = trace.file or name
        if trace is None or first is None:
            (trace or self._left_out).unknown += 1
            return
        if trace.begin is None or first.stamp.local < trace.begin.local:
            trace.begin = first.stamp
        newest = self.newest.get(trace.name)
        if newest is None or first.stamp.local >= newest[1].stamp.local:
            self.newest[trace.name] = path, first
            trace.last_begin = first.stamp

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
        if one.last_begin is not None and (
            trace.last_begin is None or one.last_begin.local > trace.last_begin.local
        ):
            trace.last_begin = one.last_begin

    def all(self) -> tuple[Trace, ...]:
        for name in self._missed & self.traces.keys():
            self.traces[name].partial = True
        traces = sorted(self.traces.values(), key=lambda trace: trace.name)
        return (*traces, self._left_out) if self._left_out.unknown else tuple(traces)


# Bytes


def _spending(budget: Budget, pieces: Iterable[bytes], times: int = 1) -> Iterator[bytes]:
    for piece in pieces:
        budget.spend(times * max(len(piece), _COST))
        yield piece


def _beginning(budget: Budget, content: Iterator[bytes]) -> bytes:
    """Unpacked."""
    taken = bytearray()
    for piece in _spending(budget, unpacked(content)):
        taken += piece
        if len(taken) >= BEGINNING:
            break
    return bytes(taken[:BEGINNING])


def _last(budget: Budget, pieces: Iterator[bytes], first: First, by: datetime) -> Stamp | None:
    last = LastStamp(first, by)
    for piece in _spending(budget, pieces, _FOLLOWED if first.form == "sdl" else 1):
        last.feed(piece)
        if last.lost:
            break
    return last.end()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, int]]:
    """Its descriptor and size. Raises `OSError`.

    It is closed here and by no generator: where the reading is ended by an exception, that would
    keep one alive.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        yield descriptor, os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _chunks(budget: Budget, file: int, at: int, end: int) -> Iterator[bytes]:
    """The bytes of a file from `at` to `end`, or to where it ends before. Raises `OSError`."""
    while at < end:
        budget.spend(_COST)
        chunk = os.pread(file, min(PIECE, end - at), at)
        if not chunk:
            return
        at += len(chunk)
        yield chunk
