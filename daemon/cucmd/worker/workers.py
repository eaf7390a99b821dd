"""Keeps the first process for the daemon, and has one forked for each piece of work."""

from __future__ import annotations

import array
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import msgspec
import trio

from cucmd.worker.frames import (
    MAX_PACKET,
    CannotFork,
    Ended,
    Fork,
    Forked,
    FromForkServer,
    ProcessLimits,
    Ready,
    WrongFrame,
    decode_frame,
    encode_packet,
)
from cucmd.worker.process import END_SECONDS, Cause, PendingFork, Worker, WorkerEnded

# Seconds between the end of the first process and its next start.
RESTART_SECONDS = 1.0
# Seconds in which the first process must have forked another one. Its start takes a second, and a
# fork some milliseconds. A process that has not answered by then hangs, and is killed.
FORK_TIMEOUT = 20.0
# Seconds that the daemon waits at its own start for the first process.
_READY = 10.0
# Bytes that these processes may write to standard error in a minute.
_MOST_SAID = 64 * 1024
_PIPE_BUF = 4096  # what is written at once up to this size, is read at once

_NO_DESCRIPTOR = "the daemon has no descriptor left for a process"
_NOT_IN_TIME = "no process could be had in time"

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_workers(
    folder: Path,
    roles: Mapping[str, str],
    *,
    more_modules: str = "",
    fork_timeout: float = FORK_TIMEOUT,
) -> AsyncIterator[Workers]:
    """Runs the first process while the body runs. Does not wait until it is ready.

    more_modules: where roles are that are not installed, as those of a test.
    fork_timeout: seconds in which a process must have been forked.
    """
    environ = {"PATH": os.environ.get("PATH", os.defpath)}
    # The daemon's own too: it may be what has found this package.
    if modules := [one for one in (more_modules, os.environ.get("PYTHONPATH")) if one]:
        environ["PYTHONPATH"] = os.pathsep.join(modules)
    workers = Workers(folder, roles, environ, fork_timeout)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(workers.run)
        yield workers
        nursery.cancel_scope.cancel()


class Workers:
    """Has the first process fork others. `open_workers` makes it.

    folder: below which files may be read. roles: name -> "module:function".
    confined: whether the kernel confines them; None: not known yet.
    """

    def __init__(
        self,
        folder: Path,
        roles: Mapping[str, str],
        environ: Mapping[str, str],
        fork_timeout: float,
    ) -> None:
        self.confined: bool | None = None
        self._folder = folder
        self._roles = roles
        self._environ = environ
        self._fork_timeout = fork_timeout
        self._numbers = count(1)
        self._asked: dict[int, PendingFork] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._control: trio.socket.SocketType | None = None
        self._ready = trio.Event()
        self._telling = trio.Lock()  # of two that wait for one socket, trio refuses the second
        self._decoder = msgspec.msgpack.Decoder(FromForkServer)

    async def wait_ready(self) -> None:
        """Returns once processes can be had; after 10 s anyway."""
        with trio.move_on_after(_READY):
            await self._ready.wait()

    async def run(self) -> None:
        """Starts it again whenever it has ended."""
        async with trio.open_nursery() as nursery:
            while True:
                why = "has ended"
                try:
                    said, says = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                    nursery.start_soon(_log_said, trio.lowlevel.FdStream(said))
                    opened = _run_fork_server(self._folder, self._roles, self._environ, says)
                    async with opened as (self._process, self._control):
                        self._started = trio.current_time()
                        with suppress(OSError, WrongFrame):
                            while await self._take(self._control):
                                pass
                except OSError as error:  # mostly there is no process left, or no descriptor
                    why = f"cannot be started ({error})"
                finally:
                    self._lose_all()
                _log.error("the process that others are forked from %s; it is started again", why)
                await trio.sleep(RESTART_SECONDS)

    async def _take(self, control: trio.socket.SocketType) -> bool:
        content, ancillary, _, _ = await control.recvmsg(MAX_PACKET, socket.CMSG_SPACE(4))
        descriptors = [fd for _, _, data in ancillary for fd in array.array("i", data)]
        match decode_frame(self._decoder, content) if content else None:
            case Ready(confined):
                self.confined = confined
                self._ready.set()
            case Forked(number):
                # Without it where the daemon has no descriptor left: the process ends by itself.
                self._answer(number, descriptors[0] if descriptors else _NO_DESCRIPTOR)
            case CannotFork(number, why):
                self._answer(number, f"no process could be forked: {why}")
            case Ended(number) as end:
                if (asked := self._asked.pop(number, None)) is not None:
                    asked.end = end
                    asked.ended.set()
            case None:
                return False
        return True

    def _answer(self, number: int, answer: int | str) -> None:
        asked = self._asked.get(number)
        if asked is not None and not asked.answered.is_set():
            asked.answer = answer
            asked.answered.set()
        elif isinstance(answer, int):  # who has asked for it wants it no more
            _kill(answer)
            os.close(answer)

    def _lose_all(self) -> None:
        self._process = self._control = None
        if self._ready.is_set():  # else there may be some that wait for the next one
            self._ready = trio.Event()
        lost, self._asked = self._asked, {}
        for asked in lost.values():
            if not asked.answered.is_set():
                asked.answer = "the process that it was to be forked from has ended"
                asked.answered.set()
            asked.ended.set()

    @asynccontextmanager
    async def forked(
        self, role: str, folder: Path | None, limits: ProcessLimits
    ) -> AsyncIterator[Worker]:
        """Forks a process that does `role` while the body runs. At the end of that it is killed.

        folder: below which it may read; None is nowhere. Raises `WorkerEnded`, as all methods of
        the worker do.
        """
        number, asked = next(self._numbers), PendingFork()
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise WorkerEnded(Cause.LOST, f"{_NO_DESCRIPTOR}: {error.strerror}") from error
        ours.setblocking(False)
        with ours:
            try:
                with theirs:
                    await self._ask(Fork(number, role, str(folder or ""), limits), asked, theirs)
                if isinstance(asked.answer, str):
                    raise WorkerEnded(Cause.LOST, asked.answer)
                yield Worker(ours, asked, limits.seconds)
            finally:
                if isinstance(pidfd := asked.answer, int):
                    _kill(pidfd)
                    with trio.move_on_after(END_SECONDS, shield=True):
                        await trio.lowlevel.wait_readable(pidfd)
                    os.close(pidfd)
                else:  # none was forked, or it is killed as soon as it is announced
                    self._asked.pop(number, None)

    async def _ask(self, fork: Fork, asked: PendingFork, channel: socket.socket) -> None:
        """Returns with the answer. Raises `WorkerEnded` if none comes in time."""
        try:
            with trio.fail_after(self._fork_timeout):
                while not self._ready.is_set():  # its wait may return after the end of the process
                    await self._ready.wait()
                self._asked[fork.number] = asked
                async with self._telling:
                    if self._control is not None:
                        rights = array.array("i", [channel.fileno()])
                        with suppress(OSError):  # its end is on its way: `_lose_all` fork_timeout
                            await self._control.sendmsg(
                                [encode_packet(fork)],
                                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)],
                            )
                await asked.answered.wait()
        except trio.TooSlowError:
            # One that was started since has a time of its own.
            if (
                self._process is not None
                and trio.current_time() >= self._started + self._fork_timeout
            ):
                _log.error("the process that others are forked from does not answer: it is killed")
                self._process.kill()
            raise WorkerEnded(Cause.LOST, _NOT_IN_TIME) from None


def _kill(pidfd: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


async def _log_said(stream: trio.lowlevel.FdStream) -> None:
    """Logs what the first process and its forks write to standard error, until all have ended: it
    is the traceback of a defect, as a rule.

    Standard error of the daemon is no place for that: a process that may write no file cannot write
    to a log that is a file, and one that was taken over could read from a terminal. What is more
    than `_MOST_SAID` in a minute is lost, because nobody waits until it is read.
    """
    async with stream:
        while True:
            left = _MOST_SAID
            with trio.move_on_after(60):
                while left > 0:
                    if not (said := await stream.receive_some(_PIPE_BUF)):
                        return
                    left -= len(said)
                    _log.error("a process has said: %s", said.decode(errors="replace").rstrip())
                await trio.sleep_forever()


@asynccontextmanager
async def _run_fork_server(
    folder: Path, roles: Mapping[str, str], environ: Mapping[str, str], standard_error: int
) -> AsyncIterator[tuple[subprocess.Popen[bytes], trio.socket.SocketType]]:
    """Starts the first process by exec, since a fork of the daemon would have its passwords. Kills
    it at the end, and waits for that in no thread: there may be none left.

    standard_error: of the process; closed here. Yields the process and its socket. Raises OSError.
    """
    with ExitStack() as stack:
        with ExitStack() as starting:
            starting.callback(os.close, standard_error)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(ours)
            starting.enter_context(theirs)
            number = theirs.fileno()
            named = [f"{name}={where}" for name, where in roles.items()]
            command = (sys.executable, "-P", "-s", "-m", "cucmd.worker.fork_server")
            # In this thread: the end of the thread that has started it would end it.
            process = subprocess.Popen(  # noqa: ASYNC220
                [*command, str(number), str(os.getpid()), str(folder), *named],
                pass_fds=[number],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=standard_error,
                start_new_session=True,
            )
        stack.callback(process.wait)
        stack.callback(process.kill)
        pidfd = os.pidfd_open(process.pid)
        stack.callback(os.close, pidfd)
        ours.setblocking(False)
        try:
            yield process, trio.socket.from_stdlib_socket(ours)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await trio.lowlevel.wait_readable(pidfd)
