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

from cucmd.reading.stamps import FirstStamp, LastStamp, Stamp, first_stamp, last_stamp_before
from cucmd.reading.trace_files import Trace, TraceFile, trace_name
from cucmd.reading.unpack import GZIP, PIECE, TarMembers, is_tar, unpacked

# The first stamp is searched for in this many unpacked bytes at the beginning of a file.
BEGINNING = 64 * 1024
# The last stamp is searched for in this many bytes at the end of a text file.
_TAIL = 256 * 1024
# The same for an SDL file of which only the last line is needed. Lines of SIP messages are long.
_SDL_TAIL = 32 * 1024
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
        with opened(path) as (file, size):
            beginning = unpacked_beginning(chunks(file, 0, min(size, BEGINNING)))
            if not beginning:
                return Beginning(empty=size == 0)
            if is_tar(beginning):
                traces = _of_archive(file, size, by)
                return Beginning(traces=traces or None)
    except OSError:
        return Beginning(unread=True)
    return Beginning(first_stamp(beginning, by))


def last_stamp(
    path: Path, first: FirstStamp, by: datetime, following: FirstStamp | None = None
) -> Stamp | None:
    """Returns the last stamp of a file, or None if the file cannot be read or has no stamp.

    following: the first stamp of the next file. With this, an SDL file that was written within a
    day need not be read as a whole to count its midnights.
    """
    try:
        with opened(path) as (file, size):
            packed, is_sdl = os.pread(file, 2, 0) == GZIP, first.format_name == "sdl"
            if not packed and not is_sdl:
                return _read_last_stamp(chunks(file, max(size - _TAIL, 0), size), first, by)
            if is_sdl and following is not None:
                tail, at = b"", 0 if packed else max(size - _SDL_TAIL, 0)
                for piece in unpacked(chunks(file, at, size)):
                    tail = (tail + piece)[-_SDL_TAIL:]
                if found := last_stamp_before(tail, first, following.stamp):
                    return found
            return _read_last_stamp(unpacked(chunks(file, 0, size)), first, by)
    except OSError:
        return None


# Archives


def _of_archive(file: int, size: int, by: datetime) -> tuple[Trace, ...]:
    """Returns the traces in an archive.

    The archive is read twice, since only its end tells which files have to be read to their end.
    """
    files = Traces()
    tar = TarMembers(unpacked(chunks(file, 0, size)))
    for name, content in tar:
        if beginning := unpacked_beginning(content):
            files.add(name, name.partition("/")[2] or name, first_stamp(beginning, by))
    if not tar.whole:
        for found in files.traces.values():
            found.partial = True
        return files.sorted_traces()
    to_end = {one.path: one for one, _ in files.files_to_end()}
    for name, content in TarMembers(unpacked(chunks(file, 0, size))):
        if name in to_end:
            to_end[name].end = _read_last_stamp(unpacked(content), to_end[name].first, by)
    for trace in files.traces.values():
        for one in trace.files:
            one.path = ""
    return files.sorted_traces()


class Traces:
    """Collects the traces of one node, or of one archive."""

    def __init__(self) -> None:
        self.traces: dict[str, Trace] = {}
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
        trace.files.append(TraceFile(name, first, path=path))

    def files_to_end(self) -> Iterator[tuple[TraceFile, TraceFile | None]]:
        """Yields what `Trace.files_to_end` yields, of all traces, without files in archives."""
        for trace in self.traces.values():
            yield from (pair for pair in trace.files_to_end() if pair[0].path)

    def add_trace(self, new: Trace) -> None:
        """Adds a trace of an archive."""
        trace = self._trace(new.name)
        trace.unknown += new.unknown
        # If the end of one archive is not known, the end of another is not the end of the trace.
        trace.partial = trace.partial or new.partial or (new.begin is not None and new.end is None)
        trace.files += new.files

    def sorted_traces(self) -> tuple[Trace, ...]:
        for name in self._missed & self.traces.keys():
            self.traces[name].partial = True
        return tuple(sorted(self.traces.values(), key=lambda trace: trace.name))

    def _trace(self, name: str) -> Trace:
        return self.traces.setdefault(name, Trace(name))


# Bytes


def unpacked_beginning(content: Iterator[bytes]) -> bytes:
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
def opened(path: Path) -> Iterator[tuple[int, int]]:
    """Yields the descriptor and the size of a file. Raises `OSError`.

    The generator `chunks` does not close the descriptor, because an exception that ends the
    reading would keep the generator alive.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        yield descriptor, os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def chunks(file: int, at: int, end: int) -> Iterator[bytes]:
    """Yields a file's bytes from `at` to `end`, or to the end of the file. Raises `OSError`."""
    while at < end:
        chunk = os.pread(file, min(PIECE, end - at), at)
        if not chunk:
            return
        at += len(chunk)
        yield chunk
