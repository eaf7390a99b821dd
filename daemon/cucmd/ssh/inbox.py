"""Keeps the output of a node's shell, from asyncssh's callbacks until a trio task reads it.

If the reader is slow, the SSH channel is paused, so memory stays limited.
"""

from __future__ import annotations

from typing import Any

import asyncssh
import trio

from cucmd.ssh.causes import Mask, why_ended

# Bytes for each node. asyncssh's receive window takes the same amount in addition, so 400 nodes
# whose output is not read take 50 MB. A command line prints a few KB at a time; only a long `file
# list` comes near this limit.
HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024
WINDOW = 64 * 1024


class Inbox(asyncssh.SSHClientSession[bytes]):
    """Receives the output of one shell, standard error included.

    The reader calls `receive` and `has_come`. All other methods are callbacks of asyncssh.

    received_bytes: the number of bytes received since the beginning.
    closed: set once the channel is closed.
    writable: set while asyncssh accepts more bytes to send.
    lost: why the connection broke, or None if it did not break.

    If the connection breaks while more than HIGH_WATER bytes are unread, the bytes that asyncssh
    still holds are lost. If the node closes the channel in order, nothing is lost.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._chunks: list[bytes] = []
        self._ended = False
        self._reader = trio.lowlevel.ParkingLot()
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.received_bytes = 0
        self.unread_bytes = 0
        self.lost: str | None = None
        self.closed = trio.Event()
        self.writable = trio.Event()
        self.writable.set()

    @property
    def has_come(self) -> bool:
        """Returns whether `receive` would return at once."""
        return bool(self._chunks) or self._ended

    async def receive(self) -> bytes:
        """Returns all bytes received since the last call, and waits if there are none.

        Returns b"" at the end of the output. A cancel loses no bytes.
        """
        if self.has_come:
            await trio.lowlevel.checkpoint()
        else:
            await self._reader.park()
        # A node echoes every character by itself, so there may be many small chunks.
        data = b"".join(self._chunks)
        self._chunks.clear()
        self.unread_bytes -= len(data)
        if self.unread_bytes <= LOW_WATER and self._channel:
            self._channel.resume_reading()
        return data

    # Callbacks of asyncssh.

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: Any) -> None:
        self.received_bytes += len(data)
        self.unread_bytes += len(data)
        self._chunks.append(data)
        self._reader.unpark()
        if self.unread_bytes >= HIGH_WATER and self._channel:
            self._channel.pause_reading()

    def _end(self) -> None:
        self._ended = True
        self._reader.unpark()

    def eof_received(self) -> bool:
        self._end()
        return False  # asyncssh then closes our side too, because the shell takes no more input

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
