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

from cucmd.receiver.daemon_client import DaemonClient
from cucmd.receiver.sftp_packets import Malformed, PacketBuffer, PacketType
from cucmd.receiver.sftp_requests import RequestHandler

# Bytes of requests whose replies are sent together while more of them come: each piece of replies
# wakes the client and its `ssh`. It is half of the window, so that the client is not kept waiting.
_FLUSH_REQUEST_BYTES = 1024 * 1024

# Bytes of replies that are sent at once. A READDIR of 30 bytes is answered with up to 60 KB, and
# the client may have to read these before the next ones are made.
_FLUSH_REPLY_BYTES = 64 * 1024


class SftpSession(asyncssh.SSHServerSession[bytes]):
    """Answers what the client asks for. All methods are asyncssh's callbacks."""

    def __init__(self, daemon: DaemonClient, handler: RequestHandler) -> None:
        self._daemon = daemon
        self._handler = handler
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._buffer = PacketBuffer()
        self._packets: deque[memoryview] = deque()
        self._replies = bytearray()  # that are not sent yet
        self._answered_bytes = 0  # bytes of the requests that these answer
        self._received_more = False  # something has come since `_flush_when_idle` looked
        self._flush_scheduled = False  # `_flush_when_idle` will be called
        self._client_is_slow = False  # until the client has read earlier replies
        self._input_ended = False  # the client sends nothing more
        self._closed = False

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        """Takes only this: no shell, no command, no PTY; those are refused by default."""
        return subsystem == "sftp"

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._received_more = True
        if self._input_ended:
            return
        try:
            self._packets += self._buffer.feed(data)
        except Malformed as error:
            self._daemon.log_once("cut off: not SFTP", error)
            self._input_ended = True
        self._answer()
        self._daemon.report_activity()

    def eof_received(self) -> bool:
        self._input_ended = True
        self._answer()
        return True  # our own EOF follows, after the last reply

    def connection_lost(self, exc: Exception | None) -> None:
        """Answers what is queued, to nobody: a file whose close is in it is complete."""
        self._channel = None
        self._input_ended = True
        self._client_is_slow = False
        self._answer()

    def pause_writing(self) -> None:
        self._client_is_slow = True
        if self._channel:
            self._channel.pause_reading()

    def resume_writing(self) -> None:
        self._client_is_slow = False
        self._answer()
        if self._channel and not self._client_is_slow:
            self._channel.resume_reading()

    def _answer(self) -> None:
        """Answers what has come, as far as the client reads the replies."""
        try:
            while self._packets and not self._client_is_slow:
                packet = self._packets.popleft()
                if packet[0] != PacketType.WRITE:
                    self._send()  # what is asked for now may take long
                self._replies += self._handler.answer(packet)
                self._answered_bytes += len(packet)
                if (
                    len(self._replies) >= _FLUSH_REPLY_BYTES
                    or self._answered_bytes >= _FLUSH_REQUEST_BYTES
                ):
                    self._send()
        except Malformed as error:
            self._daemon.log_once("cut off: not SFTP", error)
            self._end()
        except OSError as error:
            self._daemon.log_once("cannot receive", error, logging.ERROR)
            self._end()
        if self._input_ended and not self._packets:
            self._end()
        elif self._replies and not self._flush_scheduled:
            self._flush_scheduled = True
            asyncio.get_running_loop().call_soon(self._flush_when_idle)

    def _flush_when_idle(self) -> None:
        """Sends the replies, once a turn of the event loop has brought nothing more."""
        if self._received_more:
            self._received_more = False
            asyncio.get_running_loop().call_soon(self._flush_when_idle)
        else:
            self._flush_scheduled = False
            self._send()

    def _send(self) -> None:
        replies, self._replies, self._answered_bytes = bytes(self._replies), bytearray(), 0
        if self._channel and replies:
            try:
                self._channel.write(replies)
            except OSError:
                pass  # closed meanwhile; `connection_lost` is on its way

    def _end(self) -> None:
        """Closes what is open, then sends the exit of the SFTP server, after which OpenSSH's
        client closes.
        """
        self._input_ended = True
        self._packets.clear()
        if not self._closed:
            self._closed = True
            self._send()
            self._handler.close()
            if self._channel and not self._channel.is_closing():
                self._channel.exit(0)
