"""Appends to the files of running sessions, in one thread for all of them.

A disk that hangs blocks only this thread, and the tasks that wait in `written` or `close`.

    1. `append` puts bytes into the queue. `written` and `close` also put an entry into the queue,
       and wait until the thread has processed it.
    2. The thread takes all entries from the queue, and gives each file its bytes in one call. The
       bytes of one file keep their order. An error of one file does not affect the others.
    3. The thread wakes the waiting tasks.
    4. The thread rests for PAUSE seconds, unless a task waits, so that the lines of hundreds of
       sessions are written together. A line that comes after a rest is written at once.

If the daemon is killed, the queue is lost: the lines of the last PAUSE, unless the disk is slow.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Protocol

import msgspec
import trio

# Seconds. When a large cluster logs in, waking the thread for each line would cost more time than
# writing the lines.
PAUSE = 0.05
# Bytes of memory that an entry of the queue takes besides its data. A node may send single bytes.
_PIECE = 200


class AppendedFile(Protocol):
    """Appends to a file below `jobs/`, in the thread of a `FileWriter`."""

    def append(self, data: bytes) -> None:
        """Writes the bytes, which may be empty. Opens the file at the first call.

        An exception goes to the tasks that wait for the file. Later calls must raise it again.
        """

    def close(self) -> None: ...


class _QueuedPiece(msgspec.Struct):
    """Holds one entry of the queue.

    done  set when the entry is written, or when writing has failed with `error`
    last  close the file after this entry
    """

    file: AppendedFile
    data: bytes
    done: trio.Event | None = None
    last: bool = False
    error: Exception | None = None


class FileWriter:
    """Appends to files in a thread of its own. Made by `open_file_writer`."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[_QueuedPiece | None] = SimpleQueue()
        self._hurry = threading.Event()  # ends the pause
        self._given = 0  # bytes that were queued; only trio's thread changes this
        self._written = 0  # bytes of these that were written; only the writer's thread changes this
        self._token = trio.lowlevel.current_trio_token()
        # A daemon thread, since a thread that waits for a disk must not keep the process alive.
        threading.Thread(target=self._run, name="cucmd-files", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Returns about how many bytes of memory the queue takes."""
        return self._given - self._written

    def append(self, file: AppendedFile, data: bytes) -> None:
        """Queues `data` and returns at once. The next `written` of the file raises any error."""
        self._put(_QueuedPiece(file, data))

    async def written(self, file: AppendedFile) -> None:
        """Returns when everything that was appended before is written.

        If cancelled, the bytes are still written. Raises the exception of `AppendedFile.append`.
        """
        await self._put_and_wait(_QueuedPiece(file, b"", trio.Event()))

    async def close(self, file: AppendedFile) -> None:
        """Closes the file when everything is written. Cannot be cancelled; has no time limit.

        Raises the exception of `AppendedFile`.
        """
        with trio.CancelScope(shield=True):
            await self._put_and_wait(_QueuedPiece(file, b"", trio.Event(), last=True))

    def stop(self) -> None:
        """Ends the thread when everything is written. The writer must not be used any more."""
        self._queue.put(None)
        self._hurry.set()

    async def _put_and_wait(self, piece: _QueuedPiece) -> None:
        assert piece.done is not None
        self._put(piece)
        self._hurry.set()
        await piece.done.wait()
        if piece.error is not None:
            raise piece.error

    def _put(self, piece: _QueuedPiece) -> None:
        self._given += _PIECE + len(piece.data)
        self._queue.put(piece)

    # Everything below runs in the thread.

    def _run(self) -> None:
        while self._write_next():
            self._hurry.wait(PAUSE)
            # Clear the event before reading the queue. A caller sets the event after putting an
            # entry into the queue, so no entry can be missed.
            self._hurry.clear()

    def _write_next(self) -> bool:
        """Waits for entries, writes them, and returns whether more may follow.

        This is a function of its own so that its variables do not keep written bytes in memory.
        """
        pieces, last = self._take()
        by_file: dict[AppendedFile, list[_QueuedPiece]] = {}
        for piece in pieces:
            by_file.setdefault(piece.file, []).append(piece)
        for file, pieces_of_file in by_file.items():
            _write(file, pieces_of_file)
        self._written += sum(_PIECE + len(piece.data) for piece in pieces)
        for piece in pieces:
            if piece.done is not None:
                with suppress(trio.RunFinishedError):  # trio has ended, so no task waits
                    self._token.run_sync_soon(piece.done.set)
        return not last

    def _take(self) -> tuple[list[_QueuedPiece], bool]:
        """Returns all entries of the queue, at least one, and whether the writer was stopped."""
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
    except Exception as error:  # goes to the waiting tasks
        for piece in pieces:
            piece.error = error


@contextmanager
def open_file_writer() -> Iterator[FileWriter]:
    """Yields a writer, and stops it at the end. Must be open for longer than any session."""
    writer = FileWriter()
    try:
        yield writer
    finally:
        writer.stop()
