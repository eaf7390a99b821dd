"""Serves one SFTP session: from asyncssh's callbacks to a worker thread, and the replies back.

The event loop only splits bytes into packets; every access to the disk is in a thread, one batch at
a time, in the order in which the client sent the requests.

Why not asyncssh's own SFTP server: it makes a coroutine and a packet of each 32 KiB block and
writes in the event loop. Here what arrived while the disk was busy is one batch with one piece of
replies; the busier the disk, the larger the batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import asyncssh

from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.login import ServedLogin
from cucmd.receiver.packets import Malformed, PacketBuffer
from cucmd.receiver.requests import RequestHandler

# What a packet costs besides its bytes; else a backlog in bytes could hold a million STATs.
_PACKET_COST = 256


class Backlog:
    """Counts the bytes that wait for the disk, of all sessions of the process together."""

    def __init__(self, limits: ReceiverLimits) -> None:
        self.limits = limits
        self.total = 0

    def full(self, own: int) -> bool:
        limits = self.limits
        return own >= limits.backlog or (
            own >= limits.backlog_share and self.total >= limits.backlog_total
        )


class SftpSession(asyncssh.SSHServerSession[bytes]):
    """All methods but `run` are asyncssh's callbacks. `start` starts `run` as a task."""

    def __init__(
        self,
        login: ServedLogin,
        handler: RequestHandler,
        backlog: Backlog,
        start: Callable[[SftpSession], None],
    ) -> None:
        self._login = login
        self._handler = handler
        self._backlog = backlog
        self._start = start
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._buffer = PacketBuffer()
        self._packets: deque[memoryview] = deque()
        self._held = 0  # bytes that are queued or at the disk, with their cost
        self._queued = 0
        self._paused = False
        self._ended = False  # the client sends nothing more, or nothing more is read
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    async def run(self, threads: Executor) -> None:
        """Answers until the client or the login ends the session; then closes what is open."""
        loop = asyncio.get_running_loop()
        try:
            while batch := await self._next_batch():
                held, self._queued = self._queued, 0
                while batch:
                    answer = self._handler.answer
                    replies = await loop.run_in_executor(threads, answer, batch)
                    self._login.change()  # bytes may have been written
                    self._send(replies)
                    await self._writable.wait()
                self._done(held)
        except Malformed as error:
            self._login.not_sftp(error)
        except OSError as error:
            self._login.cannot_receive(error)
        finally:
            # First of all: after a resume of reading, what asyncssh has kept meanwhile would be
            # counted in the backlog for ever, since nothing takes it out any more.
            self._ended = True
            self._packets.clear()
            self._done(self._held)
            # It waits for a thread, as every batch does: that is long while a disk that hangs holds
            # them.
            await loop.run_in_executor(threads, self._handler.close)
            self._exit()

    async def _next_batch(self) -> deque[memoryview]:
        """Returns what has come, once there is anything; empty at the end."""
        while not self._packets and not self._ended:
            self._arrived = asyncio.Event()
            await self._arrived.wait()
        batch, self._packets = self._packets, deque()
        return batch

    def _done(self, held: int) -> None:
        self._held -= held
        self._backlog.total -= held
        if self._ended or not self._channel:
            return
        if self._paused and not self._backlog.full(self._held):
            self._paused = False
            self._channel.resume_reading()

    def _send(self, replies: bytes) -> None:
        if self._channel and replies:
            try:
                self._channel.write(replies)
            except OSError:
                pass  # closed meanwhile; `connection_lost` is on its way

    def _exit(self) -> None:
        """Sends the exit of the SFTP server, after which OpenSSH's client closes."""
        if self._channel and not self._channel.is_closing():
            self._channel.exit(0)

    # What asyncssh calls.

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        """Takes only this: no shell, no command, no PTY; those are refused by default."""
        return subsystem == "sftp"

    def session_started(self) -> None:
        self._start(self)

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._login.touch()
        if self._ended:
            return
        try:
            packets = self._buffer.feed(data)
        except Malformed as error:
            self._login.not_sftp(error)
            self._end()
            return
        if not packets:
            return
        cost = sum(map(len, packets)) + _PACKET_COST * len(packets)
        self._packets += packets
        self._queued += cost
        self._held += cost
        self._backlog.total += cost
        if not self._paused and self._backlog.full(self._held) and self._channel:
            self._paused = True
            self._channel.pause_reading()
        self._arrived.set()

    def eof_received(self) -> bool:
        self._end()
        return True  # our own EOF follows, after the last reply

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel = None
        # What is queued is still written: a file whose close is in it is complete. A revoked login
        # writes nothing of it.
        self._end()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        self._writable.set()

    def _end(self) -> None:
        self._ended = True
        self._arrived.set()
