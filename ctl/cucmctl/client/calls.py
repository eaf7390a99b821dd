"""`Calls`: makes calls of any method, with one reply or with a stream of replies.

`Client` adds the methods of the daemon. This file knows none of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import Self, TypeVar

import msgspec

from cucmctl.client.errors import ClientError, ConnectionLost, DaemonUnavailable
from cucmctl.client.frames import CallFrame, ReplyFrame, call_frame, decode_reply
from cucmctl.client.method_call import MethodCall
from cucmctl.client.repeatable_call import RepeatableCall
from cucmctl.client.unit_state import (
    ask_systemd,
    failure,
    is_starting,
    own_daemon_starts,
    why_no_socket,
)
from cucmctl.client.wire import Remote, Wire
from cucmd.paths import socket_to_call

R = TypeVar("R", bound=msgspec.Struct)
T = TypeVar("T")

# Seconds. The daemon answers within milliseconds, unless the host swaps or a disk is full.
CALL_TIMEOUT = 60.0
# Seconds. While a call gets no answer, the client asks systemd at this interval whether the service
# has failed. The kernel holds a call while the service starts, which takes about a second.
ASK_EVERY = 1.5
# Seconds to wait for the socket of a service that starts, and between two attempts.
SERVICE_STARTS_WITHIN = 3.0
PAUSE = 0.1


class Calls:
    """Calls the daemon over one connection, which the first call opens.

    chosen     whether a person chose the socket
    on_behalf  the person for whom a program runs this one, from $CUCMD_ON_BEHALF_OF, or None. The
               daemon refuses this field to users who may not speak for others
    """

    def __init__(
        self, socket: str | os.PathLike[str] | None = None, *, timeout: float | None = CALL_TIMEOUT
    ) -> None:
        found = socket_to_call(os.environ, os.getuid()) if socket is None else socket
        self.chosen = socket is not None or bool(os.environ.get("CUCMD_SOCKET"))
        self.socket = os.fspath(found)
        self.timeout = timeout
        role, _, name = os.environ.get("CUCMD_ON_BEHALF_OF", "").partition(" ")
        self.on_behalf = {"name": name, "role": role} if role else None
        self._connection: Wire | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection. Jobs go on, and a later call opens a new connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def connect(self) -> None:
        """Opens the connection now, to see whether there is a daemon. Raises `ClientError`."""
        self._get_connection(self._deadline())

    def call(self, method: str, request: object, reply: type[R]) -> R:
        """Calls a method that has one reply. Returns the reply as a struct of type `reply`.

        `method` is a name within `io.cucmd.Jobs`, or a full one (`org.varlink.service.GetInfo`).
        `request` is sent as JSON. Raises `ClientError`.
        """
        return self._call(method, request, reply, self._deadline())

    def ask(self, call: MethodCall[T]) -> T:
        """Makes a call that has one reply, as built by `methods.py`, and returns its result."""
        deadline = self._deadline() if call.has_deadline else None
        if call.keyed:
            return call.result_of(self._ask_once(call, deadline))
        return call.result_of(self._call(call.method, call.request, call.reply, deadline))

    def _ask_once(self, call: MethodCall[T], deadline: float | None) -> msgspec.Struct:
        """Repeats the call until it is answered. Raises `ConnectionLost` at the deadline."""
        keyed = RepeatableCall(call.request)
        while True:
            try:
                return self._call(call.method, keyed.request, call.reply, deadline)
            except ClientError as error:
                pause = keyed.pause_after(error)
            # At the deadline the first error is raised, because it says that the call may have had
            # an effect. The errors of the later calls only say that the daemon is away.
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0 and keyed.lost is not None:
                raise keyed.lost
            time.sleep(min(pause, max(0, left)))

    def _call(self, method: str, request: object, reply: type[R], deadline: float | None) -> R:
        try:
            connection = self._get_connection(deadline)
            connection.send(self._frame(method, request), deadline)
            answer = self._first_reply(connection, deadline)
        except BaseException as error:  # the next call must not read the late reply of this one
            self.close()
            if isinstance(error, TimeoutError):
                text = f"the daemon at {self.socket} did not answer within {self.timeout:g} s"
                raise DaemonUnavailable(text) from error
            raise
        return decode_reply(answer, reply, self.socket)

    def _frame(self, method: str, request: object, **how: bool) -> CallFrame:
        if self.on_behalf is not None:
            request = {**msgspec.to_builtins(request), "on_behalf_of": self.on_behalf}
        return call_frame(method, request, **how)

    def _deadline(self) -> float | None:
        return None if self.timeout is None else time.monotonic() + self.timeout

    def _get_connection(self, deadline: float | None) -> Wire:
        if self._connection is not None and self._connection.is_closed:
            self.close()
        if self._connection is None:
            self._connection = self._open_connection(deadline)
        return self._connection

    def _open_connection(self, deadline: float | None) -> Wire:
        """Returns a connection. Waits for a daemon that is about to come."""
        give_up = time.monotonic() + SERVICE_STARTS_WITHIN
        while True:
            try:
                return Wire(self.socket, deadline)
            except DaemonUnavailable as error:
                if isinstance(self.socket, Remote):
                    raise
                now = time.monotonic()
                unit = ask_systemd(self.socket, chosen=self.chosen)
                comes = (now < give_up and is_starting(unit)) or own_daemon_starts(self.socket)
                if not comes or (deadline is not None and now >= deadline):
                    if why := why_no_socket(unit):
                        raise DaemonUnavailable(why) from error
                    raise
            time.sleep(PAUSE)
            if not self.chosen:  # the service has another path than the daemon of a user
                self.socket = socket_to_call(os.environ, os.getuid())

    def _first_reply(self, connection: Wire, deadline: float | None) -> ReplyFrame:
        """Returns the next reply as `Wire.receive` does, but stops if the service has failed."""
        while True:
            ask_at = time.monotonic() + ASK_EVERY
            ask_at = ask_at if deadline is None else min(ask_at, deadline)
            try:
                return connection.receive(ask_at)
            except TimeoutError as error:
                self._raise_if_service_failed(error)
                if ask_at == deadline:
                    raise
            except DaemonUnavailable as error:
                self._raise_if_service_failed(error)
                raise

    def _raise_if_service_failed(self, error: Exception) -> None:
        if why := failure(ask_systemd(self.socket, chosen=self.chosen)):
            lost = isinstance(error, ConnectionLost)
            raise (ConnectionLost if lost else DaemonUnavailable)(why) from error

    def _upgrade(self, call: MethodCall[T]) -> tuple[Wire, T]:
        """Makes a call with `upgrade`. Returns the connection, which then carries other bytes, and
        the result. Only connecting and sending have a deadline.
        """
        connection = self._open_connection(self._deadline())
        try:
            frame = self._frame(call.method, call.request, upgrade=True)
            connection.send(frame, self._deadline())
            reply = decode_reply(connection.receive(None), call.reply, self.socket)
            return connection, call.result_of(reply)
        except BaseException:
            connection.close()
            raise

    def _stream(
        self,
        call: MethodCall[Iterable[T]],
        deadline: float | None = None,
        first_deadline: float | None = None,
    ) -> Iterator[T]:
        """Yields the items of all replies to a call with `more`, on a connection of its own.

        first_deadline  an earlier deadline for the first reply; if None, `deadline` applies to it
        """
        first_deadline = deadline if first_deadline is None else first_deadline
        connection: Wire | None = None
        try:
            try:
                connection = self._open_connection(first_deadline)
                connection.send(self._frame(call.method, call.request, more=True), first_deadline)
                answer = self._first_reply(connection, first_deadline)
            except TimeoutError as error:
                # The caller has set `deadline`, and expects `TimeoutError` for it. The earlier one
                # is only about whether the daemon answers at all.
                if first_deadline == deadline:
                    raise
                raise DaemonUnavailable(f"the daemon at {self.socket} does not answer") from error
            yield from call.result_of(decode_reply(answer, call.reply, self.socket))
            while answer.continues:
                answer = connection.receive(deadline)
                yield from call.result_of(decode_reply(answer, call.reply, self.socket))
        finally:
            if connection is not None:
                connection.close()
