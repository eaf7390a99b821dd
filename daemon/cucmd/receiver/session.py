"""Serves the SFTP session of a connection: from asyncssh's callbacks to what answers, and back.

Each request is answered where it comes, in the event loop: this process serves nobody else, and
while it waits for the disk or for the daemon the kernel holds what the client sends.

Why not asyncssh's own SFTP server: it makes a coroutine and a packet of each 32 KiB block.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

import asyncssh

from cucmd.receiver.login import ServedLogin
from cucmd.receiver.packets import Malformed, PacketBuffer, PacketType
from cucmd.receiver.requests import RequestHandler

# Bytes of requests whose replies are sent together while more of them come: each piece of replies
# wakes the client and its `ssh`. It is half of the window, so that the client is not kept waiting.
_TOGETHER = 1024 * 1024

# Bytes of replies that are sent at once. A READDIR of 30 bytes is answered with up to 60 KB, and
# the client may have to read these before the next ones are made.
_REPLY_BYTES = 64 * 1024


class SftpSession(asyncssh.SSHServerSession[bytes]):
    """Answers what the client asks for. All methods are asyncssh's callbacks."""

    def __init__(self, login: ServedLogin, handler: RequestHandler) -> None:
        self._login = login
        self._handler = handler
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._buffer = PacketBuffer()
        self._packets: deque[memoryview] = deque()
        self._replies = bytearray()  # that are not sent yet
        self._answered = 0  # bytes of the requests that these answer
        self._comes = False  # something has come since `_settle` looked
        self._settles = False  # `_settle` will be called
        self._waits = False  # until the client has read earlier replies
        self._at_end = False  # the client sends nothing more
        self._closed = False

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        """Takes only this: no shell, no command, no PTY; those are refused by default."""
        return subsystem == "sftp"

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._comes = True
        if self._at_end:
            return
        try:
            self._packets += self._buffer.feed(data)
        except Malformed as error:
            self._login.say("cut off: not SFTP", error)
            self._at_end = True
        self._answer()
        self._login.touch()

    def eof_received(self) -> bool:
        self._at_end = True
        self._answer()
        return True  # our own EOF follows, after the last reply

    def connection_lost(self, exc: Exception | None) -> None:
        """Answers what is queued, to nobody: a file whose close is in it is complete."""
        self._channel = None
        self._at_end = True
        self._waits = False
        self._answer()

    def pause_writing(self) -> None:
        self._waits = True
        if self._channel:
            self._channel.pause_reading()

    def resume_writing(self) -> None:
        self._waits = False
        self._answer()
        if self._channel and not self._waits:
            self._channel.resume_reading()

    def _answer(self) -> None:
        """Answers what has come, as far as the client reads the replies."""
        try:
            while self._packets and not self._waits:
                packet = self._packets.popleft()
                if packet[0] != PacketType.WRITE:
                    self._send()  # what is asked for now may take long
                self._replies += self._handler.answer(packet)
                self._answered += len(packet)
                if len(self._replies) >= _REPLY_BYTES or self._answered >= _TOGETHER:
                    self._send()
        except Malformed as error:
            self._login.say("cut off: not SFTP", error)
            self._end()
        except OSError as error:
            self._login.say("cannot receive", error, logging.ERROR)
            self._end()
        if self._at_end and not self._packets:
            self._end()
        elif self._replies and not self._settles:
            self._settles = True
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        """Sends the replies, once a turn of the event loop has brought nothing more."""
        if self._comes:
            self._comes = False
            asyncio.get_running_loop().call_soon(self._settle)
        else:
            self._settles = False
            self._send()

    def _send(self) -> None:
        replies, self._replies, self._answered = bytes(self._replies), bytearray(), 0
        if self._channel and replies:
            try:
                self._channel.write(replies)
            except OSError:
                pass  # closed meanwhile; `connection_lost` is on its way

    def _end(self) -> None:
        """Closes what is open, then sends the exit of the SFTP server, after which OpenSSH's
        client closes.
        """
        self._at_end = True
        self._packets.clear()
        if not self._closed:
            self._closed = True
            self._send()
            self._handler.close()
            if self._channel and not self._channel.is_closing():
                self._channel.exit(0)
