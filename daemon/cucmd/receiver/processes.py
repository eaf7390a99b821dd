"""Has one process receive: tells it of logins, and takes what it says of them.

It is forked once there is a connection for it, and killed at the end, also where it does not
answer. What it serves when it ends by itself is lost: `Seat.lost`.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import trio

from cucmd.receiver.folder import open_for, open_in
from cucmd.receiver.limits import MIB, ReceiverLimits
from cucmd.receiver.paths import Parts
from cucmd.receiver.received import Side
from cucmd.worker.frames import (
    NO_LIMIT,
    Begin,
    Expect,
    Figures,
    Forget,
    Forgotten,
    FromReceiving,
    LogLine,
    OfLogin,
    Open,
    Opened,
    ProcessLimits,
    Route,
    ToReceiving,
    WrongFrame,
)
from cucmd.worker.process import ENDS, Worker, WorkerEnded
from cucmd.worker.workers import Workers

# What such a process does, by which the first process knows it.
RECEIVE = "receive"

# What the kernel allows it. Of memory: 448 connections that say little, or 200 of far nodes that
# have 4.5 MiB waiting, with what 20 threads reserve and do not use. Descriptors: one for each
# connection, two for each session, and 32 for each login. It uses the processor for as long as
# nodes send, and files are as large as they are: quotas and free space are its own to keep.
_LIMITS = ProcessLimits(
    memory=2048 * MIB,
    seconds=NO_LIMIT,
    file_size=NO_LIMIT,
    descriptors=4096,
    threads=True,
)

# Seconds for the answer to `Forget`: the last write, of one block, and the close of some files.
_FORGETS = 1.0

# Frames that wait until a process reads them: an honest one is told two of each login that there
# is, and one for each that it has sent. And files of a login, until the frame about each is read.
_MOST_WAITING = 10_000

# Lines for the log that it may say in a minute.
_MOST_LINES = 30

_FRAMES = msgspec.msgpack.Decoder(FromReceiving)

_log = logging.getLogger(__name__)


class Seat:
    """Stands for a login in a process.

    expect: what the process is told of it. folder: into which its files go. used: something was
    opened in it for that process. untold: new files of which that process has said nothing yet.
    gone: it is not known there any more, or was not used, and nothing is written. lost: the process
    has ended before that, after it had let the login in. changed: is called when a frame has come.
    """

    def __init__(
        self,
        expect: Expect,
        side: Side,
        folder: Path,
        process: Process,
        changed: Callable[[], None],
    ) -> None:
        self.expect = expect
        self.side = side
        self.folder = folder
        self.process = process
        self.changed = changed
        self.used = False
        self.untold: set[str] = set()
        self.forgets = False  # it was told to
        self.gone = trio.Event()
        self.lost = False
        self.left_open: tuple[int, ...] = ()  # files that it had open when it was lost
        self.heard = -math.inf  # when the last login or byte came

    def end(self) -> None:
        """The process has ended."""
        if not self.gone.is_set():
            self.lost = True
            self.left_open = self.side.lost(tuple(self.untold))
            self.gone.set()
            self.changed()


class Process:
    """Has one process receive. seats: of the logins that it knows, or will know once it is forked.
    ends: once none of them may be used any more.

    Nothing is said to one that has ended.
    """

    def __init__(
        self, workers: Workers, begin: Begin, limits: ReceiverLimits, *, ends: bool
    ) -> None:
        self.seats: dict[str, Seat] = {}
        self._workers = workers
        self._begin = begin
        self._limits = limits
        self._worker: Worker | None = None
        self._scope = trio.CancelScope()
        self._ends = ends
        self._is_forked = False
        self._why = ""  # it has ended otherwise
        self._lines = 0  # of the log, that it has said up to `_next_lines`
        self._next_lines = -math.inf
        self._to_send, self._sent = trio.open_memory_channel[Begin | ToReceiving | Route](
            _MOST_WAITING
        )

    def expect(self, seat: Seat) -> None:
        self.seats[seat.expect.login] = seat
        if self._is_forked:
            self._say(seat.expect)

    def take_all_of(self, source: str, *, it_does: bool = True) -> None:
        """Connections of that address come to it from now on, or do not any more."""
        self._say(Route(source, 1 if it_does else -1))

    def forget(self, login: str) -> None:
        if (seat := self.seats.get(login)) is not None:
            seat.forgets = True
            if self._is_forked:
                self._say(Forget(login))
            else:
                del self.seats[login]
            if not seat.used:
                self._gone(seat)

    def _gone(self, seat: Seat) -> None:
        seat.gone.set()
        if self._ends and all(one.gone.is_set() for one in self.seats.values()):
            self._scope.cancel()

    async def wait_forgotten(self, seat: Seat) -> None:
        """Returns once nothing is written any more: a process that does not answer is killed."""
        with trio.move_on_after(_FORGETS):
            await seat.gone.wait()
        self.take()  # it may have answered in time, where the loop has stood still
        if not seat.gone.is_set():
            self._fail("it does not answer")
            # Longer than `run` takes to end: the kernel, and then the thread that opens for it.
            with trio.move_on_after(2 * ENDS + _FORGETS):
                await seat.gone.wait()

    def _say(self, frame: Begin | ToReceiving | Route) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            try:
                self._to_send.send_nowait(frame)
            except trio.WouldBlock:
                self._fail("it does not read what it is told")

    def _fail(self, why: str) -> None:
        """It is killed."""
        self._why = self._why or why
        self._scope.cancel()

    async def run(self) -> None:
        """Returns when it has ended."""
        try:
            with self._scope:
                await self._run()
        finally:
            if self._why:
                _log.error("a process that receives has ended: %s", self._why)
            self._worker = None
            self._to_send.close()
            seats, self.seats = self.seats, {}
            for seat in seats.values():
                seat.end()

    async def _run(self) -> None:
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            self._why = f"the daemon has no descriptor left for it: {error}"
            return
        patience = trio.CancelScope(shield=True)  # it may be opening a file, the last one
        async with trio.open_nursery() as opening:
            opening.start_soon(self._open, ours, patience)
            try:
                with theirs:
                    await self._talk(theirs)
            except WorkerEnded as error:
                self._why = str(error)
            finally:
                patience.deadline = trio.current_time() + ENDS

    async def _talk(self, opener: socket.socket) -> None:
        async with self._workers.forked(RECEIVE, None, _LIMITS, opener) as worker:
            self._worker = worker
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._fail_with, partial(self._begin_with, worker))
                nursery.start_soon(self._send, worker)
                nursery.start_soon(self._fail_with, partial(self._listen, worker))

    async def _begin_with(self, worker: Worker) -> None:
        """Tells it of the logins that there are, before it takes a connection: it lets in whoever
        has one of them.
        """
        await worker.wait_forked()
        self._is_forked = True
        expected = tuple(seat.expect for seat in self.seats.values())
        self._say(msgspec.structs.replace(self._begin, expected=expected))

    async def _open(self, opener: socket.socket, patience: trio.CancelScope) -> None:
        """Opens files for it, in a thread; which is left to itself where a disk hangs."""
        try:
            await trio.lowlevel.wait_readable(opener)
        except trio.Cancelled:
            opener.close()
            raise
        with patience:
            try:
                await trio.to_thread.run_sync(
                    open_for,
                    opener,
                    self._opened,
                    self._limits,
                    abandon_on_cancel=True,
                    limiter=trio.CapacityLimiter(1),
                )
            except (OSError, RuntimeError, WrongFrame) as error:  # mostly there is no thread left
                opener.close()
                self._fail(str(error))

    def _opened(self, asked: Open, parts: Parts) -> int:
        """Opens what it may have of one of its logins. For the thread: either this sees that the
        login has ended, or `forget` sees that it was used.
        """
        if (seat := self.seats.get(asked.login)) is not None:
            seat.used = True
        if seat is None or seat.forgets:
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
        if len(seat.untold) >= _MOST_WAITING:
            raise WrongFrame("it says nothing of its files")
        descriptor = open_in(seat.folder, asked.what, parts)
        if asked.what == "new file":
            seat.untold.add(asked.path)
        return descriptor

    async def _send(self, worker: Worker) -> None:
        try:
            async for frame in self._sent:
                if isinstance(frame, Route):
                    await self._workers.route(frame.source, frame.number * worker.number)
                else:
                    await worker.send(frame)
        except WorkerEnded as error:
            self.take()  # what it said before its end: of files that are whole
            self._fail(str(error))

    async def _fail_with(self, what: Callable[[], Awaitable[None]]) -> None:
        try:
            await what()
        except WorkerEnded as error:
            self._fail(str(error))

    async def _listen(self, worker: Worker) -> None:
        while True:
            await worker.wait()
            self.take()
            await trio.lowlevel.checkpoint()

    def take(self) -> None:
        """Takes what it has said by now. Waits for nothing, and raises nothing."""
        if self._worker is None or self._scope.cancel_called:
            return
        try:
            for frame in self._worker.take(_FRAMES):
                if isinstance(frame, LogLine):
                    self._log_said(frame)
                else:
                    self._take(frame)
        except (WorkerEnded, WrongFrame) as error:
            self._fail(str(error))

    def _log_said(self, said: LogLine) -> None:
        """Logs it, unless it is one of too many. `LogLimit` would be too late: the record costs the
        loop more than the frame, and the process may say thousands in a turn.
        """
        if (now := trio.current_time()) >= self._next_lines:
            self._next_lines, self._lines = now + 60.0, 0
        self._lines += 1
        if self._lines <= _MOST_LINES:
            serious = said.level >= logging.ERROR
            _log.log(logging.ERROR if serious else logging.WARNING, "%s", said.text)
        elif self._lines == _MOST_LINES + 1:
            _log.error("a process that receives says too much: the rest of the minute is left out")

    def _take(self, frame: OfLogin) -> None:
        seat = self.seats.get(frame.login)
        if seat is None:
            raise WrongFrame("it speaks of a login that is not its own")
        if isinstance(frame, Forgotten) and not seat.forgets:
            raise WrongFrame("it forgets a login that has not ended")
        if seat.gone.is_set() and not isinstance(frame, Figures | Forgotten):
            return  # nothing was opened for it
        if isinstance(frame, Opened):
            if frame.stored not in seat.untold:
                raise WrongFrame("it has a file that was not opened for it")
            seat.untold.remove(frame.stored)
        if isinstance(frame, Forgotten) and seat.untold:
            raise WrongFrame("it says nothing of its files")
        answer = seat.side.take(frame)
        if isinstance(frame, Figures) and (frame.logins or frame.received):
            seat.heard = max(seat.heard, trio.current_time() - frame.silent)
        if answer is not None:
            self._say(answer)
        if isinstance(frame, Forgotten):
            del self.seats[frame.login]
            self._gone(seat)
        seat.changed()
