"""Lets the daemon talk to one worker."""

from __future__ import annotations

import signal
import socket
from enum import StrEnum
from typing import TypeVar

import msgspec
import trio

from cucmd.worker.fork_server import OUT_OF_MEMORY
from cucmd.worker.frames import (
    NO_LIMIT,
    Ended,
    WrongFrame,
    decode_frame,
    encode_frame,
    frame_length,
)

# Seconds that the kernel gets to end a killed process, and the fork server to report the end.
END_SECONDS = 1.0

T = TypeVar("T")


class Cause(StrEnum):
    """Lists why a worker ended before its work was done."""

    LOST = "lost"  # it was killed, or the fork server has ended; the work is not the reason
    TIME = "time"  # it has used more processor time than allowed
    MEMORY = "memory"
    WRONG = "wrong"  # it sent an invalid frame, or a defect has ended it


class WorkerEnded(Exception):
    """Raised when a worker has ended before its work was done."""

    def __init__(self, cause: Cause, why: str) -> None:
        super().__init__(why)
        self.cause = cause


class PendingFork:
    """Holds the state of a worker that the fork server was asked to fork.

    answer: the worker's pidfd, or a text why there is no worker. Valid once `answered` is set.
    end: how the worker has ended, or None if the fork server has ended too. Valid once `ended` is
        set.
    """

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.answer: int | str = ""
        self.ended = trio.Event()
        self.end: Ended | None = None


class Worker:
    """Talks to a worker. All methods may raise `WorkerEnded`."""

    def __init__(self, channel: socket.socket, pending: PendingFork, seconds: int) -> None:
        self._socket = channel
        self._channel = trio.SocketStream(trio.socket.from_stdlib_socket(channel))
        self._pending = pending
        self._seconds = seconds
        self._came = bytearray()
        self._at_end = False

    async def send(self, frame: msgspec.Struct) -> None:
        try:
            await self._channel.send_all(encode_frame(frame))
        except WrongFrame as error:  # the frame is too long
            raise WorkerEnded(Cause.WRONG, str(error)) from error
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise await self._end_error() from None

    async def send_descriptor(self, descriptor: int) -> None:
        """Sends a copy of a descriptor. The worker must call `Channel.receive_descriptor` before it
        receives any frame that is sent later.
        """
        try:
            await trio.lowlevel.wait_writable(self._socket)
            # The task that cancels this call may have closed the descriptor, and its number may
            # belong to another file by now. So do not send it after a cancel.
            await trio.lowlevel.checkpoint_if_cancelled()
            socket.send_fds(self._socket, [b"\0"], [descriptor])
        except OSError:
            raise await self._end_error() from None

    async def receive(self, decoder: msgspec.msgpack.Decoder[T]) -> T:
        try:
            return decode_frame(decoder, await self._take(frame_length(await self._take(4))))
        except WrongFrame as error:
            raise WorkerEnded(Cause.WRONG, str(error)) from error

    async def wait_readable(self) -> None:
        """Waits until there are bytes to read."""
        if self._at_end:
            raise await self._end_error()
        await trio.lowlevel.wait_readable(self._socket)

    def receive_arrived(self, decoder: msgspec.msgpack.Decoder[T]) -> list[T]:
        """Returns the frames that have arrived, without waiting.

        Reads at most a megabyte, so that one worker cannot occupy the event loop.
        """
        for _ in range(16):
            try:
                piece = self._socket.recv(64 * 1024)
            except BlockingIOError:
                break
            except OSError:
                piece = b""
            if not piece:
                self._at_end = True
                break
            self._came += piece
        frames = []
        try:
            while len(self._came) >= 4 and len(self._came) >= 4 + frame_length(self._came[:4]):
                end = 4 + frame_length(self._came[:4])
                frames.append(decode_frame(decoder, bytes(self._came[4:end])))
                del self._came[:end]
        except WrongFrame as error:
            raise WorkerEnded(Cause.WRONG, str(error)) from error
        return frames

    async def _take(self, size: int) -> bytes:
        while len(self._came) < size:
            try:
                piece = await self._channel.receive_some(64 * 1024)
            except trio.BrokenResourceError:
                piece = b""
            if not piece:
                raise await self._end_error()
            self._came += piece
        taken = bytes(self._came[:size])
        del self._came[:size]
        return taken

    async def _end_error(self) -> WorkerEnded:
        """Returns an exception that says why the worker has ended."""
        with trio.move_on_after(END_SECONDS):
            await self._pending.ended.wait()
        end = self._pending.end
        told = end is not None and end.code == -signal.SIGXCPU
        if told or (end is not None and self._seconds != NO_LIMIT and end.seconds > self._seconds):
            return WorkerEnded(Cause.TIME, f"it used more than {self._seconds} s of processor time")
        if end is not None and end.code == OUT_OF_MEMORY:
            return WorkerEnded(Cause.MEMORY, "it needed more memory than it may have")
        # A worker that finds its channel closed exits with 0. The signals are those by which an
        # administrator, the kernel (for want of memory) or a stop ends a process.
        if end is None or end.code in (0, -signal.SIGKILL, -signal.SIGTERM):
            return WorkerEnded(Cause.LOST, "its process was killed")
        return WorkerEnded(Cause.WRONG, f"its process has failed (exit code {end.code})")
