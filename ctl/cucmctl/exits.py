"""Exit codes: what each means is fixed, and scripts rely on it.

The one rule: every number that `cucmctl` can exit with has its name here.
"""

from __future__ import annotations

from cucmctl.errors import (
    ClientError,
    CredentialNotFound,
    InvalidParameter,
    InvalidRequest,
    JobNotFound,
    LimitReached,
    NodeNotFound,
    NotPermitted,
    ProfileNotFound,
    Refused,
    ScanFailed,
    ShuttingDown,
    StorageFailed,
)
from cucmd.api.structs import Job

DONE = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 5
WAIT_TIMED_OUT = 6
INVALID = 65
UNAVAILABLE = 69
FAULT = 70  # EX_SOFTWARE: a mistake of the daemon or of cucmctl, and nobody else's
CANNOT_WRITE = 74  # EX_IOERR: standard output is full or broken
TRY_LATER = 75
NOT_PERMITTED = 77
INTERRUPTED = 130  # 128 + SIGINT
PIPE_CLOSED = 141  # 128 + SIGPIPE: the reader had enough

_OF_STATUS = {"succeeded": 0, "failed": 1, "partial": 3, "cancelled": 4}

_OF_ERROR: tuple[tuple[tuple[type[ClientError], ...], int], ...] = (
    ((JobNotFound, NodeNotFound, ProfileNotFound, CredentialNotFound), NOT_FOUND),
    ((InvalidRequest, InvalidParameter), INVALID),
    ((LimitReached, ShuttingDown, StorageFailed), TRY_LATER),
    ((NotPermitted,), NOT_PERMITTED),
    ((ScanFailed,), FAILED),
    ((Refused,), FAULT),  # InternalError, MethodNotFound, and what has no class of its own
)

# a field of the request, as the daemon names it -> what the person typed
_TYPED = {
    "nodes": "NODE",
    "job_id": "JOB",
    "node": "NODE",
    "collection.paths": "--path",
    "login.username": "--user",
    "login.password": "password",
}
# a part of the request in which all is missing -> the options that would be it
_GIVE = {
    "collection": "give --profile or --path",
    "login": "give --password-file or --credential, or only --user to be asked for the password",
}
_SECTIONS = {"collection": "--{}", "login": "--{}", "timeouts": "--{}-timeout", "": "--{}"}


def of_job(job: Job) -> int:
    """How an ended job ended."""
    return _OF_STATUS[job.status]


def of_error(error: ClientError) -> int:
    """69 for all that is not in the table: whatever is at the socket, it is no daemon of ours."""
    for kinds, code in _OF_ERROR:
        if isinstance(error, kinds):
            return code
    return UNAVAILABLE


def complaint(error: ClientError) -> str:
    """The error in one line, with a wrong field named as it was typed."""
    if isinstance(error, InvalidRequest):
        part, reason = error.parameters.parameter, error.parameters.reason
        if part in _GIVE:
            return f"{_GIVE[part]}: the {part} {reason}"
        return f"{_typed(part)}: {reason}"
    if isinstance(error, InvalidParameter):
        return f"{_typed(error.parameters.parameter)}: {error}"
    return str(error)


def _typed(parameter: str) -> str:
    path = parameter.removeprefix("$.").partition("[")[0]
    section, _, name = path.rpartition(".")
    if path in _TYPED or section not in _SECTIONS:
        return _TYPED.get(path, path)
    return _SECTIONS[section].format(name) if name else "the request"
