"""The output of a node's shell, from asyncssh's callbacks to its reader in trio.

The one rule: it is bounded in bytes. If the reader is slow, the SSH channel is paused.
"""

from __future__ import annotations

from typing import Any

import asyncssh
import trio

from cucmd.ssh.causes import Mask, lost

# Bytes for each node, and as many again in asyncssh's receive window: 400 nodes that are not read
# take 50 MB. A command line prints a few KB at a time; only a long `file list` comes near this.
HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024
WINDOW = 64 * 1024


class Inbox(asyncssh.SSHClientSession[bytes]):
    """The output of one shell, standard error included.

    `take` is for the reader. All other methods are callbacks of asyncssh.

    closed: set once the channel is closed.
    writable: set unless asyncssh has too many bytes to send.
    lost: why the connection broke; None if it did not.

    A connection that breaks while more than HIGH_WATER bytes are unread loses the rest; a
    channel that the node closes loses nothing.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        # A chunk has at least one byte, so so many slots are not full before the limit in bytes is
        # reached. The additional slot is for the chunk that reaches it.
        self._send, self._receive = trio.open_memory_channel[bytes](HIGH_WATER + 1)
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._unread = 0
        self._paused = False
        self.lost: str | None = None
        self.closed = trio.Event()
        self.writable = trio.Event()
        self.writable.set()

    async def take(self) -> bytes:
        """All bytes that have come; waits if there are none. b"" at the end.

        If it is cancelled, no bytes are lost.
        """
        try:
            chunks = [await self._receive.receive()]
        except trio.EndOfChannel:
            return b""
        # A node echoes character by character, so there may be many small chunks.
        while self._receive.statistics().current_buffer_used:
            chunks.append(self._receive.receive_nowait())
        data = b"".join(chunks)
        self._unread -= len(data)
        if self._paused and self._unread <= LOW_WATER and self._channel:
            self._paused = False
            self._channel.resume_reading()
        return data

    # Called by asyncssh.

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._unread += len(data)
        self._send.send_nowait(data)
        if self._unread >= HIGH_WATER and self._channel:
            self._paused = True
            self._channel.pause_reading()

    def eof_received(self) -> bool:
        self._send.close()
        return False  # close our side too: a shell whose output has ended takes no input

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel = None
        self.lost = lost(exc, self._mask) if exc else None
        self._send.close()
        self.closed.set()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable = trio.Event()

    def resume_writing(self) -> None:
        self.writable.set()
