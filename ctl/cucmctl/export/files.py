"""Hashes and packs the files of a job, which come from the daemon open, as descriptors.

What is written is what was hashed: each byte is read once.

    the daemon -> a batch of descriptors -> threads that read and hash -> the sink, in order

The next batch is asked for as soon as one is here. A thread for each core reads the next files up
to `_AHEAD` bytes before they are written, small ones together; so several files are hashed at a
time, and a large one while it is written. A file is closed as soon as it is read.

The daemon holds the job until we hang up, if it hears from us: `OpenExport.at_work`.

What the handler of a signal raises may come at any moment in the thread of the sink, and then
leaves a lock locked that is taken in Python, as `threading.Condition` is: whoever waited for it
would wait for ever. So there is no such lock here: threads and sink meet in `SimpleQueue`s only.
"""

from __future__ import annotations

import hashlib
import os
import signal
import tarfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from itertools import chain, starmap
from queue import Empty, SimpleQueue
from typing import TypeAlias

from cucmctl.export.export import OTHER_CHECKSUM, Damaged, Nowhere, Sink, TarSink, safe
from cucmctl.export.received import OpenExport, OpenFile
from cucmd.protocol.cases import ExportedFile, VerifyReply, WrongFile

# Seconds between two replies of a verification that finds nothing wrong.
_TELL_EVERY = 1.0
# Bytes that are read, hashed and written at once. Measured, as in export.py.
_PIECE = 128 * 1024
# Bytes of a file that may wait to be written.
_AHEAD = 8 * 1024 * 1024
# Small files that are read in one change of threads: so many bytes, and so many files, since all
# are open.
_TOGETHER = 1024 * 1024
_MOST_TOGETHER = 32
_MOST_THREADS = 4
_BLOCK = tarfile.BLOCKSIZE
_SIGNALS = signal.valid_signals()

# A piece of a file. None: more follow. At its end what is wrong with all of it, "" for nothing.
Piece: TypeAlias = tuple[bytes, str | None]


def pack(export: OpenExport, sink: Sink, tell: Callable[[], None] = lambda: None) -> None:
    """Packs as `cucmctl.export.export.save` does, with the same result. `tell` is called after each
    piece.

    Raises `Damaged` once all files are read, `ProtocolError`, `OSError`, and as `OpenExport` does.
    """
    writer = _Writer(export, sink, tell)
    wrong: dict[str, str] = {}
    for document, content in export.documents():
        writer.add(document, content)
    with closing(_hashed(export)) as files:
        for file, pieces in files:
            try:
                writer.add(file, _checked(file, pieces))
            except Damaged as error:
                wrong |= error.wrong
                writer.sink = Nowhere()
    if wrong:
        raise Damaged(wrong)
    writer.end()


def verified(export: OpenExport) -> Generator[VerifyReply, None, None]:
    """Does what `Client.verify` does, of an export begun to `verify`; with low priority."""
    count = size = 0
    told = time.monotonic()
    with closing(_hashed(export, keep=False)) as files:
        for file, pieces in files:
            export.at_work()
            wrong = "".join(end or "" for _, end in pieces)
            count, size = count + 1, size + file.size
            found: tuple[WrongFile, ...] = ()
            if wrong:
                found = (WrongFile(file.node or "", file.name.partition("/")[2], wrong),)
            if found or time.monotonic() - told > _TELL_EVERY:
                told = time.monotonic()
                yield VerifyReply(count, size, found)
    yield VerifyReply(count, size, ())


def _checked(file: ExportedFile, pieces: Iterator[Piece]) -> Iterator[bytes]:
    for piece, wrong in pieces:
        if wrong:
            raise Damaged({file.name: wrong})
        if piece:
            yield piece


class _Writer:
    """Gives files to a sink. Of a tar it makes what the daemon's has, which is not in the files."""

    def __init__(self, export: OpenExport, sink: Sink, tell: Callable[[], None]) -> None:
        self._export = export
        self.sink = sink
        self._tell = tell
        self._tar = isinstance(sink, TarSink)
        self._offset = 0

    def add(self, file: ExportedFile, content: Iterator[bytes]) -> None:
        member = tarfile.TarInfo(safe(file.name))
        member.size, member.mtime, member.mode = file.size, file.modified, 0o640
        if self._tar:
            self._raw(member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
            member.offset_data = self._offset
        self.sink.add(member, self._passing(content))
        if self._tar:
            self._raw(bytes(-file.size % _BLOCK))

    def end(self) -> None:
        if self._tar:
            self._raw(bytes(2 * _BLOCK))

    def _passing(self, content: Iterator[bytes]) -> Iterator[bytes]:
        for piece in content:
            if self._tar:
                self._raw(piece)
            self._export.left -= len(piece)
            self._export.at_work()
            self._tell()
            yield piece

    def _raw(self, data: bytes) -> None:
        self._offset += len(data)
        self.sink.raw(data)


# Threads


def _hashed(
    export: OpenExport, *, keep: bool = True
) -> Generator[tuple[ExportedFile, Iterator[Piece]], None, None]:
    """Yields the files in order, with their pieces, which are to be taken before the next file.

    keep: without it only the ends come, and the threads have the lowest priority.
    """
    threads: list[threading.Thread] = []
    waiting: SimpleQueue[_GroupReader | None] = SimpleQueue()
    begun: deque[_GroupReader] = deque()
    try:
        _start(threads, waiting, keep=keep)
        for group in _groups(export.files()):
            begun.append(_GroupReader(group, export.close_file, keep=keep))
            waiting.put(begun[-1])
            if len(begun) > len(threads):
                yield from begun[0].results(export.at_work)
                begun.popleft()
        while begun:
            yield from begun[0].results(export.at_work)
            begun.popleft()
    finally:
        for reading in begun:
            reading.end()
        for _ in threads:
            waiting.put(None)
        for thread in threads:
            thread.join()


def _start(
    threads: list[threading.Thread], waiting: SimpleQueue[_GroupReader | None], *, keep: bool
) -> None:
    """Starts threads that get no signals. Nor do we meanwhile: `Thread.start` has such locks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        for _ in range(min(len(os.sched_getaffinity(0)), _MOST_THREADS)):
            # Of a process that a second signal ends while they are waited for, none is left.
            thread = threading.Thread(target=_read, args=(waiting, keep), daemon=True)
            thread.start()
            threads.append(thread)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _read(waiting: SimpleQueue[_GroupReader | None], keep: bool) -> None:
    """Runs in each of the threads."""
    if not keep:
        with suppress(OSError):
            # Linux takes the number of a thread for that of a process here.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    while (group := waiting.get()) is not None:
        group.run()


def _groups(files: Iterable[OpenFile]) -> Iterator[list[OpenFile]]:
    """Yields those that are read together: few with `_TOGETHER` bytes at most, or a single file."""
    group: list[OpenFile] = []
    size = 0
    for one in files:
        size += one[0].size
        if group and (size > _TOGETHER or len(group) == _MOST_TOGETHER):
            yield group
            group, size = [], one[0].size
        group.append(one)
    if group:
        yield group


class _GroupReader:
    """Reads a group of files. `run` is called in a thread, the others in that of the sink."""

    def __init__(self, files: list[OpenFile], close: Callable[[int], None], *, keep: bool) -> None:
        self._files = files
        self._close = close
        self._keep = keep
        self._small = len(files) > 1
        self._ended = False
        self._ready: SimpleQueue[list[Piece] | BaseException] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()  # one for each piece that may be ready
        for _ in range(_AHEAD // _PIECE):
            self._room.put(None)

    def run(self) -> None:
        try:
            pieces = chain.from_iterable(starmap(self._pieces, self._files))
            if self._small:
                self._ready.put(list(pieces))
            else:
                for piece in pieces:
                    self._room.get()
                    self._ready.put([piece])
        except BaseException as defect:
            self._ready.put(defect)

    def end(self) -> None:
        """Nobody takes what is ready any more: `run` returns soon."""
        self._ended = True
        for _ in range(2):  # for the piece that waits for room, and the end that may follow it
            self._room.put(None)

    def _pieces(self, file: ExportedFile, descriptor: int | None) -> Iterator[Piece]:
        if descriptor is None:
            yield b"", file.wrong
            return
        digest, left = hashlib.sha256(), file.size
        try:
            while left and (piece := os.read(descriptor, min(_PIECE, left))):
                if self._ended:
                    return
                digest.update(piece)
                left -= len(piece)
                if self._keep:
                    yield piece, None
            if not self._keep:
                # What was read only to be checked need not keep other files out of memory.
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            yield b"", f"cannot be read: {error.strerror or error}"
            return
        finally:
            self._close(descriptor)
        if left:
            yield b"", f"has {file.size - left} bytes, {file.size} were received"
        else:
            differs = file.sha256 is not None and file.sha256 != digest.hexdigest()
            yield b"", OTHER_CHECKSUM if differs else ""

    def results(
        self, waiting: Callable[[], None]
    ) -> Iterator[tuple[ExportedFile, Iterator[Piece]]]:
        """`waiting` is called while a thread reads for long."""
        pieces = self._taken(waiting)
        for file, _ in self._files:
            yield file, _up_to_the_end(pieces)

    def _taken(self, waiting: Callable[[], None]) -> Iterator[Piece]:
        while True:
            try:
                ready = self._ready.get(timeout=OpenExport.SAY_EVERY)
            except Empty:
                waiting()
                continue
            self._room.put(None)
            if isinstance(ready, BaseException):
                raise ready
            yield from ready


def _up_to_the_end(pieces: Iterator[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        yield piece
        if piece[1] is not None:
            return
