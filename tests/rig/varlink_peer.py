"""Runs a Varlink server at a real socket, and a client that can break the protocol."""

import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from cucmd.varlink import Caller, SocketLimits, Users, open_unix_listener, serve
from rig.example_interface import INFO, NAME, Example

# What peers have sent, by the name of the file: see tests/unit/varlink/test_fuzz.py.
CORPUS = {
    file.name: file.read_bytes()
    for file in sorted((Path(__file__).parents[1] / "unit/varlink/corpus").iterdir())
}
LASTS_AT_MOST = 60.0  # seconds; a test takes much less, even on a busy machine

# A program that calls Who. Its arguments are the socket and the interface.
WHO = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'{"method":"%s.Who"}\\0' % sys.argv[2].encode())
data = b""
while not data.endswith(b"\\0"):
    data += s.recv(65536)
print(data[:-1].decode())
"""


def request(method: str, parameters: object = None, **flags: bool) -> dict:
    """Makes a call. A method without a dot is one of the example interface."""
    name = method if "." in method else f"{NAME}.{method}"
    return {"method": name, "parameters": {} if parameters is None else parameters, **flags}


def dial(path: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(path))
    return peer


def answer(peer: socket.socket, data: bytes) -> bytes:
    """Sends these bytes and no more. Returns all that the server sends, and closes the peer."""
    received = b""
    with peer:
        peer.settimeout(20)
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            while piece := peer.recv(65536):
                received += piece
        except (BrokenPipeError, ConnectionResetError):
            pass
    return received


class Peer:
    """Holds a client that sends any bytes and reads frame by frame."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream = stream
        self._buffer = b""

    async def send(self, *calls: dict | bytes) -> None:
        """Sends calls, or bytes as they are, in one piece."""
        await self.stream.send_all(
            b"".join(
                call if isinstance(call, bytes) else json.dumps(call).encode() + b"\0"
                for call in calls
            )
        )

    async def call(self, method: str, parameters: object = None, **flags: bool) -> dict | None:
        await self.send(request(method, parameters, **flags))
        return await self.receive()

    async def receive(self) -> dict | None:
        """Returns the next reply, or None at the end."""
        while b"\0" not in self._buffer:
            data = await self.stream.receive_some()
            if not data:
                assert not self._buffer, "half a reply"
                return None
            self._buffer += data
        frame, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(frame)

    async def rest(self) -> bytes:
        """Returns all bytes that follow a reply."""
        data, self._buffer = self._buffer, b""
        while more := await self.stream.receive_some():
            data += more
        return data

    async def receive_all(self) -> list[dict]:
        replies = []
        while (reply := await self.receive()) is not None:
            replies.append(reply)
        return replies

    async def finish(self) -> list[dict]:
        """Closes the sending side; returns the remaining replies."""
        await self.stream.send_eof()
        return await self.receive_all()


@contextmanager
def short_path() -> Iterator[Path]:
    """Yields a path for a socket, which has at most 107 bytes; pytest's folders can be longer."""
    with tempfile.TemporaryDirectory(prefix="varlink-") as folder:
        yield Path(folder) / "run" / "test.sock"


@asynccontextmanager
async def serving(
    path: Path,
    example: Example,
    may_operate: Callable[[Caller], bool] = lambda _: True,
    **limits: int,
) -> AsyncIterator[None]:
    """Serves at the path for everybody. Asserts that no descriptor is left at the end."""
    before = len(os.listdir("/proc/self/fd"))
    with trio.fail_after(LASTS_AT_MOST):
        async with (
            open_unix_listener(path, 0o666, []) as listener,
            served(listener, example, may_operate, **limits),
        ):
            yield
    assert len(os.listdir("/proc/self/fd")) <= before


@asynccontextmanager
async def served(
    listener: trio.SocketListener,
    example: Example,
    may_operate: Callable[[Caller], bool] = lambda _: True,
    **limits: int,
) -> AsyncIterator[None]:
    async def run(task_status: trio.TaskStatus[None]) -> None:
        await serve(
            listener,
            example.interface(),
            INFO,
            Users(SocketLimits(**limits)),
            authorize=lambda *_: None,
            may_operate=may_operate,
            task_status=task_status,
        )

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[Peer]:
    async with await trio.open_unix_socket(path) as stream:
        yield Peer(stream)
