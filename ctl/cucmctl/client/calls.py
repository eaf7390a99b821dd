"""`Calls`: makes the calls of `Client`: with one reply, with several, and with one effect.

It knows no method of the daemon.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from cucmctl.client.errors import ConnectionLost, DaemonUnavailable, ProtocolError
from cucmctl.client.once import Request, ask_once
from cucmctl.client.wire import Call, Connection, Reply
from cucmd.paths import socket_to_call
from cucmd.protocol.jobs import INTERFACE, Job, StartReply

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

R = TypeVar("R", bound=msgspec.Struct)

# Seconds. The daemon answers within milliseconds, but not if the host swaps or a disk is full.
CALL_TIMEOUT = 60.0
# Seconds without an answer after which systemd is asked whether the service has failed, each time.
# A call waits at the socket while the service starts, which takes one.
ASK_EVERY = 1.5


class Calls:
    """A connection to the daemon, opened by the first call."""

    def __init__(
        self, socket: str | os.PathLike[str] | None = None, *, timeout: float | None = CALL_TIMEOUT
    ) -> None:
        found = socket_to_call(os.environ, os.getuid()) if socket is None else socket
        self._chosen = socket is not None or bool(os.environ.get("CUCMD_SOCKET"))
        self.socket = os.fspath(found)
        self.timeout = timeout
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection. Jobs go on. A later call opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def connect(self) -> None:
        """Opens the connection now, which shows whether there is a daemon. Raises `ClientError`."""
        self._connected(self._deadline())

    def call(self, method: str, request: object, reply: type[R]) -> R:
        """Calls any method that has one reply. Sends `request` as JSON, returns a struct `reply`.

        `method` is a name within `io.cucmd.Jobs`, or a full one (`org.varlink.service.GetInfo`).
        """
        return self._call(method, request, reply, self._deadline())

    def _ask_once(self, method: str, request: Request) -> Job:
        deadline = self._deadline()
        reply = ask_once(
            lambda keyed: self._call(method, keyed, StartReply, deadline), request, deadline
        )
        return reply.job

    def _call(self, method: str, request: object, reply: type[R], deadline: float | None) -> R:
        try:
            connection = self._connected(deadline)
            connection.send(Call(full_name(method), request), deadline)
            answer = self._first_reply(connection, deadline)
        except BaseException as error:  # a late reply must not be taken for that of the next call
            self.close()
            if isinstance(error, TimeoutError):
                text = f"the daemon at {self.socket} did not answer within {self.timeout:g} s"
                raise DaemonUnavailable(text) from error
            raise
        return decoded(answer, reply)

    def _deadline(self) -> float | None:
        return None if self.timeout is None else time.monotonic() + self.timeout

    def _connected(self, deadline: float | None) -> Connection:
        if self._connection is not None and self._connection.gone:
            self.close()
        if self._connection is None:
            self._connection = self._opened(deadline)
        return self._connection

    def _opened(self, deadline: float | None) -> Connection:
        try:
            return Connection(self.socket, deadline)
        except DaemonUnavailable as error:
            self._raise_if_it_does_not_start(error)
            raise

    def _first_reply(self, connection: Connection, deadline: float | None) -> Reply:
        """As `Connection.receive`, but does not wait for a service that has failed."""
        while True:
            ask = time.monotonic() + ASK_EVERY
            ask = ask if deadline is None else min(ask, deadline)
            try:
                return connection.receive(ask)
            except TimeoutError as error:
                self._raise_if_it_does_not_start(error)
                if ask == deadline:
                    raise
            except DaemonUnavailable as error:
                self._raise_if_it_does_not_start(error)
                raise

    def _raise_if_it_does_not_start(self, error: Exception) -> None:
        from cucmctl.client.service import why_it_does_not_start  # noqa: PLC0415  # seldom needed

        if why := why_it_does_not_start(self.socket, chosen=self._chosen):
            lost = isinstance(error, ConnectionLost)
            raise (ConnectionLost if lost else DaemonUnavailable)(why) from error

    def _replies(
        self,
        method: str,
        request: object,
        reply: type[R],
        deadline: float | None,
        first: float | None = None,
    ) -> Iterator[R]:
        """The replies to a call with `more`, on a connection of its own. `first`: an earlier
        deadline for the first one.
        """
        first = deadline if first is None else first
        connection: Connection | None = None
        try:
            try:
                connection = self._opened(first)
                connection.send(Call(full_name(method), request, more=True), first)
                answer = self._first_reply(connection, first)
            except TimeoutError as error:
                if first == deadline:
                    raise
                raise DaemonUnavailable(f"the daemon at {self.socket} does not answer") from error
            yield decoded(answer, reply)
            while answer.continues:
                answer = connection.receive(deadline)
                yield decoded(answer, reply)
        finally:
            if connection is not None:
                connection.close()


def full_name(method: str) -> str:
    return method if "." in method else f"{INTERFACE}.{method}"


def decoded(reply: Reply, kind: type[R]) -> R:
    if reply.error is not None:
        from cucmctl.client.refusals import refusal  # noqa: PLC0415  # its rule

        raise refusal(reply.error, reply.parameters)
    try:
        return msgspec.json.decode(reply.parameters, type=kind)
    except msgspec.MsgspecError as error:
        text = f"the daemon's reply is not as agreed, is its version another? {error}"
        raise ProtocolError(text) from error


def texts(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """Refuses one text, which is a sequence too: "berlin" would be the nodes b, e, r, l, i, n."""
    if isinstance(values, str | bytes):
        raise TypeError(
            f"{name}: {values!r} is a single text; expected several, as in [{values!r}]"
        )
    return tuple(values)


def texts_or_none(name: str, values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else texts(name, values)


def dict_or_none(labels: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if labels is None else dict(labels)
