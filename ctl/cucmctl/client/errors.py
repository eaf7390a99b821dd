"""Declares the errors of a call: one exception class for each error of the interface.

An exception has the fields of the error in `parameters`, a struct of the same name from
`cucmd.protocol.errors`. Its text is one line that says what to do.
"""

from __future__ import annotations

import grp
import os
import stat
import threading
from typing import Any, Self, TypeVar

import msgspec

from cucmd.protocol import errors as fields
from cucmd.protocol.jobs import Job
from cucmd.protocol.requests import INTERFACE

R = TypeVar("R")

# Characters of a job's id that are enough to name the job. The daemon has the same limit.
SHORTEST_PREFIX = 4
VARLINK = "org.varlink.service"

_making = threading.Lock()


class ClientError(Exception):
    """The base of all errors of a call. Some methods also raise `TimeoutError`.

    A call with arguments of the wrong type raises `TypeError`.
    """


class DaemonUnavailable(ClientError):
    """No daemon listens at the socket, it does not answer, or it has closed the connection."""


class ConnectionLost(DaemonUnavailable):
    """The connection broke during a call. The call may or may not have had an effect."""

    @classmethod
    def at(cls, socket: str) -> Self:
        return cls(f"the daemon at {socket} went away in the middle of a call")


class ProtocolError(ClientError):
    """The program at the socket does not follow the protocol: another service, or version."""


class DiscoveryFailed(ClientError):
    """A node did not name the nodes of its cluster. `job` is the discovery that asked it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        node = job.nodes[0]
        why = node.error or f"the discovery ended {job.status}"
        text = f"{node.full_name} did not name the nodes of its cluster: {why}"
        if why.startswith(node.node):  # as in "ccm-pub refused the login of administrator"
            text = f"{why}; so the nodes of its cluster are not known"
        super().__init__(text)

    @property
    def hint(self) -> str | None:
        """Returns what to do about the failure, or None."""
        failure = self.job.nodes[0].failure
        return failure.hint if failure else None


class UnknownTarget(ClientError):
    """A target resembles the name of a cluster, and no host has an address by that name."""


class Refused(ClientError):
    """The daemon answered with the error `name`, whose fields are `parameters`.

    Only an error without a class in this file is raised as `Refused` itself.
    """

    parameters: Any
    says = ""  # the message, a format string over `parameters`
    hint = ""  # added to the message: what may have been meant

    def __init__(self, name: str, parameters: object) -> None:
        super().__init__(name, parameters)
        self.name = name
        self.parameters = parameters

    def __str__(self) -> str:
        says = self.says or "the daemon answered {1} {0}"
        return says.format(self.parameters, self.name) + self.hint

    @classmethod
    def make(cls, *values: str) -> Self:
        """Makes the error as the daemon would, from the values of its fields."""
        return cls(f"{INTERFACE}.{cls.__name__}", _fields(cls.__name__)(*values))


class JobNotFound(Refused):
    """No job has this id, and no id begins with it."""

    parameters: fields.JobNotFound

    def __str__(self) -> str:
        name = self.parameters.job_id
        least = SHORTEST_PREFIX
        if len(name) < least:  # the daemon does not look for it
            return f"no job {name!r}: the beginning of an id needs at least {least} characters"
        return f"no job {name!r}{self.hint}; cucmctl list shows the jobs"


class JobBusy(Refused):
    """The job still runs, or another call reads or changes it."""

    parameters: fields.JobBusy
    says = "job {0.job_id}: {0.reason}; try later"


class NodeNotFound(Refused):
    """The job has no node of this name."""

    parameters: fields.NodeNotFound
    # The user may have typed the name of a cluster, but the job has the names of the nodes.
    says = (
        "job {0.job_id} has no node {0.node!r}; cucmctl status {0.job_id} names those that it has"
    )

    def __str__(self) -> str:
        which = self.parameters
        if not which.candidates:
            return super().__str__()
        names = ", ".join(which.candidates)
        return f"{which.node!r} fits several nodes of job {which.job_id}; give one of them: {names}"


class ProfileNotFound(Refused):
    """The configuration has no profile of this name."""

    parameters: fields.ProfileNotFound
    says = "no profile {0.profile!r} in the daemon's configuration"


class CredentialNotFound(Refused):
    """The daemon was not given this credential."""

    parameters: fields.CredentialNotFound

    def __str__(self) -> str:
        name, cluster = self.parameters.credential, self.parameters.cluster
        owner = f", which cluster {cluster!r} has in the configuration," if cluster else ""
        return f"no credential {name!r}{owner} was given to the daemon{self.hint}"


class InvalidRequest(Refused):
    """A field of the request is wrong: `parameter` is its path, `reason` says what is expected."""

    parameters: fields.InvalidRequest
    says = "{0.parameter}: {0.reason}"


class LimitReached(Refused):
    """The daemon has reached a limit. The same call may succeed later."""

    parameters: fields.LimitReached
    says = "the daemon's limit on {0.limit} is reached ({0.maximum}); try later"


class ShuttingDown(Refused):
    """The daemon is stopping, and starts nothing new."""

    parameters: fields.ShuttingDown
    says = "the daemon is shutting down; try later"


class StorageFailed(Refused):
    """The daemon could not store the change, so nothing was started; or it could not read data.

    A cancel takes effect all the same, and is stored once the disk has space.
    """

    parameters: fields.StorageFailed
    says = "the daemon cannot store or read that now: {0.reason}"


class ScanFailed(Refused):
    """The daemon could not ask a node for its host keys."""

    parameters: fields.ScanFailed
    says = "{0.node}: {0.failure.message}"


class ReloadFailed(Refused):
    """The daemon cannot use the files that it was told to read. It keeps the old configuration."""

    parameters: fields.ReloadFailed
    says = "not reloaded: {0.reason}"


class NotAtHub(Refused):
    """The hub of several sites does not answer this method, but the daemon of a site does."""

    parameters: fields.NotAtHub

    def __str__(self) -> str:
        where = ", ".join(self.parameters.sites) or "the site"
        return f"the hub does not answer {self.parameters.method}; ask the daemon there: {where}"


class InternalError(Refused):
    """The daemon has a defect. The call may or may not have had an effect."""

    parameters: fields.InternalError
    says = "a defect of the daemon; its log has the details"


class MethodNotFound(Refused):
    """The daemon does not know the method, probably because it is older than this client."""

    says = "the daemon knows no {0.method}; is it older than cucmctl?"


class InvalidParameter(Refused):
    """The error of Varlink itself for a wrong field. It gives no reason."""

    says = "the daemon does not take {0.parameter!r} as it was sent"


class NotPermitted(Refused):
    """This user may not make the call. `socket` is the path of the socket, or ""."""

    socket = ""

    def __str__(self) -> str:
        who = _who_has_access(self.socket) or "; see the groups under [access]"
        return f"the daemon does not permit this user to do that{who}"


class SocketNotPermitted(NotPermitted):
    """The kernel refused to open the socket. `says` replaces the message about a local socket."""

    def __init__(self, path: str, says: str = "") -> None:
        super().__init__(f"{VARLINK}.PermissionDenied", None)
        self._says = says or f"this user may not use the socket {path}{_who_has_access(path)}"

    def __str__(self) -> str:
        return self._says


def not_connected(path: str, error: OSError | ValueError) -> ClientError:
    """Returns the error for a socket that could not be connected.

    A ValueError means that the path is too long for a Unix socket, or contains a NUL byte.
    """
    if isinstance(error, PermissionError):
        return SocketNotPermitted(path)
    if isinstance(error, ValueError):
        return DaemonUnavailable(f"no daemon at {path!r} ({error})")
    reason = error.strerror or str(error)
    return DaemonUnavailable(f"no daemon at {path} ({reason}); does cucmd run?")


def _who_has_access(path: str) -> str:
    """Returns the end of a message: which group may use the socket, and the groups of the user.

    Returns "" if these are not known.
    """
    try:
        status = os.stat(path)
        if not status.st_mode & stat.S_IWGRP:
            return ""
        if status.st_gid == 0:  # the configuration names no group
            return "; access.operate_group of the daemon's configuration names the group that may"
        needed = grp.getgrgid(status.st_gid).gr_name
        own = []
        for gid in dict.fromkeys((os.getegid(), *os.getgroups())):
            try:
                own.append(repr(grp.getgrgid(gid).gr_name))
            except KeyError:
                own.append(str(gid))
    except (OSError, KeyError):  # the folder cannot be read, or the group has no name
        return ""
    who = f"the group {needed!r} may do everything, and this user is in {', '.join(own)}"
    return f"; {who}; a new member has to log in again: see cucmd(8)"


def read(parameters: msgspec.Raw, kind: type[R]) -> R:
    """Decodes the parameters of a reply. Raises `msgspec.MsgspecError`.

    Every thread of a program may have a `Client` of its own. msgspec 0.22 collects information
    about a struct when its first decoder is made. Two threads that do this at the same time crash
    the process, so decoders are made under a lock.
    """
    with _making:
        decoder = msgspec.json.Decoder(kind)
    return decoder.decode(parameters)


def refusal(name: str, parameters: msgspec.Raw) -> Refused:
    """Returns the exception for an error reply: `Refused` itself for an unknown name."""
    if (exception := _BY_NAME.get(name)) is not None:
        fields_of_it = _fields(name.rpartition(".")[2])
        try:
            return exception(name, read(parameters, fields_of_it))
        except msgspec.MsgspecError:
            pass  # the fields of another version; `Refused` keeps what came
    return Refused(name, msgspec.json.decode(parameters))


_BY_NAME = {f"{INTERFACE}.{error.__name__}": error for error in Refused.__subclasses__()} | {
    f"{VARLINK}.InvalidParameter": InvalidParameter,
    f"{VARLINK}.MethodNotFound": MethodNotFound,
    f"{VARLINK}.PermissionDenied": NotPermitted,
}


def _fields(error: str) -> Any:
    """Returns the struct with the fields of an error, also for the errors of Varlink itself."""
    of_varlink = [("method", str, ""), ("parameter", str, "")]
    return getattr(fields, error, None) or msgspec.defstruct("OfVarlink", of_varlink)
