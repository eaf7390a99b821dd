"""Runs operations on one SQLite connection, in a thread that owns the connection.

Operations run in the order of the calls. A caller gets its answer after the transaction of its
operation has ended, never before.

Who takes part
    `Store` has two of these threads. The writer takes up to 512 operations into one transaction
    (`BEGIN IMMEDIATE`). The reader takes one (`BEGIN`), so that an error in what one caller reads
    fails no other caller. The database is in WAL mode: readers do not wait for the writer.
    A connection is made in its thread by the first operation, and used in no other thread.

The life of an operation
    1. `run` puts it into the queue. That is before the first checkpoint of trio, so the order in
       the queue is the order of the calls, from whichever tasks they come.
    2. The thread takes the operations that are in the queue, at most `batch` of them, and begins a
       transaction. Operations that arrive while the disk works share the next one (group commit),
       so a hundred nodes that change at once cost one fsync.
    3. Each operation runs inside a savepoint of its own.
    4. COMMIT. With `synchronous=FULL` it returns after the fsync of the journal.
    5. The thread hands the answers of the whole batch to trio. There, `on_answer` is called for
       each operation in their order. After that the callers go on, in any order.

What is on the disk after a crash (of the process, or of the machine)
    in the queue, or before COMMIT      nothing of the operation
    COMMIT has begun, no answer yet     all of the operation, or nothing of it
    answered                            all of the operation

What can fail
    An error in the values of one operation (`_OF_ONE_OPERATION`) or in its Python code rolls back
        the operation's savepoint, and its caller gets `StoreFailed`. The rest of the batch goes on.
    Any other error of SQLite is about the file or the disk. The transaction is rolled back, and
        every caller of the batch gets `StoreFailed`. The next batch opens a new connection, so
        everything works again when the cause is gone.

Cancelling
    Cancelling a caller does not cancel its operation, which is still applied. The caller does not
    get the answer, but `on_answer` does.

Closing
    `aclose` lets the thread finish what is in the queue. A later `run` raises `StoreFailed`.
    `Store` closes the reader first, because the last connection to close writes the journal back
    into the database file. There is no time limit: see `aclose`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar, cast

import trio

from cucmd.histogram import SHORT, Histogram
from cucmd.store.errors import StoreFailed

T = TypeVar("T")
DatabaseOperation = Callable[[sqlite3.Connection], T]

# These errors of SQLite are about the values of one operation, and not about the file.
_OF_ONE_OPERATION = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


class _Queued(Generic[T]):
    """Holds an operation and its answer: `result` or `error`, valid when `answered` is set."""

    def __init__(self, operation: DatabaseOperation[T], on_answer: Callable[[T], None]) -> None:
        self.operation = operation
        self.on_answer = on_answer
        self.answered = trio.Event()
        self.result: T | None = None
        self.error: Exception | None = None


def _answer(batch: list[_Queued[object]]) -> None:
    for queued in batch:
        if queued.error is None:
            queued.on_answer(queued.result)
        queued.answered.set()


class DatabaseThread:
    """Owns a thread and its connection.

    purpose  what it is for, in messages and in the thread's name: "write PATH"
    connect  makes a connection
    begin    the statement that begins a transaction
    batch    the most operations in one transaction
    latency  how long callers have waited for their answers
    """

    def __init__(
        self, purpose: str, connect: Callable[[], sqlite3.Connection], *, begin: str, batch: int
    ) -> None:
        self._purpose = purpose
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._begin = begin
        self._batch = batch
        self._queue: SimpleQueue[_Queued[object] | None] = SimpleQueue()
        self._closing = False
        self.latency = Histogram(SHORT)
        self._ended = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        # It is a daemon thread, so that it does not keep the process alive if trio ends without
        # calling `aclose`.
        self._thread = threading.Thread(target=self._run, name=f"cucmd-{purpose}", daemon=True)
        self._thread.start()

    async def run(
        self, operation: DatabaseOperation[T], *, on_answer: Callable[[T], None] = lambda _: None
    ) -> T:
        """Runs `operation` in the thread, in a transaction, and returns its result.

        `on_answer` is called with the result in trio's thread. It must not raise. Raises
        `StoreFailed`.
        """
        if self._closing:
            raise StoreFailed(f"cannot {self._purpose}: the store is closed")
        queued, began = _Queued(operation, on_answer), trio.current_time()
        self._queue.put(cast("_Queued[object]", queued))
        await queued.answered.wait()
        self.latency.observe(trio.current_time() - began)
        if queued.error is not None:
            raise StoreFailed(f"cannot {self._purpose}: {queued.error}") from queued.error
        return cast("T", queued.result)

    async def aclose(self) -> None:
        """Finishes what is in the queue, closes the connection, ends the thread.

        There is no time limit: callers wait for these writes, and a disk that does not answer keeps
        the process from ending in any case. The stop timeout of the service ends the wait.
        """
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        with trio.CancelScope(shield=True):
            await self._ended.wait()
        self._thread.join()

    # Everything below runs in the thread.

    def _run(self) -> None:
        while self._answer_next_batch():
            pass
        self._disconnect()
        self._run_in_trio(self._ended.set)

    def _answer_next_batch(self) -> bool:
        """Handles the operations in the queue. Returns False if the queue was closed behind them.

        In the loop above, local variables would keep a batch in memory until the next one comes. A
        batch can have all the files of a node.
        """
        batch, is_last = self._take_batch()
        if batch:
            self._run_transaction(batch)
            self._run_in_trio(partial(_answer, batch))
        return not is_last

    def _take_batch(self) -> tuple[list[_Queued[object]], bool]:
        """Waits for an operation. Returns the operations in the queue, and whether it is closed."""
        batch: list[_Queued[object]] = []
        queued = self._queue.get()
        while queued is not None:
            batch.append(queued)
            if len(batch) == self._batch:
                return batch, False
            try:
                queued = self._queue.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _run_transaction(self, batch: list[_Queued[object]]) -> None:
        try:
            connection = self._connection = self._connection or self._connect()
            connection.execute(self._begin)
            for queued in batch:
                self._run_operation(connection, queued)
            connection.execute("COMMIT")
        except Exception as error:  # errors of every kind, because the callers wait for an answer
            # The state of a connection after a failed fsync is not defined, so the next batch gets
            # a new one. Closing rolls the transaction back.
            self._disconnect()
            for queued in batch:
                queued.error = queued.error or error

    @staticmethod
    def _run_operation(connection: sqlite3.Connection, queued: _Queued[object]) -> None:
        connection.execute("SAVEPOINT operation")
        try:
            queued.result = queued.operation(connection)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and not isinstance(error, _OF_ONE_OPERATION):
                raise
            connection.execute("ROLLBACK TO operation")
            queued.error = error
        connection.execute("RELEASE operation")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                pass  # nothing is lost: what was answered is committed

    def _run_in_trio(self, function: Callable[[], object]) -> None:
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            pass  # trio has ended, and all callers with it
