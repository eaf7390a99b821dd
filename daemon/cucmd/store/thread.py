"""Has a thread own one SQLite connection and run operations on it, in the order of the calls.

A caller is answered after the transaction of its operation has ended, never before.

Who takes part
    `Store` has two of these threads. The writer takes up to 512 operations into one transaction
    (`BEGIN IMMEDIATE`). The reader takes one (`BEGIN`), so that an error in what one caller reads
    fails no other caller. The database is in WAL mode: readers do not wait for the writer.
    A connection is made in its thread by the first operation, and used in no other thread.

The life of an operation
    1. `run` puts it into the queue. That is before the first checkpoint of trio, so the order in
       the queue is the order of the calls, from whichever tasks they come.
    2. The thread takes what is in the queue, up to its batch, and begins a transaction. Whatever
       is put into the queue while the disk works is taken together the next time (group commit):
       a hundred nodes that change at once cost one fsync.
    3. Each operation runs inside a savepoint of its own.
    4. COMMIT. With `synchronous=FULL` it returns after the fsync of the journal.
    5. The thread hands the answers of the whole batch to trio. In the order of the operations
       `on_answer` of each is called, and then `run` returns or raises: callers that wait for
       answers of one batch go on in any order.

What is there after a crash (of the process, or of the machine)
    in the queue, or before COMMIT      nothing of it
    COMMIT has begun, no answer yet     all of it or nothing of it
    answered                            all of it

What can fail
    The values of one operation (`_OF_ONE_OPERATION`), or its Python code: its savepoint is rolled
        back and its caller gets `StoreFailed`. The others of the batch are not touched.
    Anything else from SQLite is about the file or the disk, and COMMIT can fail: the transaction
        is rolled back and every caller of the batch gets `StoreFailed`. The connection is closed;
        the next batch opens a new one. So everything works again once the cause is gone.

Cancelling
    A caller that is cancelled takes nothing back: its operation stays in the queue and is applied,
    only the answer is lost; `on_answer` gets it all the same. A caller that has to know the answer
    shields the call.

Closing
    `aclose` lets the thread finish what is in the queue; a later `run` raises `StoreFailed`.
    `Store` closes the reader first: the last connection to close writes the journal back into the
    database file. There is no time limit, see `aclose`.
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
DatabaseOperation = Callable[[sqlite3.Connection], T]

# Errors of SQLite that are about the values of one operation.
_OF_ONE_OPERATION = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


class _Queued(Generic[T]):
    """Holds an operation with its answer: `result` or `error`, valid once `answered` is set."""

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
    """`purpose` ("write PATH") stands in messages and in the thread's name.

    `connect` makes a connection. `begin` is the statement that begins a transaction. `batch` is
    how many operations share one at most.
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
        self._ended = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        # A daemon thread: if trio ends without `aclose`, it must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=f"cucmd-{purpose}", daemon=True)
        self._thread.start()

    async def run(
        self, operation: DatabaseOperation[T], *, on_answer: Callable[[T], None] = lambda _: None
    ) -> T:
        """Runs `operation` in the thread, in a transaction, and returns its result.

        `on_answer` is called in trio's thread with the result; it must not raise.
        Cancelled, it is applied all the same. Raises `StoreFailed`.
        """
        if self._closing:
            raise StoreFailed(f"cannot {self._purpose}: the store is closed")
        queued = _Queued(operation, on_answer)
        self._queue.put(cast("_Queued[object]", queued))
        await queued.answered.wait()
        if queued.error is not None:
            raise StoreFailed(f"cannot {self._purpose}: {queued.error}") from queued.error
        return cast("T", queued.result)

    async def aclose(self) -> None:
        """Finishes what is in the queue, closes the connection, ends the thread.

        There is no time limit: callers wait for these writes, and a disk that does not answer
        holds the process in any case. The stop timeout of the service is the limit.
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
        """Returns whether another may follow.

        Not in the loop above: its variables would hold what a batch wrote, which can be all the
        files of a node, until there is another.
        """
        batch, last = self._take()
        if batch:
            self._transact(batch)
            self._run_in_trio(partial(_answer, batch))
        return not last

    def _take(self) -> tuple[list[_Queued[object]], bool]:
        """Waits for one. Returns those that are in the queue, and whether it is closed."""
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

    def _transact(self, batch: list[_Queued[object]]) -> None:
        try:
            connection = self._connection = self._connection or self._connect()
            connection.execute(self._begin)
            for queued in batch:
                self._attempt(connection, queued)
            connection.execute("COMMIT")
        except Exception as error:  # of any kind: the callers wait for an answer
            # What a failed fsync leaves behind in a connection is not defined, so the next batch
            # gets a new one. Closing rolls back.
            self._disconnect()
            for queued in batch:
                queued.error = queued.error or error

    @staticmethod
    def _attempt(connection: sqlite3.Connection, queued: _Queued[object]) -> None:
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
                pass  # no transaction is open that was answered; the next start checks the file

    def _run_in_trio(self, function: Callable[[], object]) -> None:
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            pass  # trio has ended, and with it every caller
