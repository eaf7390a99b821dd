"""Reads the time stamps of one file or archive.

No function here raises an exception for a file that cannot be read, or can be read only in part.
The kernel limits the time for reading (`worker/confine.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from cucmd.reading.stamps import FirstStamp, LastStamp, Stamp, first_stamp
from cucmd.reading.unpack import PIECE, TarMembers, is_tar, unpacked
from cucmd.reading.window_coverage import Trace, trace_name

# The first stamp is searched for in this many unpacked bytes at the beginning of a file.
BEGINNING = 64 * 1024
# The last stamp is searched for in this many bytes at the end of a text file.
_TAIL = 256 * 1024
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Beginning(msgspec.Struct, frozen=True):
    """Holds the first stamp of a file, or the traces of an archive.

    If both are None, the file has no stamp in a known form. empty: the file has no content. unread:
    the file is gone, or cannot be read.
    """

    first: FirstStamp | None = None
    traces: tuple[Trace, ...] | None = None
    empty: bool = False
    unread: bool = False


def read_beginning(path: Path, by: datetime) -> Beginning:
    """Reads the beginning of a file, or all of an archive.

    by: when the file was collected, by the node's clock or in UTC.
    """
    try:
        with _opened(path) as (file, size):
            beginning = _read_beginning(_chunks(file, 0, min(size, BEGINNING)))
            if not beginning:
                return Beginning(empty=size == 0)
            if is_tar(beginning):
                traces = _of_archive(file, size, by)
                return Beginning(traces=traces or None)
    except OSError:
        return Beginning(unread=True)
    return Beginning(first_stamp(beginning, by))


def last_stamp(path: Path, first: FirstStamp, by: datetime) -> Stamp | None:
    """Returns the last stamp of a file, or None if the file cannot be read or has no stamp."""
    try:
        with _opened(path) as (file, size):
            if first.format_name != "sdl" and os.pread(file, 2, 0) != b"\x1f\x8b":
                tail = _chunks(file, max(size - _TAIL, 0), size)
                return _read_last_stamp(tail, first, by)
            return _read_last_stamp(unpacked(_chunks(file, 0, size)), first, by)
    except OSError:
        return None


# Archives


def _of_archive(file: int, size: int, by: datetime) -> tuple[Trace, ...]:
    """Returns the traces in an archive.

    The archive is read twice, since only its end tells which file of a trace is the last.
    """
    files = Traces()
    tar = TarMembers(unpacked(_chunks(file, 0, size)))
    for name, content in tar:
        if beginning := _read_beginning(content):
            files.add(name, name.partition("/")[2] or name, first_stamp(beginning, by))
    if not tar.whole:
        for found in files.traces.values():
            found.partial = True
        return files.sorted_traces()
    last_files = {path: (trace, first) for trace, (path, first) in files.newest.items()}
    for name, content in TarMembers(unpacked(_chunks(file, 0, size))):
        if name in last_files:
            trace, first = last_files[name]
            files.traces[trace].end = _read_last_stamp(unpacked(content), first, by)
    return files.sorted_traces()


class Traces:
    """Collects the traces of one node, or of one archive.

    newest: for each trace, the file that begins last, and the first stamp of that file.
    """

    def __init__(self) -> None:
        self.traces: dict[str, Trace] = {}
        self.newest: dict[str, tuple[str, FirstStamp]] = {}
        self._missed: set[str] = set()

    def add_unread(self, name: str) -> None:
        """Adds a file that could not be read, so its trace may have more stamps than are known."""
        self._missed.add(trace_name(name))

    def add(self, path: str, name: str, first: FirstStamp | None) -> None:
        """Adds a file. path: for reading it again. name: its path on the node, for `trace_name`."""
        trace = self._trace(trace_name(name))
        trace.file = trace.file or name
        if first is None:
            trace.unknown += 1
            return
        if trace.begin is None or first.stamp.local < trace.begin.local:
            trace.begin = first.stamp
        newest = self.newest.get(trace.name)
        if newest is None or first.stamp.local >= newest[1].stamp.local:
            self.newest[trace.name] = path, first

    def add_trace(self, new: Trace) -> None:
        """Adds a trace of an archive."""
        trace = self._trace(new.name)
        trace.unknown += new.unknown
        # If the end of one archive is not known, the end of another is not the end of the trace.
        trace.partial = trace.partial or new.partial or (new.begin is not None and new.end is None)
        if new.begin is not None and (trace.begin is None or new.begin.local < trace.begin.local):
            trace.begin = new.begin
        if new.end is not None and (trace.end is None or new.end.local > trace.end.local):
            trace.end = new.end

    def sorted_traces(self) -> tuple[Trace, ...]:
        for name in self._missed & self.traces.keys():
            self.traces[name].partial = True
        return tuple(sorted(self.traces.values(), key=lambda trace: trace.name))

    def _trace(self, name: str) -> Trace:
        return self.traces.setdefault(name, Trace(name))


# Bytes


def _read_beginning(content: Iterator[bytes]) -> bytes:
    """Returns the unpacked beginning of a file."""
    unpacked_so_far = bytearray()
    for piece in unpacked(content):
        unpacked_so_far += piece
        if len(unpacked_so_far) >= BEGINNING:
            break
    return bytes(unpacked_so_far[:BEGINNING])


def _read_last_stamp(pieces: Iterator[bytes], first: FirstStamp, by: datetime) -> Stamp | None:
    last = LastStamp(first, by)
    for piece in pieces:
        last.feed(piece)
        if last.is_lost:
            break
    return last.end()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, int]]:
    """Yields the descriptor and the size of a file. Raises `OSError`.

    The generator `_chunks` does not close the descriptor, because an exception that ends the
    reading would keep the generator alive.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        yield descriptor, os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _chunks(file: int, at: int, end: int) -> Iterator[bytes]:
    """Yields a file's bytes from `at` to `end`, or to the end of the file. Raises `OSError`."""
    while at < end:
        chunk = os.pread(file, min(PIECE, end - at), at)
        if not chunk:
            return
        at += len(chunk)
        yield chunk
