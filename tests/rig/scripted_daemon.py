"""Plays a daemon at a Unix socket: each connection does what the script of a test says.

Replies are written as JSON, not with the structs under test.
"""

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

INTERFACE = "io.cucmd.Jobs"


def reply(parameters: dict, *, continues: bool = False) -> bytes:
    more = {"continues": True} if continues else {}
    return json.dumps({"parameters": parameters, **more}).encode() + b"\0"


def refusal(name: str, **parameters: object) -> bytes:
    return json.dumps({"error": f"{INTERFACE}.{name}", "parameters": parameters}).encode() + b"\0"


class Caller:
    """Holds a connection of a client."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = b""

    async def call(self) -> dict | None:
        """Returns the next call, or None when the client has closed the connection."""
        while b"\0" not in self._buffer:
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError:
                data = b""
            if not data:
                return None
            self._buffer += data
        frame, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(frame)

    async def send(self, data: bytes) -> None:
        """Sends data. Does nothing if the client has left."""
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError:
            pass

    async def flood(self, data: bytes) -> None:
        """Sends the same data again and again until the client has left."""
        try:
            while True:
                await self.stream.send_all(data)
        except trio.BrokenResourceError:
            pass

    async def left_after(self, calls: int) -> None:
        """Reads `calls` calls, answers none, and waits until the client has left."""
        for _ in range(calls):
            assert await self.call() is not None
        await self.left()

    async def left(self) -> None:
        """Waits until the client has closed the connection."""
        assert await self.call() is None


Serve = Callable[[Caller], Awaitable[None]]


class ScriptedDaemon:
    """Counts all connections, and in `open` those that neither side has closed."""

    def __init__(self, path: Path, serve: Serve) -> None:
        self.path = path
        self.serve = serve
        self.connections = self.open = self.most_open = 0
        self._changed = trio.Condition()

    async def until_open(self, number: int) -> None:
        async with self._changed:
            while self.open != number:
                await self._changed.wait()

    async def accept(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        await self._count(1)
        try:
            await self.serve(Caller(stream))
        finally:
            with trio.CancelScope(shield=True):
                await self._count(-1)

    async def _count(self, more: int) -> None:
        async with self._changed:
            self.open += more
            self.most_open = max(self.most_open, self.open)
            self._changed.notify_all()


@asynccontextmanager
async def scripted_daemon(path: Path, serve: Serve) -> AsyncIterator[ScriptedDaemon]:
    """Serves connections while the body runs, and closes them at its end."""
    daemon = ScriptedDaemon(path, serve)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        bound.bind(str(path))
        bound.listen(64)
        bound.setblocking(False)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, daemon.accept, [listener])
            try:
                yield daemon
            finally:
                nursery.cancel_scope.cancel()
    path.unlink()
