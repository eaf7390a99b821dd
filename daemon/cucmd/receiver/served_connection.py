"""Serves one connection in the daemon: has a process forked for it, and answers its requests.

The daemon checks the login that the client has sent. From then on it opens files in the folder of
that login, lists them, and grants bytes. It checks each request as if a stranger had sent it.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
import trio

from cucmd.failure import Code
from cucmd.receiver import messages
from cucmd.receiver.client_paths import Parts, split_stored_path
from cucmd.receiver.folder import open_in
from cucmd.receiver.limits import MIB, ReceiverLimits, RequestRefused
from cucmd.receiver.login_files import ConnectionFiles
from cucmd.receiver.refusal_log import RefusalLog
from cucmd.receiver.upload_target import UploadTarget
from cucmd.worker.frames import NO_LIMIT, ProcessLimits, WrongFrame
from cucmd.worker.process import END_SECONDS, Cause, WorkerEnded
from cucmd.worker.workers import Workers

# The role of such a process, by which the fork server knows it.
RECEIVE = "receive"

# The memory includes the memory that the process shares with the fork server, two windows of 2 MiB,
# and 27,000 names. The descriptors are for 32 open files of the client, and some of the process's
# own. The processor time has no limit, because a node may send for hours. The quota and the free
# space limit the sizes of files.
_LIMITS = ProcessLimits(
    memory=1024 * MIB,
    seconds=NO_LIMIT,
    file_size=NO_LIMIT,
    descriptors=64,
    nice=0,
)
# The limits for a connection from an address at which no node is expected. A stranger could make
# processes compute key exchanges, so these processes get the processor last. If the client is a
# node behind a NAT, it is not slower as long as the processors are not busy.
_LIMITS_OF_STRANGER = msgspec.structs.replace(_LIMITS, nice=10)

_REQUEST = msgspec.msgpack.Decoder(messages.FromProcess)

_log = logging.getLogger(__name__)


class Owner(Protocol):
    """Describes the members of `Receiver` that a connection uses."""

    begin: messages.Begin
    limits: ReceiverLimits
    workers: Workers
    open_limiter: trio.CapacityLimiter
    refusals: RefusalLog

    def target(self, username: str) -> UploadTarget | None: ...
    def free_place(self, connection: ServedConnection) -> None: ...
    def log_line(self, line: messages.LogLine) -> None: ...


class ServedConnection:
    """Serves a connection that was accepted.

    source: the address of the client, from `source_of`.
    expected: whether a node is expected at this address.
    ended: set once the process has ended.
    """

    def __init__(
        self, owner: Owner, accepted: socket.socket, source: str, *, expected: bool
    ) -> None:
        self.source = source
        self._limits = _LIMITS if expected else _LIMITS_OF_STRANGER
        self.ended = trio.Event()
        self._owner = owner
        self._accepted = accepted
        self._target: UploadTarget | None = None
        self._connection_files: ConnectionFiles | None = None
        self._wrong = False  # whether the client has sent a wrong login
        self._scope = trio.CancelScope()
        self._open_scope = trio.CancelScope(shield=True)  # for the opening of a file in a thread

    def end(self) -> None:
        """Kills the process. May be called before `run`, and repeated."""
        self._scope.cancel()
        self._accepted.close()
        # If the thread that opens a file takes longer than this, do not wait for it.
        self._open_scope.deadline = trio.current_time() + END_SECONDS

    async def run(self) -> None:
        """Serves the connection until its process has ended."""
        why = ""
        try:
            with self._accepted, self._scope:
                await self._serve()
        except WorkerEnded as error:
            # If a process without a login is killed, nothing is lost, so do not log it.
            why = "" if error.cause is Cause.LOST and self._target is None else str(error)
        except WrongFrame as error:
            why = str(error)
        finally:
            if why:
                name = self._target.name if self._target is not None else self.source
                _log.error("receiver: a process that served %s has ended: %s", name, why)
            if self._target is not None and self._connection_files is not None:
                if why:
                    message = "the process that received its files has ended"
                    self._target.received.refuse(Code.RECEIVER_LOST, message)
                await self._close_files(self._target, self._connection_files)
            self.ended.set()

    async def _serve(self) -> None:
        owner = self._owner
        async with owner.workers.forked(RECEIVE, None, self._limits) as worker:
            await worker.send(owner.begin)
            await worker.send_descriptor(self._accepted.fileno())
            self._accepted.close()  # otherwise the client would not notice the end of the process
            # The process itself cuts a client that takes too long to log in. This deadline is for a
            # process that hostile bytes have taken over.
            self._scope.deadline = trio.current_time() + 2 * owner.limits.login_timeout
            while True:
                request = await worker.receive(_REQUEST)
                if isinstance(request, messages.ConnectionEnded):
                    return
                if isinstance(request, messages.Open):
                    answer, descriptor = await self._open(request)
                    try:
                        await worker.send(answer)
                        if descriptor is not None:
                            await worker.send_descriptor(descriptor)
                    finally:
                        if descriptor is not None:
                            os.close(descriptor)
                else:
                    await worker.send(self._answer(request))

    def _answer(self, request: messages.FromProcess) -> messages.ToProcess:
        if isinstance(request, messages.LogLine):
            self._owner.log_line(request)
            return messages.Done()
        if isinstance(request, messages.LogIn):
            return self._log_in(request)
        if self._target is None or self._connection_files is None:
            raise WrongFrame("the process has no login yet")
        answer = self._connection_files.answer(request)
        self._target.note_activity()
        return answer

    def _log_in(self, request: messages.LogIn) -> messages.LogInAnswer:
        """Checks a one-time login. If it is right, the connection may use its upload target."""
        if self._target is not None:
            raise WrongFrame("the process has a login already")
        owner = self._owner
        target = owner.target(request.username)
        if target is None or not target.has_password(request.password):
            if target is not None:
                target.wrong_logins += 1
            if not self._wrong:  # log it once for each connection
                self._wrong = True
                owner.refusals.add("wrong login", self.source)
            return messages.WrongLogin()
        if len(target.connections) >= owner.limits.connections:
            # Tell only the work on this node, and not on other nodes behind the same address.
            reason = "its login already has as many connections as it may have"
            target.count_refusal(reason)
            owner.refusals.add(f"refused because {reason}", self.source)
            return messages.TooManyConnections()
        self._scope.deadline = math.inf
        self._target = target
        self._connection_files = ConnectionFiles(target.received, owner.limits)
        target.connections.add(self)
        target.logins += 1
        target.note_activity()
        owner.free_place(self)
        return messages.Admitted(target.name)

    async def _open(self, request: messages.Open) -> tuple[messages.ToProcess, int | None]:
        """Opens a file or folder for the process, in a thread because the disk may hang.

        Returns the answer and the descriptor, or None if nothing was opened.
        """
        if self._target is None or self._connection_files is None:
            raise WrongFrame("the process has no login yet")
        try:
            parts = split_stored_path(request.path, self._owner.limits)
        except RequestRefused as error:
            raise WrongFrame("the process has sent a wrong path") from error
        if (refused := self._connection_files.check_open(request)) is not None:
            return refused, None
        try:
            # Raises Cancelled if `end` was called, so that no file is opened then.
            await trio.lowlevel.checkpoint()
            with trio.CancelScope(shield=True) as self._open_scope:
                descriptor = await trio.to_thread.run_sync(
                    self._open_in_thread,
                    self._target.folder,
                    request.what,
                    parts,
                    abandon_on_cancel=True,
                    limiter=self._owner.open_limiter,
                )
        except (OSError, RuntimeError) as error:  # RuntimeError if no thread can be started
            number = error.errno if isinstance(error, OSError) else None
            return messages.OpenFailed(number or errno.EIO), None
        if self._open_scope.cancelled_caught:
            await trio.sleep_forever()  # `end` was called, and cancels this too
        answer = self._connection_files.opened(request)
        self._target.note_activity()
        return answer, descriptor

    def _open_in_thread(self, folder: Path, what: messages.OpenKind, parts: Parts) -> int:
        """Opens a file in the thread. Closes it again if the connection has ended meanwhile."""
        descriptor = open_in(folder, what, parts)
        if self._open_scope.cancelled_caught:
            os.close(descriptor)
        return descriptor

    async def _close_files(self, target: UploadTarget, files: ConnectionFiles) -> None:
        """Measures the files that the process has left open, and ends the connection's files."""
        paths = {number: target.folder / name for number, name in files.left_open().items()}
        sizes: dict[int, int] = {}
        with trio.move_on_after(END_SECONDS, shield=True):
            if paths:
                sizes = await trio.to_thread.run_sync(_sizes_of, paths, abandon_on_cancel=True)
        files.end(sizes)
        target.connections.discard(self)
        target.note_activity()


def _sizes_of(paths: dict[int, Path]) -> dict[int, int]:
    sizes = {}
    for number, path in paths.items():
        with suppress(OSError):
            sizes[number] = os.lstat(path).st_size
    return sizes
