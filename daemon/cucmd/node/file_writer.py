"""Has a thread append to the files that a session leaves on disk while it runs.

The loop gives it bytes and goes on. A disk that hangs keeps the thread in the kernel, and whoever
waits for `written` or `close`; nobody else.

What comes when
    1. `append` puts the bytes into the queue. `written` and `close` put themselves there too, so
       what was appended before is before them.
    2. The thread takes all that is in the queue, and gives each file its bytes in one call. The
       bytes of one file stay in their order; a file fails alone.
    3. Those who wait are answered.
    4. The thread rests for PAUSE, so that what hundreds of sessions say meanwhile is written
       together, unless somebody waits. A line that comes alone is written at once.

What is in the queue is lost with the process: of a daemon that is killed, what was said in the last
PAUSE on a disk that is well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Protocol

import msgspec
import trio

# Seconds. A thread that is woken for each line costs the logins of a large cluster more than all
# of their writing does.
PAUSE = 0.05
# Bytes that a piece takes in memory besides its own: a node may send each of its bytes alone.
_PIECE = 200


class AppendedFile(Protocol):
    """Appends to a file below `jobs/`, in the thread of a `FileWriter`."""

    def append(self, data: bytes) -> None:
        """Opens the file at the first call, and writes the bytes, if there are any.

        What it raises goes to who waits, if somebody does, and it raises that again at each call.
        """

    def close(self) -> None: ...


class _QueuedPiece(msgspec.Struct):
    """Is in the queue. `answered`: set once it is written, or `error` says why it is not."""

    file: AppendedFile
    data: bytes
    answered: trio.Event | None = None
    last: bool = False
    error: Exception | None = None


class FileWriter:
    """Appends to files in its thread. `open_file_writer` makes it."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[_QueuedPiece | None] = SimpleQueue()
        self._hurry = threading.Event()  # ends the pause
        self._given = 0  # bytes; counted in trio's thread
        self._written = 0  # of these; counted in the thread
        self._token = trio.lowlevel.current_trio_token()
        # A daemon thread: one that a disk holds must not keep the process alive.
        threading.Thread(target=self._run, name="cucmd-files", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Returns the bytes of memory, about, that are taken by what is not written yet."""
        return self._given - self._written

    def append(self, file: AppendedFile, data: bytes) -> None:
        """Never waits. An error is for whoever waits for `written` next."""
        self._put(_QueuedPiece(file, data))

    async def written(self, file: AppendedFile) -> None:
        """Returns once all that was appended before is written; nothing is lost by a cancel.

        Raises what `AppendedFile.append` raised.
        """
        await self._answer(_QueuedPiece(file, b"", trio.Event()))

    async def close(self, file: AppendedFile) -> None:
        """Closes the file once all is written. Nothing cancels that, and it has no time limit."""
        with trio.CancelScope(shield=True):
            await self._answer(_QueuedPiece(file, b"", trio.Event(), last=True))

    def stop(self) -> None:
        """Ends the thread, once all is written. Nobody is to use the writer any more."""
        self._queue.put(None)
        self._hurry.set()

    async def _answer(self, piece: _QueuedPiece) -> None:
        assert piece.answered is not None
        self._put(piece)
        self._hurry.set()
        await piece.answered.wait()
        if piece.error is not None:
            raise piece.error

    def _put(self, piece: _QueuedPiece) -> None:
        self._given += _PIECE + len(piece.data)
        self._queue.put(piece)

    # Everything below runs in the thread.

    def _run(self) -> None:
        while self._write_next():
            self._hurry.wait(PAUSE)
            # Before the queue is looked at: who sets it has put something there before.
            self._hurry.clear()

    def _write_next(self) -> bool:
        """Returns whether more may follow. Not in the loop above: its variables would hold what was
        written until there is more.
        """
        pieces, last = self._take()
        of_files: dict[AppendedFile, list[_QueuedPiece]] = {}
        for piece in pieces:
            of_files.setdefault(piece.file, []).append(piece)
        for file, its_pieces in of_files.items():
            _write(file, its_pieces)
        self._written += sum(_PIECE + len(piece.data) for piece in pieces)
        if answers := [piece.answered for piece in pieces if piece.answered is not None]:
            with suppress(trio.RunFinishedError):  # with trio everybody who waits has ended
                self._token.run_sync_soon(_set_all, answers)
        return not last

    def _take(self) -> tuple[list[_QueuedPiece], bool]:
        """Waits for one. Returns those that are in the queue, and whether that is all for ever."""
        pieces: list[_QueuedPiece] = []
        piece = self._queue.get()
        while piece is not None:
            pieces.append(piece)
            try:
                piece = self._queue.get_nowait()
            except Empty:
                return pieces, False
        return pieces, True


def _write(file: AppendedFile, pieces: list[_QueuedPiece]) -> None:
    try:
        try:
            file.append(b"".join(piece.data for piece in pieces))
        finally:
            if pieces[-1].last:
                file.close()
    except Exception as error:  # of any kind: somebody may wait for an answer
        for piece in pieces:
            piece.error = error


def _set_all(events: list[trio.Event]) -> None:
    for event in events:
        event.set()


@contextmanager
def open_file_writer() -> Iterator[FileWriter]:
    """Opens a writer: call it before all sessions, so that it is closed after them."""
    writer = FileWriter()
    try:
        yield writer
    finally:
        writer.stop()
