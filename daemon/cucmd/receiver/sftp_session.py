"""Serves the SFTP session of a connection, from asyncssh's callbacks to the replies.

Each request is answered in the callback that receives it, which may wait for the disk or for the
daemon, since this process serves no other client.

asyncssh's own SFTP server is not used, because it makes a coroutine and a packet object for each
block of 32 KiB.
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

# After this many bytes of requests, their replies are sent. Until then, replies are collected while
# more requests arrive, because each piece that we send wakes the client and its `ssh`. The value is
# half of the window, so that the client never waits for the replies.
_MAX_REQUESTS = 1024 * 1024

# After this many bytes of replies, the replies are sent. A READDIR of 30 bytes gets a reply of up
# to 60 KB, and many of them would take much memory.
_MAX_REPLIES = 64 * 1024


class SftpSession(asyncssh.SSHServerSession[bytes]):
    """Answers the client's requests. All public methods are callbacks of asyncssh."""

    def __init__(self, daemon: DaemonClient, handler: RequestHandler) -> None:
        self._daemon = daemon
        self._handler = handler
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._buffer = PacketBuffer()
        self._packets: deque[memoryview] = deque()
        self._replies = bytearray()  # replies that are not sent yet
        self._answered = 0  # bytes of the requests that were answered by `_replies`
        self._received_more = False  # whether data came since the last `_flush_when_idle`
        self._flush_scheduled = False  # whether `_flush_when_idle` will be called
        self._client_is_slow = False  # whether the client has to read earlier replies first
        self._input_ended = False  # whether the client sends nothing more
        self._closed = False

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        """Accepts only SFTP. asyncssh refuses a shell, a command and a PTY by default."""
        return subsystem == "sftp"

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._received_more = True
        if self._input_ended:
            return
        try:
            self._packets += self._buffer.feed(data)
        except Malformed as error:
            self._daemon.log_once("the session ends because of a malformed packet", error)
            self._input_ended = True
        self._answer()
        self._daemon.report_activity()

    def eof_received(self) -> bool:
        self._input_ended = True
        self._answer()
        return True  # our own EOF follows, after the last reply

    def connection_lost(self, exc: Exception | None) -> None:
        """Processes the queued requests. If the CLOSE of a file is among them, it is complete."""
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
        """Answers the queued requests, as long as the client reads the replies."""
        try:
            while self._packets and not self._client_is_slow:
                packet = self._packets.popleft()
                if packet[0] != PacketType.WRITE:
                    self._send()  # this request may take long, so send the earlier replies first
                self._replies += self._handler.answer(packet)
                self._answered += len(packet)
                if len(self._replies) >= _MAX_REPLIES or self._answered >= _MAX_REQUESTS:
                    self._send()
        except Malformed as error:
            self._daemon.log_once("the session ends because of a malformed packet", error)
            self._end()
        except OSError as error:
            self._daemon.log_once("the session ends because of an error", error, logging.ERROR)
            self._end()
        if self._input_ended and not self._packets:
            self._end()
        elif self._replies and not self._flush_scheduled:
            self._flush_scheduled = True
            asyncio.get_running_loop().call_soon(self._flush_when_idle)

    def _flush_when_idle(self) -> None:
        """Sends the replies when a turn of the event loop has brought no more data."""
        if self._received_more:
            self._received_more = False
            asyncio.get_running_loop().call_soon(self._flush_when_idle)
        else:
            self._flush_scheduled = False
            self._send()

    def _send(self) -> None:
        replies, self._replies, self._answered = bytes(self._replies), bytearray(), 0
        if self._channel and replies:
            try:
                self._channel.write(replies)
            except OSError:
                pass  # the channel was closed meanwhile, and `connection_lost` will be called

    def _end(self) -> None:
        """Closes all open files and sends the exit status, after which OpenSSH's client closes."""
        self._input_ended = True
        self._packets.clear()
        if not self._closed:
            self._closed = True
            self._send()
            self._handler.close()
            if self._channel and not self._channel.is_closing():
                self._channel.exit(0)
