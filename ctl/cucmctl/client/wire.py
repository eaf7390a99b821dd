"""Sends frames and receives replies over one blocking Unix socket.

This file knows nothing about jobs. If connecting fails, it leaves no descriptor open.
"""

from __future__ import annotations

import socket
import struct
import time

from cucmctl.client.errors import ConnectionLost, not_connected
from cucmctl.client.frames import CallFrame, ReplyBuffer, ReplyFrame, encode_call

_PIECE = 256 * 1024
# Seconds in one system call. Ctrl-C interrupts a system call that waits. If it arrives just before
# the system call, Python handles it only when the system call returns.
_LONGEST_WAIT = 1.0


class Remote(str):
    """Stands for the path of a socket where a daemon is reached by `connect` instead."""

    __slots__ = ()

    def connect(self) -> socket.socket:
        """Opens a connection. Raises `DaemonUnavailable`."""
        raise NotImplementedError


class Wire:
    """Holds one connection to the daemon.

    Raises the errors of `errors.py`, `TimeoutError`, and `TypeError` for a request that JSON cannot
    express.
    """

    def __init__(self, path: str, deadline: float | None = None) -> None:
        self.path = path
        self._buffer = ReplyBuffer(path)
        self._socket = _connect(path, deadline)

    def close(self) -> None:
        self._socket.close()

    @property
    def is_closed(self) -> bool:
        """Returns whether the daemon has closed the connection, as it does when it restarts."""
        # MSG_DONTWAIT is not enough: if a timeout is set, Python waits before it calls the kernel.
        self._socket.settimeout(0)
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, call: CallFrame, deadline: float | None) -> None:
        """Sends a call. Raises TimeoutError at the deadline, and `ConnectionLost`."""
        frame = encode_call(call)
        try:
            self._expire_at(deadline)
            self._socket.sendall(frame)
        except TimeoutError:
            raise
        except (BrokenPipeError, ConnectionResetError):
            pass  # the daemon may have sent an error before it closed: `receive` returns or raises
        except OSError as error:
            raise self._closed_by_daemon() from error

    def receive(self, deadline: float | None) -> ReplyFrame:
        """Returns the next reply. `deadline` is on the clock of `time.monotonic`."""
        while (reply := self._buffer.take()) is None:
            self._buffer.feed(self._read(deadline))
        return reply

    def receive_bytes(self, size: int, deadline: float | None) -> bytes:
        """Returns what follows an upgrade: at least one byte, and at most `size` bytes."""
        # The first bytes after the reply may have come together with it, and are in the buffer
        # then.
        if not len(self._buffer):  # avoid the buffer: an export has gigabytes
            return self._read(deadline, min(size, _PIECE))
        return self._buffer.take_bytes(size)

    def _read(self, deadline: float | None, size: int = _PIECE) -> bytes:
        chunk: bytes | None = None
        while chunk is None:
            soon = time.monotonic() + _LONGEST_WAIT
            try:
                self._expire_at(soon if deadline is None else min(soon, deadline))
                chunk = self._socket.recv(size)
            except TimeoutError:
                if deadline is not None and time.monotonic() >= deadline:
                    raise
            except OSError as error:
                raise self._closed_by_daemon() from error
        if not chunk:
            raise self._closed_by_daemon()
        return chunk

    def _expire_at(self, deadline: float | None) -> None:
        if deadline is None:
            self._socket.settimeout(None)
            return
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining)

    def _closed_by_daemon(self) -> ConnectionLost:
        return ConnectionLost.at(self.path)


def _connect(path: str, deadline: float | None) -> socket.socket:
    if isinstance(path, Remote):
        return path.connect()
    # The socket is blocking here. With a timeout of Python's, which makes it non-blocking, Linux
    # answers EAGAIN at once if the queue of the listener is full. With SO_SNDTIMEO the kernel waits
    # for a free place, and answers EAGAIN when the time is over.
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if deadline is not None:
            # At least a microsecond, because 0 means no limit.
            _limit_sending(sock, max(1e-6, deadline - time.monotonic()))
        sock.connect(path)
        _limit_sending(sock, 0)  # removes the limit; from now on Python's timeouts apply
    except BlockingIOError as error:
        sock.close()
        raise TimeoutError from error
    except (OSError, ValueError) as error:
        sock.close()
        raise not_connected(path, error) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _limit_sending(sock: socket.socket, seconds: float) -> None:
    # A `struct timeval` (socket(7)): seconds and microseconds. Python has no name for this form.
    limit = struct.pack("@ll", *divmod(int(seconds * 1_000_000), 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
