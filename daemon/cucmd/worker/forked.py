"""A process that was forked: its end of the channel to the daemon. It blocks, as is plain there."""

from __future__ import annotations

import socket
import threading
from typing import TypeVar

import msgspec

from cucmd.worker.frames import decoded, framed, length_of

T = TypeVar("T")


class DaemonGone(Exception):
    """The daemon has closed the channel: it wants nothing more."""


class Channel:
    """Raises `DaemonGone` throughout. `send` may be called by any thread, `receive` by one.

    door: by which connections come, each in a packet with the address that it is of; None: none
    do.
    """

    def __init__(self, connected: socket.socket, door: socket.socket | None = None) -> None:
        self.door = door
        self._socket = connected
        self._sending = threading.Lock()

    def send(self, frame: msgspec.Struct) -> None:
        try:
            with self._sending:
                self._socket.sendall(framed(frame))
        except OSError as error:
            raise DaemonGone from error

    def receive(self, decoder: msgspec.msgpack.Decoder[T]) -> T:
        """Raises `WrongFrame`: the daemon is of another version."""
        return decoded(decoder, self._take(length_of(self._take(4))))

    def _take(self, size: int) -> bytes:
        taken = bytearray()
        while len(taken) < size:
            try:
                piece = self._socket.recv(size - len(taken))
            except OSError as error:
                raise DaemonGone from error
            if not piece:
                raise DaemonGone
            taken += piece
        return bytes(taken)
