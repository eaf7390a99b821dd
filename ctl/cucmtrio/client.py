"""`Client`, with the methods of `cucmctl.Client` except `start_cluster`, on trio.

The requests and results of the methods of both clients are made in `cucmctl/client/methods.py`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import trio

from cucmctl.client import methods
from cucmctl.client.calls import CALL_TIMEOUT
from cucmctl.client.errors import ConnectionLost, DaemonUnavailable, ProtocolError
from cucmctl.client.method_call import MethodCall
from cucmctl.client.methods import UNFINISHED
from cucmctl.client.reconnect import DEFAULT
from cucmd.protocol.cases import ExportReply, Search
from cucmd.protocol.jobs import Job
from cucmtrio.calls import CONNECTIONS, Calls, Items
from cucmtrio.events import events

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])


def _method_for(
    make: Callable[P, MethodCall[T]],
) -> Callable[Concatenate[Calls, P], Coroutine[Any, Any, T]]:
    """Returns a method that makes a call with one reply and returns its result."""

    async def method(self: Calls, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.ask(make(*args, **kwargs))

    return _named_as(make, method)


def _stream_method_for(
    make: Callable[P, MethodCall[Iterable[T]]],
) -> Callable[Concatenate[Calls, P], AbstractAsyncContextManager[Items[T]]]:
    """Returns a method that makes a call with several replies: a context manager of its items."""

    def method(
        self: Calls, /, *args: P.args, **kwargs: P.kwargs
    ) -> AbstractAsyncContextManager[Items[T]]:
        return self.items(make(*args, **kwargs))

    return _named_as(make, method)


def _named_as(make: Callable[..., object], method: F) -> F:
    """Gives a method the name and signature of `make`, for `help`."""
    asked = inspect.signature(make)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__name__ = make.__name__
    method.__qualname__ = f"Client.{make.__name__}"
    method.__doc__ = f"As `cucmctl.Client.{make.__name__}`."
    signature = asked.replace(
        parameters=[itself, *asked.parameters.values()], return_annotation=asked.empty
    )
    vars(method)["__signature__"] = signature
    return method


class Client(Calls):
    """The client on trio, with the methods of `cucmctl.Client`. A method that returns an iterator
    there is a context manager of an asynchronous iterator here. Leaving its block ends the call.
    """

    start = _method_for(methods.start)
    collect = _method_for(methods.collect)
    run = _method_for(methods.run)
    check = _method_for(methods.check)
    health = _method_for(methods.health)
    capture = _method_for(methods.capture)
    follow = _method_for(methods.follow)
    discover = _method_for(methods.discover)
    retry = _method_for(methods.retry)
    stop = _method_for(methods.stop)
    cancel = _method_for(methods.cancel)
    status = _method_for(methods.status)
    list = _method_for(methods.list)
    list_page = _method_for(methods.list_page)
    label = _method_for(methods.label)
    watch = _stream_method_for(methods.watch)

    files = _stream_method_for(methods.files)
    output = _stream_method_for(methods.output)
    transcript = _stream_method_for(methods.transcript)
    find = _stream_method_for(methods.find)
    verify = _stream_method_for(methods.verify)
    delete = _method_for(methods.delete)
    prune = _method_for(methods.prune)

    clusters = _method_for(methods.clusters)
    profiles = _method_for(methods.profiles)
    credentials = _method_for(methods.credentials)
    all_logins = _method_for(methods.all_logins)
    keep_login = _method_for(methods.keep_login)
    forget_login = _method_for(methods.forget_login)
    host_keys = _method_for(methods.host_keys)
    add_host_key = _method_for(methods.add_host_key)
    forget_host_key = _method_for(methods.forget_host_key)
    figures = _method_for(methods.figures)
    reload = _method_for(methods.reload)

    async def wait(self, job_id: str, *, reconnect: float = DEFAULT) -> Job:
        """Waits until a job has ended, and returns it, as `cucmctl.Client.wait` does. Use a cancel
        scope of trio to limit the time.
        """
        job: Job | None = None
        async with events(self, job_id, reconnect=reconnect, changes=False) as job_events:
            async for event in job_events:
                job = event.job if isinstance(event.job, Job) else job
        if job is None or job.status in UNFINISHED:
            raise ProtocolError(f"the watch of job {job_id} ended before the job did")
        return job

    @asynccontextmanager
    async def export(
        self,
        job_id: str,
        *,
        nodes: Sequence[str] | None = None,
        incomplete: bool = False,
        after: str | None = None,
        suspect: Sequence[str] | None = None,
        found: Search | None = None,
    ) -> AsyncIterator[tuple[ExportReply, trio.abc.ReceiveStream]]:
        """Exports a job as a tar: yields the reply, which describes the tar, and a stream of it.

        The arguments and errors are those of `cucmctl.Client.export`.
        """
        call = methods.export(
            job_id,
            nodes=nodes,
            incomplete=incomplete,
            after=after,
            suspect=suspect,
            found=found,
        )
        async with self.upgraded(call.method, call.request, call.reply) as (answer, stream):
            reply = call.result_of(answer)
            yield reply, Exported(stream, reply.length)


class Exported(trio.abc.ReceiveStream):
    """Receives exactly the bytes of a tar.

    If the daemon closes the connection before the last byte, or sends nothing for `SILENCE`
    seconds, `receive_some` raises `DaemonUnavailable`. So an export that was cut off does not look
    complete.
    """

    SILENCE = 60.0

    def __init__(self, stream: trio.abc.ReceiveStream, length: int) -> None:
        self.left = length
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if not self.left:
            await trio.lowlevel.checkpoint()
            return b""
        data = b""
        try:
            with trio.fail_after(self.SILENCE):
                data = bytes(await self._stream.receive_some(max_bytes))
        except trio.TooSlowError as error:
            text = f"the daemon sent nothing for {self.SILENCE:g} s; {self.left} bytes are missing"
            raise DaemonUnavailable(text) from error
        except ConnectionLost:
            pass  # treated below like an early end
        if not data:
            raise ConnectionLost(f"the export was cut off, {self.left} bytes are missing")
        data = data[: self.left]
        self.left -= len(data)
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def open_client(
    socket: str | os.PathLike[str] | None = None,
    *,
    timeout: float | None = CALL_TIMEOUT,  # noqa: ASYNC109  # it applies to each call
    connections: int = CONNECTIONS,
) -> AsyncIterator[Client]:
    """Yields a `Client`, which connects when it needs to. It is closed after the block."""
    client = Client(socket, timeout=timeout, connections=connections)
    try:
        yield client
    finally:
        client.close()
