"""Varlink calls over one blocking Unix socket: frames out, replies in.

It knows nothing of jobs, and leaves no descriptor open when a connect fails.
"""

from __future__ import annotations

# The C module that `socket` is made of: making enums of 600 constants takes longer than a call.
import _socket as socket
import struct
import time

import msgspec

from cucmctl.client.errors import (
    ConnectionLost,
    DaemonUnavailable,
    InvalidRequest,
    ProtocolError,
    SocketNotPermitted,
)

# Bytes. A reply with a job of some hundred nodes has about 200 KB.
LONGEST_REPLY = 64 * 1024 * 1024
# Bytes. The daemon closes the connection without an answer if a request has more.
LONGEST_REQUEST = 1024 * 1024
_PIECE = 256 * 1024
# Descriptors that come together.
MOST_DESCRIPTORS = 64
# Seconds in one system call. Ctrl-C ends a call that waits, but not one that begins just after it:
# Python handles it when that returns.
_LONGEST_WAIT = 1.0


class CallFrame(msgspec.Struct, omit_defaults=True):
    method: str
    parameters: object
    more: bool = False
    upgrade: bool = False


class ReplyFrame(msgspec.Struct):
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    continues: bool = False
    error: str | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ReplyFrame)


class Wire:
    """One connection to the daemon. Raises the errors of `errors.py`, and `TimeoutError`;
    `TypeError` for a call that JSON has no form for.
    """

    def __init__(self, path: str, deadline: float | None = None) -> None:
        self.path = path
        # Those that came and nobody has taken; None: they are not accepted.
        self.descriptors: list[int] | None = None
        self._buffer = bytearray()
        self._socket = _connected(path, deadline)

    def close(self) -> None:
        self._socket.close()

    @property
    def gone(self) -> bool:
        """Whether the daemon has closed this connection while it was idle, as in a restart."""
        # MSG_DONTWAIT is not enough: with a timeout, Python waits before it calls the kernel.
        self._socket.settimeout(0)
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, call: CallFrame, deadline: float | None) -> None:
        frame = _framed(call)
        if len(frame) > LONGEST_REQUEST:
            reason = f"it has {len(frame)} bytes; expected at most {LONGEST_REQUEST}"
            raise InvalidRequest.of("the request", reason)
        try:
            self._expire_at(deadline)
            self._socket.sendall(frame)
        except TimeoutError:
            raise
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have sent an error before it closed: `receive` reads that, or raises
        except OSError as error:
            raise self._closed_by_daemon() from error

    def send_byte(self, byte: bytes, deadline: float) -> None:
        """Within an upgrade. If the daemon has gone, the next one who receives is told."""
        self._expire_at(deadline)
        try:
            self._socket.send(byte)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self, deadline: float | None) -> ReplyFrame:
        """The next reply. `deadline` is on the clock of `time.monotonic`."""
        frame = self._next_frame(deadline)
        try:
            return _decoder.decode(frame)
        except msgspec.MsgspecError as error:
            raise ProtocolError(f"{self.path} is not the socket of a cucmd: {error}") from error

    def receive_bytes(self, size: int, deadline: float | None) -> bytes:
        """What follows the reply to an upgrade: at least one byte, at most `size`."""
        if not self._buffer:  # not through it: an export is gigabytes
            return self._read(deadline, min(size, _PIECE))
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _next_frame(self, deadline: float | None) -> bytes:
        searched = 0
        while (end := self._buffer.find(b"\0", searched)) < 0:
            searched = len(self._buffer)
            if searched > LONGEST_REPLY:
                raise ProtocolError(f"{self.path} sent {searched} bytes without an end of reply")
            self._buffer += self._read(deadline)
        frame = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return frame

    def _read(self, deadline: float | None, size: int = _PIECE) -> bytes:
        chunk: bytes | None = None
        while chunk is None:
            soon = time.monotonic() + _LONGEST_WAIT
            try:
                self._expire_at(soon if deadline is None else min(soon, deadline))
                chunk = self._receive(size)
            except TimeoutError:
                if deadline is not None and time.monotonic() >= deadline:
                    raise
            except OSError as error:
                raise self._closed_by_daemon() from error
        if not chunk:
            raise self._closed_by_daemon()
        return chunk

    def _receive(self, size: int) -> bytes:
        if self.descriptors is None:
            return self._socket.recv(size)
        from socket import recv_fds  # noqa: PLC0415  # only to export

        data, came, _, _ = recv_fds(
            self._socket,  # type: ignore[arg-type]  # it calls `recvmsg`, which this has too
            size,
            MOST_DESCRIPTORS,
            socket.MSG_CMSG_CLOEXEC,
        )
        self.descriptors += came
        return data

    def _expire_at(self, deadline: float | None) -> None:
        if deadline is None:
            self._socket.settimeout(None)
            return
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining)

    def _closed_by_daemon(self) -> ConnectionLost:
        return ConnectionLost(f"the daemon at {self.path} went away in the middle of a call")


def _framed(call: CallFrame) -> bytes:
    """The call without the fields that nobody has set: a daemon of an older version refuses those
    that it does not know.
    """
    try:
        given = _without_none(msgspec.to_builtins(call.parameters))
        return _encoder.encode(CallFrame(call.method, given, call.more, call.upgrade)) + b"\0"
    except UnicodeEncodeError:  # its text may have a password in it
        place = _path_of_invalid_text(msgspec.to_builtins(call.parameters))
        raise InvalidRequest.of(place, "it is not UTF-8") from None


def _without_none(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_none(one) for name, one in value.items() if one is not None}
    return value


def _path_of_invalid_text(parameters: object) -> str:
    """Where in the parameters the text that is not UTF-8 is, such as `nodes[2]`."""
    places: list[tuple[str, object]] = [("", parameters)]
    for place, value in places:  # the list grows in this loop
        if isinstance(value, dict):
            places += [(f"{place}.{name}".lstrip("."), inner) for name, inner in value.items()]
        elif isinstance(value, list | tuple):
            places += [(f"{place}[{at}]", inner) for at, inner in enumerate(value)]
        elif isinstance(value, str) and not _is_utf8(value):
            return place
    return "the request"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    except PermissionError as error:
        sock.close()
        raise SocketNotPermitted(path) from error
    except BlockingIOError as error:
        sock.close()
        raise TimeoutError from error
    except OSError as error:  # also a path that is too long for a Unix socket
        sock.close()
        reason = error.strerror or str(error)
        raise DaemonUnavailable(f"no daemon at {path} ({reason}); does cucmd run?") from error
    except ValueError as error:  # a NUL byte within the path
        sock.close()
        raise DaemonUnavailable(f"no daemon at {path!r} ({error})") from error
    except BaseException:
        sock.close()
        raise
    return sock


def _limit_sending(sock: socket.socket, seconds: float) -> None:
    limit = struct.pack("@ll", *divmod(int(seconds * 1_000_000), 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
