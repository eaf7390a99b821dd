"""Declares interfaces with their methods, and the errors that handlers raise.

An error that a handler raises is sent to the peer unchanged, so it must not contain a secret.
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
    """Holds the credentials of a peer when it connected, from the kernel.

    groups    its supplementary groups
    asked_by  the name of the person for whom it calls, from the peer; None if it calls for itself
    """

    uid: int
    gid: int
    groups: frozenset[int]
    pid: int
    asked_by: str | None = None

    def __str__(self) -> str:  # for log lines
        who = f"uid {self.uid}, pid {self.pid}"
        return who if self.asked_by is None else f"{who}, asked by '{self.asked_by}'"

    @property
    def for_log(self) -> dict[str, int]:
        """Returns the `extra` of a log record, so that a handler can limit each user's records."""
        return {"uid": self.uid}


class StreamReply(msgspec.Struct, frozen=True):
    """Holds one reply of a stream. `continues` is False only in the last reply."""

    parameters: msgspec.Struct
    continues: bool = True


class Upgrade(msgspec.Struct, frozen=True):
    """Holds the reply to a call after which the connection no longer speaks Varlink. After the
    reply `serve` is called with the connection, which is closed when `serve` returns.
    """

    parameters: msgspec.Struct
    serve: Callable[[trio.abc.Stream], Awaitable[None]]


# Handlers are called with the caller, and with the request as the struct of the method.
Handler: TypeAlias = Callable[[Caller, Any], Awaitable[msgspec.Struct]]
StreamHandler: TypeAlias = Callable[[Caller, Any], AsyncGenerator[StreamReply, None]]
UpgradeHandler: TypeAlias = Callable[[Caller, Any], AbstractAsyncContextManager[Upgrade]]


class Method(msgspec.Struct, frozen=True):
    """Describes a method. Any handler may raise `VarlinkError`.

    handler    `handler(caller, request)` returns the reply
    streaming  the handler is an async generator of `StreamReply` instead. It is closed after its
               last reply. To end without a last reply is a defect, and answered with
               `InternalError`
    effect     a call is not cancelled when its caller hangs up
    upgrade    the method has to be called with Varlink's `upgrade`, and the handler returns a
               context manager of an `Upgrade`
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
    """Describes a named set of methods.

    description       the text of the interface in Varlink's interface language. It must name the
                      error `InternalError`, which answers a call whose handler has a defect
    too_many          `too_many(limit, maximum)` makes the error for a caller at one of its limits
    invalid           `invalid(parameter, reason)` makes the error for a request that does not fit
                      its struct
    effective_caller  `effective_caller(caller, method, request)` returns the caller that the
                      handler is given: the peer, or the peer with the name of the person for whom
                      it calls. It may raise `VarlinkError`
    secrets           names of request fields. A reason repeats no value at or below these fields.
    """

    name: str
    description: str
    methods: tuple[Method, ...]
    too_many: Callable[[str, int], VarlinkError]
    invalid: Callable[[str, str], VarlinkError] = _invalid
    effective_caller: Callable[[Caller, Method, Any], Caller] = _itself
    secrets: frozenset[str] = frozenset()


def read_description(package: str, name: str) -> str:
    """Reads the text of the interface `name` from the file NAME.varlink of the package."""
    return resources.files(package).joinpath(f"{name}.varlink").read_text("utf-8")


# Errors


class VarlinkError(Exception):
    """Holds an error reply: its full name, such as `io.example.NotFound`, and its fields."""

    def __init__(self, name: str, parameters: msgspec.Struct | None = None) -> None:
        super().__init__(name)
        self.name = name
        self.parameters = parameters


class PermissionDenied(VarlinkError):
    """The caller is not permitted to make this call. The reply gives no reason."""

    def __init__(self) -> None:
        super().__init__(f"{SERVICE}.PermissionDenied")


# The fields of the standard errors. Each struct has the name of its error.


class InterfaceNotFound(msgspec.Struct, frozen=True):
    interface: str


class MethodNotFound(msgspec.Struct, frozen=True):
    method: str


class InvalidParameter(msgspec.Struct, frozen=True):
    parameter: str


class ExpectedMore(msgspec.Struct, frozen=True):
    pass


def standard_error(parameters: msgspec.Struct) -> VarlinkError:
    """Makes the standard error that has the name of the struct."""
    return VarlinkError(f"{SERVICE}.{type(parameters).__name__}", parameters)


def trace(defect: BaseException) -> str:
    """Returns the tracebacks of an exception, of its cause and of the members of a group.

    Leaves out the texts of the exceptions, since they can quote a request, and so a password.
    """
    parts = []
    # As Python prints it: `raise ... from None` hides the exception before.
    origin = defect.__cause__ or (None if defect.__suppress_context__ else defect.__context__)
    if origin is not None:
        parts.append(trace(origin))
    if isinstance(defect, BaseExceptionGroup):
        parts += [trace(held) for held in defect.exceptions]
    parts.append("".join(traceback.format_tb(defect.__traceback__)) + type(defect).__qualname__)
    return "\n".join(parts)
