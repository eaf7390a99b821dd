"""Declares what a server is made of: interfaces, with their methods and their text, and errors.

A handler gets a valid request, and the caller's credentials from the kernel. An error that it
raises is sent to the peer as it is, so nothing secret goes into it.
"""

from __future__ import annotations

import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from importlib import resources
from typing import Any, TypeAlias

import msgspec
import trio

SERVICE = "org.varlink.service"


class Caller(msgspec.Struct, frozen=True):
    """Holds the peer's credentials at the time of its connect. `groups` are the supplementary ones.

    `asked_by`: the name of whom it calls for, as the peer has said; None: for itself.
    """

    uid: int
    gid: int
    groups: frozenset[int]
    pid: int
    asked_by: str | None = None

    def __str__(self) -> str:  # as a log line has it
        who = f"uid {self.uid}, pid {self.pid}"
        return who if self.asked_by is None else f"{who}, asked by '{self.asked_by}'"

    @property
    def for_log(self) -> dict[str, int]:
        """Returns the `extra` of a log record that this user caused: handlers can limit these."""
        return {"uid": self.uid}


class StreamReply(msgspec.Struct, frozen=True):
    """Holds one reply of a stream. `continues` is False for the last one, and for no other."""

    parameters: msgspec.Struct
    continues: bool = True


class Upgrade(msgspec.Struct, frozen=True):
    """Holds the one reply to a call that leaves Varlink. `serve` is called with the connection once
    the reply is sent, and the connection is closed when it returns.
    """

    parameters: msgspec.Struct
    serve: Callable[[trio.abc.Stream], Awaitable[None]]


# What is called with the caller, and the request as the method's struct.
Handler: TypeAlias = Callable[[Caller, Any], Awaitable[msgspec.Struct]]
StreamHandler: TypeAlias = Callable[[Caller, Any], AsyncGenerator[StreamReply, None]]
UpgradeHandler: TypeAlias = Callable[[Caller, Any], AbstractAsyncContextManager[Upgrade]]


class Method(msgspec.Struct, frozen=True):
    """`handler(caller, request)` returns the reply. If `streaming`, it is an async generator of
    `StreamReply`.

    A call is cancelled when its caller hangs up. One with an `effect` is not: what was asked for
    is done, even if nobody waits for the reply.

    A generator is closed after its last reply. It may raise `VarlinkError` instead of yielding one.
    To return without one is a defect, which is answered with `InternalError`.

    If `upgrade`, `handler` gives a context manager of `Upgrade`, and must be called with Varlink's
    `upgrade`. It may raise `VarlinkError` when it is entered.
    """

    name: str
    request: type[msgspec.Struct]
    reply: type[msgspec.Struct]
    handler: Handler | StreamHandler | UpgradeHandler
    streaming: bool = False
    effect: bool = False
    upgrade: bool = False


def _itself(caller: Caller, _method: Method, _request: msgspec.Struct) -> Caller:
    return caller


def _invalid(parameter: str, _reason: str) -> VarlinkError:
    return standard_error(InvalidParameter(parameter))


class Interface(msgspec.Struct, frozen=True):
    """Describes a named set of methods. `description` is its text in the interface language.

    `invalid(parameter, reason)` makes the error for a request that does not fit its struct;
    `too_many(limit, maximum)` that for a caller over one of its limits. A handler that fails
    otherwise is answered with `InternalError` of this interface, which its text therefore must
    name.

    `effective_caller(caller, method, request)` returns the caller that the handler is given: the
    peer itself, or the peer with the name of the person it calls for. It may raise `VarlinkError`.

    `secrets` are names of request fields: nothing at or below them is ever repeated in a reason.
    """

    name: str
    description: str
    methods: tuple[Method, ...]
    too_many: Callable[[str, int], VarlinkError]
    invalid: Callable[[str, str], VarlinkError] = _invalid
    effective_caller: Callable[[Caller, Method, Any], Caller] = _itself
    secrets: frozenset[str] = frozenset()

    @property
    def internal_error(self) -> str:
        return f"{self.name}.InternalError"


def read_description(package: str, name: str) -> str:
    """Reads the text of interface `name`: the file `NAME.varlink` of that package."""
    return resources.files(package).joinpath(f"{name}.varlink").read_text("utf-8")


# Errors


class VarlinkError(Exception):
    """Holds an error reply: its full name (`io.example.NotFound`), and its fields."""

    def __init__(self, name: str, parameters: msgspec.Struct | None = None) -> None:
        super().__init__(name)
        self.name = name
        self.parameters = parameters


class PermissionDenied(VarlinkError):
    """The caller may not do this. The reply gives no reason."""

    def __init__(self) -> None:
        super().__init__(f"{SERVICE}.PermissionDenied")


# The fields of each, named as the error is named on the wire.


class InterfaceNotFound(msgspec.Struct, frozen=True):
    interface: str


class MethodNotFound(msgspec.Struct, frozen=True):
    method: str


class InvalidParameter(msgspec.Struct, frozen=True):
    parameter: str


class ExpectedMore(msgspec.Struct, frozen=True):
    pass


def standard_error(parameters: msgspec.Struct) -> VarlinkError:
    """Makes the standard error that is named like the struct."""
    return VarlinkError(f"{SERVICE}.{type(parameters).__name__}", parameters)


def trace(defect: BaseException) -> str:
    """Writes for the log the tracebacks of an exception, its cause and the members of a group.

    They say where a defect is, never what an exception says: that can quote a request.
    """
    parts = []
    origin = defect.__cause__ or (None if defect.__suppress_context__ else defect.__context__)
    if origin is not None:
        parts.append(trace(origin))
    if isinstance(defect, BaseExceptionGroup):
        parts += [trace(held) for held in defect.exceptions]
    parts.append("".join(traceback.format_tb(defect.__traceback__)) + type(defect).__qualname__)
    return "\n".join(parts)
