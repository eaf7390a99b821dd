"""`Calls`: makes calls with one reply or several, and calls that upgrade the connection.

This module knows no method of the daemon. Every call can be cancelled at any moment; its connection
is closed then. Each connection of the `Pool` is used by one call at a time:

    a connection is   when                  next
    opened            none is idle          used
    used              a call has it         idle, if the call came to its end
                                            closed, if the call was cancelled, failed or was left
    idle              no call has it        used again, or closed if the daemon has closed it

So no call gets a late reply of another call. At most `most` connections are open. A call that finds
all of them in use waits for its turn.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from typing import Any, Generic, Self, TypeVar

import msgspec
import trio

from cucmctl.client.calls import CALL_TIMEOUT
from cucmctl.client.errors import ClientError, DaemonUnavailable
from cucmctl.client.frames import call_frame, decode_reply, encode_call
from cucmctl.client.method_call import CallSteps, MethodCall
from cucmctl.client.repeatable_call import RepeatableCall
from cucmd.job.request import OnBehalfOf, Request
from cucmd.paths import socket_to_call
from cucmtrio.wire import Wire

R = TypeVar("R")
T = TypeVar("T")

# Connections that are open at once: half of those that the daemon lets one user have.
CONNECTIONS = 32


class Calls:
    """Makes calls to the daemon. Any number of tasks may call at the same time.

    socket       its path; without it $CUCMD_SOCKET, the user's own socket, or the system's
    timeout      seconds that one call may take; None for no limit
    connections  how many connections may be open at once, including those of streams
    caller       on whose behalf it calls, or None; `on_behalf_of` sets it

    Every method raises `ClientError`: `DaemonUnavailable`, `ProtocolError`, or a `Refused` with the
    name of the daemon's error.
    """

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        *,
        timeout: float | None = CALL_TIMEOUT,
        connections: int = CONNECTIONS,
    ) -> None:
        found = socket_to_call(os.environ, os.getuid()) if socket is None else socket
        self.socket = os.fspath(found)
        self.timeout = timeout
        self.caller: OnBehalfOf | None = None
        self._pool = Pool(self.socket, connections)

    def on_behalf_of(self, caller: OnBehalfOf | None) -> Self:
        """Returns a client that calls on behalf of somebody. It shares the connections of this one.

        Its calls raise `TypeError` for a request that has no member `on_behalf_of`.
        """
        speaker = copy.copy(self)
        speaker.caller = caller
        return speaker

    def close(self) -> None:
        """Closes the connections, except those of open streams, which are closed when their blocks
        are left. Jobs go on. A later call raises `trio.ClosedResourceError`.
        """
        self._pool.close()

    async def call(
        self, method: str, request: object, reply: type[R], *, limited: bool = True
    ) -> R:
        """Calls a method, and returns its one reply as a struct of type `reply`.

        method   a method of `io.cucmd.Jobs`, or a full name (`org.varlink.service.GetInfo`)
        request  the parameters, which are sent as JSON
        limited  whether `timeout` applies to the call
        """
        frame = self._frame(method, request)
        with self.limit() if limited else nullcontext():
            async with self._pool.connection() as connection:
                await connection.send(frame)
                answer = await connection.receive()
        return decode_reply(answer, reply, self.socket)

    async def ask(self, call: MethodCall[T]) -> T:
        """Makes a call that `cucmctl/client/methods.py` describes, and returns its result."""
        if call.keyed:
            return call.result_of(await self._ask_once(call))
        return call.result_of(
            await self.call(call.method, call.request, call.reply, limited=call.has_deadline)
        )

    async def _ask_once(self, call: MethodCall[T]) -> msgspec.Struct:
        """Makes a call with a key, and repeats it within `timeout` if the connection breaks."""
        keyed = RepeatableCall(call.request)
        try:
            with self.limit():
                while True:
                    try:
                        return await self.call(
                            call.method, keyed.request, call.reply, limited=False
                        )
                    except ClientError as error:
                        pause = keyed.pause_after(error)
                    await trio.sleep(pause)
        except DaemonUnavailable as error:
            if keyed.lost is None:
                raise
            raise keyed.lost from error

    @asynccontextmanager
    async def items(self, call: MethodCall[Iterable[T]]) -> AsyncIterator[Items[T]]:
        """Makes a call with `more`, and yields an iterator of the items in its replies."""
        async with self.replies(call.method, call.request, call.reply) as replies:
            yield Items(replies, call.result_of)

    @asynccontextmanager
    async def replies(
        self, method: str, request: object, reply: type[R]
    ) -> AsyncIterator[Replies[R]]:
        """Makes a call with `more`, and yields an iterator of the replies. Its first step raises
        the error if the daemon refuses the call. Leaving the block ends the call.
        """
        frame = self._frame(method, request, more=True)
        async with self._sent_call(frame) as connection:
            replies = Replies(connection, reply, self.socket)
            yield replies
            # The next call on this connection would read the replies that are still to come.
            if not replies.ended:
                connection.close()

    @asynccontextmanager
    async def upgraded(
        self, method: str, request: object, reply: type[R]
    ) -> AsyncIterator[tuple[R, trio.abc.ReceiveStream]]:
        """Makes a call with `upgrade`, and yields its reply and a stream of the bytes after it.
        There is no limit of time for the reply.

        The stream ends when the daemon closes the connection, also if the daemon died. So the reply
        should say how many bytes follow. Leaving the block ends the call.
        """
        frame = self._frame(method, request, upgrade=True)
        async with self._sent_call(frame) as connection:
            answer = decode_reply(await connection.receive(), reply, self.socket)
            yield answer, UpgradedStream(connection)
            connection.close()

    def _frame(
        self, method: str, request: object, *, more: bool = False, upgrade: bool = False
    ) -> bytes:
        if self.caller is not None:
            # A request without this member would have all rights of this process.
            if not isinstance(request, Request):
                raise TypeError(f"{method}: {request!r} cannot be asked on behalf of somebody")
            request = msgspec.structs.replace(request, on_behalf_of=self.caller)
        return encode_call(call_frame(method, request, more=more, upgrade=upgrade))

    @asynccontextmanager
    async def _sent_call(self, frame: bytes) -> AsyncIterator[Wire]:
        """Sends a call within `timeout`, and yields its connection."""
        async with AsyncExitStack() as stack:
            with self.limit():
                connection = await stack.enter_async_context(self._pool.connection())
                await connection.send(frame)
            yield connection

    @contextmanager
    def limit(self, until: float | None = None) -> Iterator[None]:
        """Cancels the block and raises `DaemonUnavailable` after `timeout`, or at `until` on trio's
        clock if that is earlier.
        """
        # Read before the block runs. When the time is over, the call may have a connection, and
        # nobody could tell that it had waited for one.
        why = "; all connections of this client were in use" if self._pool.all_used else ""
        begun = trio.current_time()
        ends = begun + (math.inf if self.timeout is None else self.timeout)
        ends = ends if until is None else min(ends, until)
        try:
            with trio.fail_at(ends):
                yield
        except trio.TooSlowError as error:
            text = f"the daemon at {self.socket} did not answer within {ends - begun:g} s{why}"
            raise DaemonUnavailable(text) from error


class Replies(Generic[R]):
    """Iterates over the replies to one call. A step that is cancelled loses no reply.

    ended  whether the last reply has come
    """

    def __init__(self, connection: Wire, reply: type[R], socket: str) -> None:
        self.ended = False
        self._connection = connection
        self._reply = reply
        self._socket = socket

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        if self.ended:
            await trio.lowlevel.checkpoint()
            raise StopAsyncIteration
        answer = await self._connection.receive()
        self.ended = not answer.continues
        return decode_reply(answer, self._reply, self._socket)


class Items(Generic[T]):
    """Iterates over the items of several replies. A step that is cancelled loses no item."""

    def __init__(self, replies: Replies[Any], items_of: Callable[[Any], Iterable[T]]) -> None:
        self._replies = replies
        self._items_of = items_of
        self._items: Iterator[T] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await trio.lowlevel.checkpoint()
        while True:
            for item in self._items:
                return item
            self._items = iter(self._items_of(await anext(self._replies)))


async def run_steps(
    steps: CallSteps[T], ask: Callable[[MethodCall[Any]], Awaitable[Any]]
) -> AsyncGenerator[T, None]:
    """Makes the calls that `steps` yields, as `cucmctl.client.method_call.run_steps` does."""
    resume: Callable[[], MethodCall[Any] | T] = partial(next, steps)
    while True:
        try:
            step = resume()
        except StopIteration:
            return
        if not isinstance(step, MethodCall):
            yield step
            resume = partial(next, steps)
            continue
        try:
            resume = partial(steps.send, await ask(step))
        except ClientError as error:
            resume = partial(steps.throw, error)


class UpgradedStream(trio.abc.ReceiveStream):
    """Receives the bytes after the reply to an upgrade. Raises `ConnectionLost`."""

    def __init__(self, connection: Wire) -> None:
        self._connection = connection

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._connection.receive_bytes(max_bytes)

    async def aclose(self) -> None:
        self._connection.close()
        await trio.lowlevel.checkpoint()


class Pool:
    """Keeps idle connections, and limits how many are open."""

    def __init__(self, path: str, most: int) -> None:
        self._path = path
        self._free = trio.Semaphore(most, max_value=most)
        self._idle: list[Wire] = []
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Wire]:
        """Yields a connection for one call. It is closed if the block raises. Otherwise the block
        must have read all replies, or have closed the connection.
        """
        async with self._free:
            wire = await self._open_connection()
            try:
                yield wire
            except BaseException:
                wire.close()
                raise
            if self._closed:
                wire.close()
            elif not wire.closed:
                self._idle.append(wire)

    @property
    def all_used(self) -> bool:
        return self._free.value == 0

    async def _open_connection(self) -> Wire:
        if self._closed:
            raise trio.ClosedResourceError("this client has been closed")
        while self._idle:
            wire = self._idle.pop()
            if not wire.is_unusable:
                return wire
            wire.close()
        return await Wire.connect(self._path)

    def close(self) -> None:
        """Closes the idle connections now, and the others once they are no longer used."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
