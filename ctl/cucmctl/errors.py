"""What a call can come to instead of an answer: one exception class for each error on the wire.

The one rule: an exception carries the fields that the wire gave it, as the struct of its name in
`cucmd.api.structs`, and its text is one line that a person can act on.
"""

from __future__ import annotations

import os
import stat
from typing import Any, ClassVar

import msgspec

from cucmd.api import structs

# Characters of a job's id that may stand for it; the daemon wants as many.
SHORTEST_PREFIX = 4
VARLINK = "org.varlink.service"


class ClientError(Exception):
    """Whatever a call comes to is one of these, or `TimeoutError` where a method says so.

    What no request can be made of is the calling program's own mistake: `TypeError`.
    """


class DaemonUnavailable(ClientError):
    """No daemon listens at the socket, it does not answer, or it went away meanwhile."""


class ProtocolError(ClientError):
    """What listens at the socket does not speak as agreed: another service or another version."""


class Refused(ClientError):
    """The daemon answered with an error. `name` is the wire's, `parameters` its fields.

    Raised itself only for an error that has no class of its own here.
    """

    struct: ClassVar[type[msgspec.Struct]]
    parameters: Any

    def __init__(self, name: str, parameters: object) -> None:
        super().__init__(name, parameters)
        self.name = name
        self.parameters = parameters

    def __str__(self) -> str:
        return f"the daemon answered {self.name} {self.parameters}"


class JobNotFound(Refused):
    struct = structs.JobNotFound
    parameters: structs.JobNotFound

    def __str__(self) -> str:
        name = self.parameters.job_id
        least = SHORTEST_PREFIX
        if len(name) < least:  # it is not even looked for
            return f"no job {name!r}: the beginning of an id needs at least {least} characters"
        return f"no job {name!r}; cucmctl list shows those that there are"


class NodeNotFound(Refused):
    struct = structs.NodeNotFound
    parameters: structs.NodeNotFound

    def __str__(self) -> str:
        job, node = self.parameters.job_id, self.parameters.node
        # of a cluster that was started by its name, too, the job has only the nodes
        return f"job {job} has no node {node!r}; cucmctl status {job} names those that it has"


class ProfileNotFound(Refused):
    struct = structs.ProfileNotFound
    parameters: structs.ProfileNotFound

    def __str__(self) -> str:
        return f"no profile {self.parameters.profile!r} in the daemon's configuration"


class CredentialNotFound(Refused):
    struct = structs.CredentialNotFound
    parameters: structs.CredentialNotFound

    def __str__(self) -> str:
        given = self.parameters
        whose = (
            f", which cluster {given.cluster!r} has in the configuration," if given.cluster else ""
        )
        return f"no credential {given.credential!r}{whose} was given to the daemon"


class InvalidRequest(Refused):
    """A field of the request is wrong: `parameter` is its path, `reason` says what is expected."""

    struct = structs.InvalidRequest
    parameters: structs.InvalidRequest

    def __str__(self) -> str:
        return f"{self.parameters.parameter}: {self.parameters.reason}"


class LimitReached(Refused):
    struct = structs.LimitReached
    parameters: structs.LimitReached

    def __str__(self) -> str:
        maximum = self.parameters.maximum
        return f"the daemon's limit on {self.parameters.limit} is reached ({maximum}); try later"


class ShuttingDown(Refused):
    struct = structs.ShuttingDown
    parameters: structs.ShuttingDown

    def __str__(self) -> str:
        return "the daemon is shutting down; try later"


class StorageFailed(Refused):
    """The daemon could not make it durable: nothing was started or remembered.

    A cancel holds all the same, and its record follows once there is room.
    """

    struct = structs.StorageFailed
    parameters: structs.StorageFailed

    def __str__(self) -> str:
        return f"the daemon cannot store that now: {self.parameters.reason}; try later"


class ScanFailed(Refused):
    """A node could not be asked for its host keys."""

    struct = structs.ScanFailed
    parameters: structs.ScanFailed

    def __str__(self) -> str:
        return f"{self.parameters.node}: {self.parameters.failure.message}"


class InternalError(Refused):
    """A defect of the daemon; the call may have had an effect."""

    struct = structs.InternalError
    parameters: structs.InternalError

    def __str__(self) -> str:
        return "the daemon made a mistake of its own; its log says which"


class _Method(msgspec.Struct, frozen=True):
    method: str = ""


class MethodNotFound(Refused):
    """The daemon is older than this client."""

    struct = _Method
    parameters: _Method

    def __str__(self) -> str:
        return f"the daemon knows no {self.parameters.method}; is it older than cucmctl?"


class _Parameter(msgspec.Struct, frozen=True):
    parameter: str = ""


class _Nothing(msgspec.Struct, frozen=True):
    pass


class InvalidParameter(Refused):
    """The protocol's own word for a wrong field, without a reason."""

    struct = _Parameter
    parameters: _Parameter

    def __str__(self) -> str:
        return f"the daemon does not take {self.parameters.parameter!r} as it was sent"


class NotPermitted(Refused):
    """This user may not do that, or may not even open the socket."""

    struct = _Nothing
    reason = "the daemon does not permit this user to do that; see the groups under [access]"

    def __str__(self) -> str:
        return self.reason


class SocketNotPermitted(NotPermitted):
    """The kernel refused the socket itself."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{VARLINK}.PermissionDenied", _Nothing())
        self.reason = f"this user may not use the socket {path}{_who_may(path)}"


def _who_may(path: str) -> str:
    """What to do about it; nothing if that cannot be told, or nobody else may."""
    import grp  # noqa: PLC0415  # only for this complaint

    try:
        status = os.stat(path)
        if not status.st_mode & stat.S_IWGRP:
            return ""
        if status.st_gid == 0:  # no group was configured; and nobody shall join that of root
            return "; access.operate_group of the daemon's configuration names the group that may"
        return f"; is it in the group {grp.getgrgid(status.st_gid).gr_name!r}?"
    except (OSError, KeyError):  # its folder is closed too; a group without a name
        return ""


_BY_NAME: dict[str, type[Refused]] = {
    **{
        f"{structs.INTERFACE}.{error.__name__}": error
        for error in (
            JobNotFound,
            NodeNotFound,
            ProfileNotFound,
            CredentialNotFound,
            InvalidRequest,
            LimitReached,
            ShuttingDown,
            ScanFailed,
            StorageFailed,
            InternalError,
        )
    },
    f"{VARLINK}.InvalidParameter": InvalidParameter,
    f"{VARLINK}.MethodNotFound": MethodNotFound,
    f"{VARLINK}.PermissionDenied": NotPermitted,
}


def too_long(length: int, most: int) -> InvalidRequest:
    """What the daemon would say of a longer request, if it read it to the end."""
    return _invalid("the request", f"it has {length} bytes; expected at most {most}")


def no_text(parameter: str) -> InvalidRequest:
    """Of a text that UTF-8 has no bytes for, as Python makes of a file's name that is not UTF-8.

    The text is not shown: it may be a password.
    """
    return _invalid(parameter, "it is not UTF-8")


def _invalid(parameter: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"{structs.INTERFACE}.InvalidRequest", structs.InvalidRequest(parameter, reason)
    )


def refusal(name: str, parameters: msgspec.Raw) -> Refused:
    """The exception for an error reply; `Refused` itself for a name that is not known here."""
    known = _BY_NAME.get(name)
    if known is not None:
        try:
            return known(name, msgspec.json.decode(parameters, type=known.struct))
        except msgspec.MsgspecError:
            pass  # a newer daemon may have changed the fields: show what came, under its name
    return Refused(name, msgspec.json.decode(parameters))
