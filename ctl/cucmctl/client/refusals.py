"""The exception for an error reply, and the structs that have the fields of an error.

It is imported when an error has come, since most commands end without one.
"""

from __future__ import annotations

import msgspec

from cucmctl.client.errors import (
    VARLINK,
    CredentialNotFound,
    InternalError,
    InvalidParameter,
    InvalidRequest,
    JobBusy,
    JobNotFound,
    LimitReached,
    MethodNotFound,
    NodeNotFound,
    NotPermitted,
    ProfileNotFound,
    Refused,
    ReloadFailed,
    ScanFailed,
    ShuttingDown,
    StorageFailed,
)
from cucmd.protocol import errors
from cucmd.protocol.jobs import INTERFACE


class MethodName(msgspec.Struct, frozen=True):
    method: str = ""


class ParameterName(msgspec.Struct, frozen=True):
    parameter: str = ""


class Nothing(msgspec.Struct, frozen=True):
    pass


# The name of an error -> its exception, and the struct of its fields.
_BY_NAME: dict[str, tuple[type[Refused], type[msgspec.Struct]]] = {
    **{
        f"{INTERFACE}.{error.__name__}": (error, getattr(errors, error.__name__))
        for error in (
            JobNotFound,
            JobBusy,
            NodeNotFound,
            ProfileNotFound,
            CredentialNotFound,
            InvalidRequest,
            LimitReached,
            ShuttingDown,
            ReloadFailed,
            ScanFailed,
            StorageFailed,
            InternalError,
        )
    },
    f"{VARLINK}.InvalidParameter": (InvalidParameter, ParameterName),
    f"{VARLINK}.MethodNotFound": (MethodNotFound, MethodName),
    f"{VARLINK}.PermissionDenied": (NotPermitted, Nothing),
}


def too_long(length: int, most: int) -> InvalidRequest:
    """The error for a request that is too long, which the daemon would not read to its end."""
    return _invalid("the request", f"it has {length} bytes; expected at most {most}")


def not_utf8(parameter: str) -> InvalidRequest:
    """The error for a text with surrogates, as Python makes of file names that are not UTF-8.

    The text is not shown: it may be a password.
    """
    return _invalid(parameter, "it is not UTF-8")


def _invalid(parameter: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{INTERFACE}.InvalidRequest", errors.InvalidRequest(parameter, reason))


def refusal(name: str, parameters: msgspec.Raw) -> Refused:
    """The exception for an error reply. `Refused` itself for a name that is not known here."""
    if (known := _BY_NAME.get(name)) is not None:
        exception, fields = known
        try:
            return exception(name, msgspec.json.decode(parameters, type=fields))
        except msgspec.MsgspecError:
            pass  # the fields of another version: the error is raised with what came
    return Refused(name, msgspec.json.decode(parameters))
