"""Gives a worker its end of the channel to the daemon. All calls block."""

from __future__ import annotations

import socket
from typing import TypeVar

import msgspec

from cucmd.worker.frames import decode_frame, encode_frame, frame_length

T = TypeVar("T")


class DaemonGone(Exception):
    """Raised when the daemon has closed the channel, because the worker is no longer needed."""


class Channel:
    """Sends frames to the daemon and receives its frames. All methods may raise `DaemonGone`."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def send(self, frame: msgspec.Struct) -> None:
        try:
            self._socket.sendall(encode_frame(frame))
        except OSError as error:
            raise DaemonGone from error

    def receive_descriptor(self) -> int:
        """Returns the descriptor that the daemon has sent with `Worker.send_descriptor`."""
        try:
            came, descriptors, _, _ = socket.recv_fds(self._socket, 1, 1)
        except OSError as error:
            raise DaemonGone from error
        if not came or not descriptors:
            raise DaemonGone
        return descriptors[0]

    def receive(self, decoder: msgspec.msgpack.Decoder[T]) -> T:
        """Returns the next frame. Raises `WrongFrame` if the daemon has another version."""
        return decode_frame(decoder, self._take(frame_length(self._take(4))))

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
