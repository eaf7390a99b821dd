"""Serves one SFTP session: from asyncssh's callbacks to what answers, and the replies back.

The event loop splits bytes into packets, and what these ask for is done in a thread, one batch at a
time, in the order in which the client sent the requests. But where there is no other session and no
other login, as in the process of one node, its writes are done in the event loop: nobody waits for
them, and with threads they would take a sixth more of the processor and a backlog of megabytes.

Why not asyncssh's own SFTP server: it makes a coroutine and a packet of each 32 KiB block. Here
what arrived while the disk was busy is one batch with one piece of replies; the busier the disk,
the larger the batch. Where writes are done in the event loop, their replies wait while more comes.
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
from cucmd.receiver.packets import Malformed, PacketBuffer, PacketType
from cucmd.receiver.requests import RequestHandler

# What a packet costs besides its bytes: a backlog in bytes alone could be STATs without end. (The
# window that comes at a resume can be 400,000 of these, in 80 MB.)
_PACKET_COST = 256

# Bytes of requests whose replies are sent together while more of them come: each piece of replies
# wakes the client and its `ssh`. It is half of the window, so that the client is not kept waiting.
_TOGETHER = 1024 * 1024


class SftpSession(asyncssh.SSHServerSession[bytes]):
    """All methods but `run` are asyncssh's callbacks. `start` starts `run` as a task."""

    def __init__(
        self,
        login: ServedLogin,
        handler: RequestHandler,
        limits: ReceiverLimits,
        start: Callable[[SftpSession], None],
        is_alone: Callable[[], bool],
    ) -> None:
        self._login = login
        self._handler = handler
        self._backlog = limits.backlog
        self._start = start
        self._is_alone = is_alone
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._buffer = PacketBuffer()
        self._packets: deque[memoryview] = deque()
        self._held = 0  # bytes that are queued or at the disk, with their cost
        self._queued = 0
        self._replies = b""  # that are not sent yet
        self._answered = 0  # bytes of what they answer, with its cost
        self._comes = False  # bytes have come in this turn of the loop
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
                self._answered += held
                # What may take long is for a thread always: an fsync, what the daemon has to open.
                here = self._is_alone() and all(one[0] == PacketType.WRITE for one in batch)
                while batch:
                    if here:
                        self._replies += self._handler.answer(batch)
                    else:
                        self._send()  # what is asked for now may take long
                        answer = self._handler.answer
                        self._replies += await loop.run_in_executor(threads, answer, batch)
                    self._login.change()  # bytes may have been written
                    if batch or not here:  # left over: these replies are many already
                        self._send()
                    await self._writable.wait()
                    if batch:
                        await asyncio.sleep(0)
                self._done(held)
        except Malformed as error:
            self._login.not_sftp(error)
        except OSError as error:
            self._login.cannot_receive(error)
        finally:
            # First of all: nothing takes any more what asyncssh has kept meanwhile.
            self._ended = True
            self._packets.clear()
            self._send()
            # It waits for a thread, as every batch does: that is long while a disk that hangs holds
            # them.
            await loop.run_in_executor(threads, self._handler.close)
            self._exit()

    async def _next_batch(self) -> deque[memoryview]:
        """Returns what has come, once there is anything; empty at the end. All else has its turn
        first. Sends what was answered, where nothing more comes in that turn.
        """
        while True:
            if self._packets or self._replies:
                self._comes = False
                await asyncio.sleep(0)
            if not self._comes or self._answered >= _TOGETHER:
                self._send()
            if self._packets or self._ended:
                batch, self._packets = self._packets, deque()
                return batch
            if not self._replies:
                self._arrived = asyncio.Event()
                await self._arrived.wait()

    def _done(self, held: int) -> None:
        self._held -= held
        if self._paused and self._held < self._backlog and self._channel:
            # It hands over all that it has kept, and only what comes after that may pause it again:
            # at the first piece it opens the whole window, and would keep more each time.
            self._channel.resume_reading()
            self._paused = False

    def _send(self) -> None:
        replies, self._replies, self._answered = self._replies, b"", 0
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
        self._comes = True
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
        if not self._paused and self._held >= self._backlog and self._channel:
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
