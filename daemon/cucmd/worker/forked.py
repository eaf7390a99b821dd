"""Gives a forked process its end of the channel to the daemon. It blocks, as is plain there."""

from __future__ import annotations

import errno
import os
import socket
import threading
from contextlib import suppress
from typing import TypeVar

import msgspec

from cucmd.worker.frames import decoded, framed, length_of, packet

T = TypeVar("T")


class DaemonGone(Exception):
    """The daemon has closed the channel: it wants nothing more."""


class Channel:
    """Raises `DaemonGone` throughout. `receive` is for one thread at a time, the others for any.

    door: by which connections come, each in a packet with the address that it is of; None: none
    do. opener: of whom `open` asks.
    """

    def __init__(
        self,
        connected: socket.socket,
        door: socket.socket | None = None,
        opener: socket.socket | None = None,
    ) -> None:
        self.door = door
        self._socket = connected
        self._opener = opener
        self._sending = threading.Lock()
        self._opening = threading.Lock()

    def send(self, frame: msgspec.Struct) -> None:
        try:
            with self._sending:
                self._socket.sendall(framed(frame))
        except OSError as error:
            raise DaemonGone from error

    def take_descriptor(self) -> int:
        """Returns the descriptor that the daemon gives with `Worker.give`."""
        try:
            came, descriptors, _, _ = socket.recv_fds(self._socket, 1, 1)
        except OSError as error:
            raise DaemonGone from error
        if not came or not descriptors:
            raise DaemonGone
        return descriptors[0]

    def wait(self) -> None:
        """Returns once there is something to receive, or the end."""
        with suppress(OSError):
            self._socket.recv(1, socket.MSG_PEEK)

    def has_more(self) -> bool:
        """Says whether there is something to receive, or the end."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:  # which `receive` says
            return True
        return True

    def receive(self, decoder: msgspec.msgpack.Decoder[T]) -> T:
        """Raises `WrongFrame`: the daemon is of another version."""
        return decoded(decoder, self._take(length_of(self._take(4))))

    def open(self, asked: msgspec.Struct) -> int:
        """Has the daemon open what is asked for, and returns a descriptor of it. Raises OSError, of
        the daemon's attempt or because this process has no descriptor left.
        """
        assert self._opener is not None
        with self._opening:
            try:
                self._opener.send(packet(asked))
                answer, descriptors, _, _ = socket.recv_fds(self._opener, 4, 1)
            except OSError as error:
                raise DaemonGone from error
        if not answer:
            raise DaemonGone
        failed = int.from_bytes(answer)
        if failed or not descriptors:
            failed = failed or errno.EMFILE
            raise OSError(failed, os.strerror(failed))
        return descriptors[0]

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
