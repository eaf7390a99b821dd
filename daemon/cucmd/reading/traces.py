"""Reads the stamps of one file or archive.

A file that cannot be read is told apart, one that is read in part has no stamp beyond it, and
neither raises. How long it may take is for the kernel to say (`worker/confine.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from cucmd.reading.covered import Trace, trace_name
from cucmd.reading.stamps import FirstStamp, LastStamp, Stamp, first_stamp
from cucmd.reading.unpack import PIECE, TarMembers, is_tar, unpacked

# Of the beginning of a file, unpacked: the first line with a stamp is in it, or none is.
BEGINNING = 64 * 1024
# Of a text file that need not be read from its beginning.
_TAIL = 256 * 1024
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

# Traces of one node that are told apart.
MOST_TRACES = 200


class Beginning(msgspec.Struct, frozen=True):
    """Says what the beginning of a file shows: a first stamp, or, of an archive, its traces.

    Both None: no stamp that is known. `empty`: there is nothing in it. `unread`: it is gone, or
    cannot be read.
    """

    first: FirstStamp | None = None
    traces: tuple[Trace, ...] | None = None
    empty: bool = False
    unread: bool = False


def look(path: Path, by: datetime) -> Beginning:
    try:
        with _opened(path) as (file, size):
            beginning = _beginning(_chunks(file, 0, min(size, BEGINNING)))
            if not beginning:
                return Beginning(empty=size == 0)
            if is_tar(beginning):
                traces = _of_archive(file, size, by)
                return Beginning(traces=traces or None)
    except OSError:
        return Beginning(unread=True)
    return Beginning(first_stamp(beginning, by))


def last_stamp(path: Path, first: FirstStamp, by: datetime) -> Stamp | None:
    """Finds the last stamp of a file, which is read to its end where it must be.

    None: it unpacks to too much, or cannot be read.
    """
    try:
        with _opened(path) as (file, size):
            if first.form != "sdl" and os.pread(file, 2, 0) != b"\x1f\x8b":
                tail = _chunks(file, max(size - _TAIL, 0), size)
                return _last(tail, first, by)
            return _last(unpacked(_chunks(file, 0, size)), first, by)
    except OSError:
        return None


# Archives


def _of_archive(file: int, size: int, by: datetime) -> tuple[Trace, ...]:
    """It is read twice: which file of a trace is the last one is known only at its end."""
    files = Traces()
    tar = TarMembers(unpacked(_chunks(file, 0, size)))
    for name, content in tar:
        if beginning := _beginning(content):
            files.add(name, name.partition("/")[2] or name, first_stamp(beginning, by))
    if not tar.whole:
        for one in files.traces.values():
            one.partial = True
        return files.all()
    for name, content in TarMembers(unpacked(_chunks(file, 0, size))):
        for trace, (last, first) in files.newest.items():
            if last == name:
                files.traces[trace].end = _last(unpacked(content), first, by)
    return files.all()


def trace_of(traces: dict[str, Trace], name: str) -> Trace | None:
    """Finds or makes the trace of that name; None: there are too many."""
    if name not in traces and len(traces) >= MOST_TRACES:
        return None
    return traces.setdefault(name, Trace(name))


class Traces:
    """Holds what was found in the files of one node, or of one archive, so far.

    newest   of each trace the file with the last of the first stamps
    """

    def __init__(self) -> None:
        self.traces: dict[str, Trace] = {}
        self.newest: dict[str, tuple[str, FirstStamp]] = {}
        self._left_out = Trace("others")
        self._missed: set[str] = set()

    def miss(self, name: str) -> None:
        """Notes a file that could not be read: what its trace lacks may be in there."""
        if len(self._missed) < MOST_TRACES:
            self._missed.add(trace_name(name))

    def add(self, path: str, name: str, first: FirstStamp | None) -> None:
        """Adds a file. `path`: by which it is found again. `name`: below its push's folders."""
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
        """Adds a trace of an archive."""
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


def _beginning(content: Iterator[bytes]) -> bytes:
    """Unpacks the beginning of a file."""
    taken = bytearray()
    for piece in unpacked(content):
        taken += piece
        if len(taken) >= BEGINNING:
            break
    return bytes(taken[:BEGINNING])


def _last(pieces: Iterator[bytes], first: FirstStamp, by: datetime) -> Stamp | None:
    last = LastStamp(first, by)
    for piece in pieces:
        last.feed(piece)
        if last.lost:
            break
    return last.end()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, int]]:
    """Yields its descriptor and size. Raises `OSError`.

    It is closed here and by no generator: where the reading is ended by an exception, that would
    keep one alive.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        yield descriptor, os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _chunks(file: int, at: int, end: int) -> Iterator[bytes]:
    """Yields a file's bytes from `at` to `end`, or to where it ends before. Raises `OSError`."""
    while at < end:
        chunk = os.pread(file, min(PIECE, end - at), at)
        if not chunk:
            return
        at += len(chunk)
        yield chunk
