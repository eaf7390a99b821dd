"""Makes Varlink calls over one blocking Unix socket: frames go out, replies come in.

It knows nothing of jobs, and leaves no descriptor open when a connect fails.
"""

from __future__ import annotations

import socket
import struct
import time

from cucmctl.client.errors import ConnectionLost, not_connected
from cucmctl.client.frames import CallFrame, ReplyBuffer, ReplyFrame, framed

_PIECE = 256 * 1024
# Seconds in one system call. Ctrl-C ends a call that waits, but not one that begins just after it:
# Python handles it when that returns.
_LONGEST_WAIT = 1.0


class Wire:
    """Holds one connection to the daemon. Raises the errors of `errors.py`, and `TimeoutError`;
    `TypeError` for a call that JSON has no form for.
    """

    def __init__(self, path: str, deadline: float | None = None) -> None:
        self.path = path
        self._buffer = ReplyBuffer(path)
        self._socket = _connected(path, deadline)

    def close(self) -> None:
        self._socket.close()

    @property
    def is_closed(self) -> bool:
        """Says whether the daemon has closed this connection while it was idle, as in a restart."""
        # MSG_DONTWAIT is not enough: with a timeout, Python waits before it calls the kernel.
        self._socket.settimeout(0)
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, call: CallFrame, deadline: float | None) -> None:
        frame = framed(call)
        try:
            self._expire_at(deadline)
            self._socket.sendall(frame)
        except TimeoutError:
            raise
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have sent an error before it closed: `receive` reads that, or raises
        except OSError as error:
            raise self._closed_by_daemon() from error

    def receive(self, deadline: float | None) -> ReplyFrame:
        """Returns the next reply. `deadline` is on the clock of `time.monotonic`."""
        while (reply := self._buffer.take()) is None:
            self._buffer.feed(self._read(deadline))
        return reply

    def receive_bytes(self, size: int, deadline: float | None) -> bytes:
        """Receives what follows the reply to an upgrade: at least one byte, at most `size`."""
        if not len(self._buffer):  # not through it: an export is gigabytes
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


def _connected(path: str, deadline: float | None) -> socket.socket:
    # The socket is blocking: with Python's timeout, Linux answers EAGAIN at once if the queue of
    # the listener is full. With the kernel's own timeout it waits, and answers EAGAIN when that is
    # over.
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if deadline is not None:
            _limit_sending(sock, max(1e-6, deadline - time.monotonic()))
        sock.connect(path)
        _limit_sending(sock, 0)  # no limit: from now on Python's timeouts are used
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
    limit = struct.pack("@ll", *divmod(int(seconds * 1_000_000), 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
