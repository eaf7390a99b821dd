"""Takes the output of a node's shell, from asyncssh's callbacks to its reader in trio.

It is bounded in bytes. If the reader is slow, the SSH channel is paused.
"""

from __future__ import annotations

from typing import Any

import asyncssh
import trio

from cucmd.ssh.causes import Mask, why_ended

# Bytes for each node, and as many again in asyncssh's receive window: 400 nodes that are not read
# take 50 MB. A command line prints a few KB at a time; only a long `file list` comes near this.
HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024
WINDOW = 64 * 1024


class Inbox(asyncssh.SSHClientSession[bytes]):
    """Takes the output of one shell, standard error included.

    `take` and `has_come` are for the reader. All other methods are callbacks of asyncssh.

    came: how many bytes have come in all.
    closed: set once the channel is closed.
    writable: set unless asyncssh has too many bytes to send.
    lost: why the connection broke; None if it did not.

    A connection that breaks while more than HIGH_WATER bytes are unread loses the rest; a
    channel that the node closes loses nothing.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._chunks: list[bytes] = []
        self._ended = False
        self._reader = trio.lowlevel.ParkingLot()
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.received_bytes = 0
        self.unread_bytes = 0
        self._paused = False
        self.lost: str | None = None
        self.closed = trio.Event()
        self.writable = trio.Event()
        self.writable.set()

    @property
    def has_come(self) -> bool:
        """Says whether `take` would not wait."""
        return bool(self._chunks) or self._ended

    async def receive(self) -> bytes:
        """Takes all bytes that have come; waits if there are none. b"" at the end.

        If it is cancelled, no bytes are lost.
        """
        if self.has_come:
            await trio.lowlevel.checkpoint()
        else:
            await self._reader.park()
        # A node echoes character by character, so there may be many small chunks.
        data = b"".join(self._chunks)
        self._chunks.clear()
        self.unread_bytes -= len(data)
        if self._paused and self.unread_bytes <= LOW_WATER and self._channel:
            self._paused = False
            self._channel.resume_reading()
        return data

    # Called by asyncssh.

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: Any) -> None:
        self.received_bytes += len(data)
        self.unread_bytes += len(data)
        self._chunks.append(data)
        self._reader.unpark()
        if self.unread_bytes >= HIGH_WATER and self._channel:
            self._paused = True
            self._channel.pause_reading()

    def _end(self) -> None:
        self._ended = True
        self._reader.unpark()

    def eof_received(self) -> bool:
        self._end()
        return False  # close our side too: a shell whose output has ended takes no input

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel = None
        self.lost = why_ended(exc, self._mask) if exc else None
        self._end()
        self.closed.set()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable = trio.Event()

    def resume_writing(self) -> None:
        self.writable.set()
