"""A thread that owns a connection, and answers what is asked of it in the order it was asked.

The one rule: a request is answered after its transaction has ended, never before. Requests that
wait while the disk works are taken together in the next transaction (group commit), so that a
hundred nodes which change at once cost one fsync.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar, cast

import trio

from cucmd.store.errors import StoreFailed

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

# These are about one request's own values; the transaction goes on without it. Any other error
# of SQLite is about the file or the disk, and then nothing of the batch counts.
_OF_ONE_REQUEST = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


def _nothing() -> None:
    pass


class _Request(Generic[T]):
    def __init__(self, work: Work[T], undone: Callable[[], None]) -> None:
        self.work = work
        self.undone = undone
        self.answered = trio.Event()
        self.result: T | None = None
        self.error: Exception | None = None

    def fail(self, error: Exception) -> None:
        """The first error stays: the later one, of the batch, is not this request's own."""
        if self.error is None:
            self.error = error
            self.undone()


def _answer(batch: list[_Request[object]]) -> None:
    for request in batch:
        request.answered.set()


class DatabaseThread:
    """`begin` is the statement that opens a transaction; `batch` how many requests share one."""

    def __init__(
        self, verb: str, connect: Callable[[], sqlite3.Connection], *, begin: str, batch: int
    ) -> None:
        self._verb = verb
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._begin = begin
        self._batch = batch
        self._queue: SimpleQueue[_Request[object] | None] = SimpleQueue()
        self._closing = False
        self._ended = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        # A daemon thread: if trio is gone without `aclose`, it must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=f"cucmd-{verb}", daemon=True)
        self._thread.start()

    async def run(self, work: Work[T], *, undone: Callable[[], None] = _nothing) -> T:
        """Has `work` done in the thread, in a transaction, and returns its result.

        It is queued before the first checkpoint: calls are done in the order in which they were
        made, and one whose caller is cancelled meanwhile is done all the same. `undone` is
        called in the thread if it was rolled back. Raises StoreFailed.
        """
        if self._closing:
            raise StoreFailed(f"cannot {self._verb}: the store is closed")
        request = _Request(work, undone)
        self._queue.put(cast("_Request[object]", request))
        await request.answered.wait()
        if request.error is not None:
            raise StoreFailed(f"cannot {self._verb}: {request.error}") from request.error
        return cast("T", request.result)

    async def aclose(self) -> None:
        """Does what is queued, closes the connection, ends the thread.

        Not bounded: these are writes that somebody was promised, and a disk that never answers
        holds the process anyway. The service's stop timeout is the bound.
        """
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        with trio.CancelScope(shield=True):
            await self._ended.wait()
        self._thread.join()

    # Everything below runs in the thread.

    def _run(self) -> None:
        last = False
        while not last:
            batch, last = self._take()
            if batch:
                self._transact(batch)
                self._tell(partial(_answer, batch))
        self._disconnect()
        self._tell(self._ended.set)

    def _take(self) -> tuple[list[_Request[object]], bool]:
        """(what is queued, at least one; whether that is the end)."""
        batch: list[_Request[object]] = []
        request = self._queue.get()
        while request is not None:
            batch.append(request)
            if len(batch) == self._batch:
                return batch, False
            try:
                request = self._queue.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _transact(self, batch: list[_Request[object]]) -> None:
        try:
            connection = self._connection = self._connection or self._connect()
            connection.execute(self._begin)
            for request in batch:
                self._attempt(connection, request)
            connection.execute("COMMIT")
        except Exception as error:  # whatever it was, somebody waits for an answer
            # A fresh connection for the next: what a failed fsync leaves behind in this one is
            # not for us to guess. Closing rolls back.
            self._disconnect()
            for request in batch:
                request.fail(error)

    @staticmethod
    def _attempt(connection: sqlite3.Connection, request: _Request[object]) -> None:
        connection.execute("SAVEPOINT request")
        try:
            request.result = request.work(connection)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and not isinstance(error, _OF_ONE_REQUEST):
                raise
            connection.execute("ROLLBACK TO request")
            request.fail(error)
        connection.execute("RELEASE request")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                pass  # nothing is open in it that was promised; the file is checked at the start

    def _tell(self, news: Callable[[], object]) -> None:
        try:
            self._token.run_sync_soon(news)
        except trio.RunFinishedError:
            pass  # nobody is left to be told
