"""Runs the fork server for the daemon, and gets workers from it."""

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

from cucmd.worker import frames
from cucmd.worker.process import END_SECONDS, Cause, PendingFork, Worker, WorkerEnded

# Seconds between the end of the fork server and its next start.
RESTART_SECONDS = 1.0
# Seconds within which a worker must have been forked, including the start of the fork server. The
# start takes a second and a fork some milliseconds. A fork server that takes longer is killed.
FORK_TIMEOUT = 20.0
# Seconds that the daemon waits for the fork server at its own start.
_READY = 10.0
# Bytes that the fork server and all workers together may write to standard error in a minute.
_MAX_OUTPUT = 64 * 1024
_PIPE_BUF = 4096  # bytes; a text up to this size that is written in one piece is read in one piece

_NO_DESCRIPTOR = "the daemon has no descriptor left for a worker"
_NOT_IN_TIME = "no worker was forked in time"

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_workers(
    folder: Path,
    roles: Mapping[str, str],
    *,
    more_modules: str = "",
    fork_timeout: float = FORK_TIMEOUT,
) -> AsyncIterator[Workers]:
    """Runs the fork server while the body runs. Does not wait until the fork server is ready.

    folder: the folder below which workers may be allowed to read files.
    roles: for each kind of worker, its name and its function ("module:function").
    more_modules: a folder with modules of roles that are not installed, such as those of a test.
    fork_timeout: seconds within which a worker must have been forked.
    """
    environ = {"PATH": os.environ.get("PATH", os.defpath)}
    # This package itself may have been found by way of the daemon's own PYTHONPATH.
    if modules := [path for path in (more_modules, os.environ.get("PYTHONPATH")) if path]:
        environ["PYTHONPATH"] = os.pathsep.join(modules)
    workers = Workers(folder, roles, environ, fork_timeout)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(workers.run)
        yield workers
        nursery.cancel_scope.cancel()


class Workers:
    """Gets workers from the fork server. Made by `open_workers`.

    confined: whether Landlock confines the workers, or None before the fork server is ready.
    restarts: how often the fork server has ended and was started again.
    """

    def __init__(
        self,
        folder: Path,
        roles: Mapping[str, str],
        environ: Mapping[str, str],
        fork_timeout: float,
    ) -> None:
        self.confined: bool | None = None
        self.restarts = 0
        self._folder = folder
        self._roles = roles
        self._environ = environ
        self._fork_timeout = fork_timeout
        self._numbers = count(1)
        self._pending: dict[int, PendingFork] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._control: trio.socket.SocketType | None = None
        self._ready = trio.Event()
        self._sending = trio.Lock()  # trio lets only one task at a time wait for a socket
        self._decoder = msgspec.msgpack.Decoder(frames.FromForkServer)

    async def wait_ready(self) -> None:
        """Waits until the fork server is ready, for at most 10 s."""
        with trio.move_on_after(_READY):
            await self._ready.wait()

    async def run(self) -> None:
        """Starts the fork server, and starts it again whenever it has ended."""
        async with trio.open_nursery() as nursery:
            while True:
                why = "has ended"
                try:
                    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                    nursery.start_soon(_log_output, trio.lowlevel.FdStream(reader))
                    opened = _run_fork_server(self._folder, self._roles, self._environ, writer)
                    async with opened as (self._process, self._control):
                        self._started = trio.current_time()
                        with suppress(OSError, frames.WrongFrame):
                            while await self._handle_frame(self._control):
                                pass
                except OSError as error:  # mostly a limit of processes or of descriptors
                    why = f"cannot be started ({error})"
                finally:
                    self._lose_all()
                self.restarts += 1
                _log.error("the fork server %s; it is started again", why)
                await trio.sleep(RESTART_SECONDS)

    async def _handle_frame(self, control: trio.socket.SocketType) -> bool:
        """Handles one frame of the fork server. Returns False at the end of its socket."""
        content, ancillary, _, _ = await control.recvmsg(frames.MAX_PACKET, socket.CMSG_SPACE(4))
        descriptors = [fd for _, _, data in ancillary for fd in array.array("i", data)]
        match frames.decode_frame(self._decoder, content) if content else None:
            case frames.Ready(confined):
                self.confined = confined
                self._ready.set()
            case frames.Forked(number):
                # There is no pidfd if the daemon has no descriptor left. The worker then ends by
                # itself, because the daemon closes its channel.
                self._answer(number, descriptors[0] if descriptors else _NO_DESCRIPTOR)
            case frames.CannotFork(number, why):
                self._answer(number, f"no worker could be forked: {why}")
            case frames.Ended(number) as end:
                if (pending := self._pending.pop(number, None)) is not None:
                    pending.end = end
                    pending.ended.set()
            case None:
                return False
        return True

    def _answer(self, number: int, answer: int | str) -> None:
        """Gives a waiting caller the pidfd of its worker, or the reason why none was forked."""
        pending = self._pending.get(number)
        if pending is not None and not pending.answered.is_set():
            pending.answer = answer
            pending.answered.set()
        elif isinstance(answer, int):  # the caller that asked for this worker was cancelled
            _kill(answer)
            os.close(answer)

    def _lose_all(self) -> None:
        """Tells all callers that their workers have ended with the fork server."""
        self._process = self._control = None
        if self._ready.is_set():  # an event that is not set yet may have waiting callers: keep it
            self._ready = trio.Event()
        lost, self._pending = self._pending, {}
        for pending in lost.values():
            if not pending.answered.is_set():
                pending.answer = "the fork server has ended"
                pending.answered.set()
            pending.ended.set()

    @asynccontextmanager
    async def forked(
        self, role: str, folder: Path | None, limits: frames.ProcessLimits
    ) -> AsyncIterator[Worker]:
        """Runs a worker for `role` while the body runs, and kills it at the end.

        folder: the folder in which the worker may read files, or None if it may read none.

        Raises `WorkerEnded` if there is no worker, as all methods of the worker do if it ends.
        """
        number, pending = next(self._numbers), PendingFork()
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise WorkerEnded(Cause.LOST, f"{_NO_DESCRIPTOR}: {error.strerror}") from error
        ours.setblocking(False)
        with ours:
            try:
                # Closed as soon as the fork server has a copy. While the daemon held this end
                # itself, it would not notice that the worker has ended.
                with theirs:
                    await self._ask(
                        frames.Fork(number, role, str(folder or ""), limits), pending, theirs
                    )
                if isinstance(pending.answer, str):
                    raise WorkerEnded(Cause.LOST, pending.answer)
                yield Worker(ours, pending, limits.seconds)
            finally:
                if isinstance(pidfd := pending.answer, int):
                    _kill(pidfd)
                    with trio.move_on_after(END_SECONDS, shield=True):
                        await trio.lowlevel.wait_readable(pidfd)
                    os.close(pidfd)
                else:
                    # No worker was forked, or its pidfd has not arrived yet. `_answer` then kills
                    # the worker when the pidfd arrives.
                    self._pending.pop(number, None)

    async def _ask(self, fork: frames.Fork, pending: PendingFork, channel: socket.socket) -> None:
        """Sends a request and waits for its answer. Raises `WorkerEnded` if none comes in time."""
        try:
            with trio.fail_after(self._fork_timeout):
                while not self._ready.is_set():
                    # The fork server may have ended before this task runs again.
                    await self._ready.wait()
                self._pending[fork.number] = pending
                async with self._sending:
                    if self._control is not None:
                        rights = array.array("i", [channel.fileno()])
                        with suppress(OSError):  # if it has ended, `_lose_all` answers
                            await self._control.sendmsg(
                                [msgspec.msgpack.encode(fork)],
                                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)],
                            )
                await pending.answered.wait()
        except trio.TooSlowError:
            # The fork server may have been started while this request waited. Kill it only if it
            # has had `_fork_timeout` seconds since its own start.
            if (
                self._process is not None
                and trio.current_time() >= self._started + self._fork_timeout
            ):
                _log.error("the fork server does not answer; it is killed and started again")
                self._process.kill()
            raise WorkerEnded(Cause.LOST, _NOT_IN_TIME) from None


def _kill(pidfd: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


async def _log_output(stream: trio.lowlevel.FdStream) -> None:
    """Logs what the fork server and its workers write to standard error, until all have ended.

    The text is usually the traceback of a defect. The processes do not inherit the daemon's
    standard error: they may not write to files, so they could not write to a log that is a file,
    and hostile code in a worker could read from a terminal. After `_MAX_OUTPUT` bytes in a minute
    the pipe is not read until the next minute, and text that does not fit into the pipe is lost.
    """
    async with stream:
        while True:
            left = _MAX_OUTPUT
            with trio.move_on_after(60):
                while left > 0:
                    if not (text := await stream.receive_some(_PIPE_BUF)):
                        return
                    left -= len(text)
                    _log.error("a worker has written: %s", text.decode(errors="replace").rstrip())
                await trio.sleep_forever()


@asynccontextmanager
async def _run_fork_server(
    folder: Path, roles: Mapping[str, str], environ: Mapping[str, str], standard_error: int
) -> AsyncIterator[tuple[subprocess.Popen[bytes], trio.socket.SocketType]]:
    """Starts the fork server, yields its process and its socket, and kills it at the end.

    A plain fork of the daemon would have the daemon's passwords in its memory, so this uses exec.
    The wait for the end of the process uses no thread, because there may be no thread left.

    standard_error: a descriptor for the process, which this function closes. Raises OSError.
    """
    with ExitStack() as stack:
        with ExitStack() as starting:
            starting.callback(os.close, standard_error)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(ours)
            starting.enter_context(theirs)
            number = theirs.fileno()
            named = [f"{name}={where}" for name, where in roles.items()]
            # -P and -s: no module is imported from the current folder or from the user's home.
            command = (sys.executable, "-P", "-s", "-m", "cucmd.worker.fork_server")
            # Start it from this thread and not from a worker thread: PR_SET_PDEATHSIG kills the
            # process when the thread that started it ends.
            process = subprocess.Popen(  # noqa: ASYNC220
                [*command, str(number), str(os.getpid()), str(folder), *named],
                pass_fds=[number],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=standard_error,
                start_new_session=True,
            )
        # These run in the reverse order: the process is killed first, and then waited for, so that
        # it does not stay as a zombie.
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
