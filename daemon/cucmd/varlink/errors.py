"""Errors that a handler raises, and the standard ones of `org.varlink.service`.

An error is sent to the peer as it is, so nothing secret goes into it.
"""

from __future__ import annotations

import msgspec

SERVICE = "org.varlink.service"


class VarlinkError(Exception):
    """An error reply: its full name (`io.example.NotFound`), and its fields."""

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


def standard(parameters: msgspec.Struct) -> VarlinkError:
    """The standard error that is named like the struct."""
    return VarlinkError(f"{SERVICE}.{type(parameters).__name__}", parameters)
