"""Exit codes. Their meanings are fixed, since scripts depend on them.

Every exit code of `cucmctl` has a name here.
"""

from __future__ import annotations

from cucmctl.client import errors
from cucmctl.client.errors import ClientError, DiscoveryFailed, InvalidParameter, InvalidRequest
from cucmd.job.work import MEMBERS
from cucmd.protocol.jobs import Job

DONE = 0
FAILED = 1
USAGE = 2
PARTIAL = 3
NOT_FOUND = 5
WAIT_TIMED_OUT = 6
INVALID = 65
UNAVAILABLE = 69
DEFECT = 70  # EX_SOFTWARE: a defect of the daemon or of cucmctl
CANNOT_WRITE = 74  # EX_IOERR: standard output is full or broken
TRY_LATER = 75
NOT_PERMITTED = 77
INTERRUPTED = 130  # 128 + SIGINT
PIPE_CLOSED = 141  # 128 + SIGPIPE: the reader has closed

_OF_STATUS = {"succeeded": 0, "failed": 1, "partial": 3, "cancelled": 4}

_OF_ERROR: tuple[tuple[tuple[type[ClientError], ...], int], ...] = (
    ((errors.JobNotFound, errors.NodeNotFound, errors.ProfileNotFound), NOT_FOUND),
    ((errors.CredentialNotFound, errors.UnknownTarget), NOT_FOUND),
    ((InvalidRequest, InvalidParameter), INVALID),
    ((errors.LimitReached, errors.ShuttingDown, errors.StorageFailed, errors.JobBusy), TRY_LATER),
    ((errors.NotPermitted,), NOT_PERMITTED),
    ((errors.ScanFailed, errors.ReloadFailed), FAILED),
    ((errors.Refused,), DEFECT),  # InternalError, MethodNotFound, and errors without a class
)

# a field of the request -> the argument that the user gave for it
_TYPED = {
    "nodes": "NODE",
    "discovered": "NODE",
    "job_id": "JOB",
    "node": "NODE",
    "publisher": "PUBLISHER",
    "commands.lines": "COMMAND",
    "follow.path": "PATH",
    "older_than": "--older-than",
    "larger_than": "--larger-than",
    "labels": "KEY=VALUE",
    "collection.paths": "--path",
    "added_paths": "--path",
    "login.username": "--user",
    "login.password": "password",
}
# a part of the request that is missing as a whole -> the options that give it
_GIVE = {
    "collection": "give --profile or --path",
    "login": "give --password-file or --credential, or only --user to be asked for the password",
}
_SECTIONS = {
    **dict.fromkeys(("collection", "login", *MEMBERS.values(), ""), "--{}"),
    "timeouts": "--{}-timeout",
}


def of_job(job: Job) -> int:
    """The exit code for a job that has ended."""
    return _OF_STATUS[job.status]


def of_error(error: ClientError) -> int:
    """Returns the exit code of an error: 69 for one not in the table, as no cucmd answered."""
    if isinstance(error, DiscoveryFailed):
        return of_job(error.job) or FAILED
    for kinds, code in _OF_ERROR:
        if isinstance(error, kinds):
            return code
    return UNAVAILABLE


def complaint(error: ClientError) -> str:
    """Says the error in one line. A wrong field is named as the argument that was given."""
    if isinstance(error, InvalidRequest):
        part, reason = error.parameters.parameter, error.parameters.reason
        if part in MEMBERS.values():  # of a start, that 0.1.0 does not know
            return f"the daemon knows no {part}; is it older than cucmctl? {reason}"
        if part in _GIVE:
            return f"{_GIVE[part]}: the {part} {reason}"
        return f"{_typed(part)}: {reason}"
    if isinstance(error, InvalidParameter):
        return f"{_typed(error.parameters.parameter)}: {error}"
    return str(error)


def hint(error: ClientError) -> str | None:
    """What to do about an error, where that is known of the node that has failed."""
    return error.hint if isinstance(error, DiscoveryFailed) else None


def _typed(parameter: str) -> str:
    path = parameter.removeprefix("$.").removeprefix("dry_run.").partition("[")[0]
    section, _, name = path.rpartition(".")
    if path in _TYPED or section not in _SECTIONS:
        return _TYPED.get(path, path)
    return _SECTIONS[section].format(name.replace("_", "-")) if name else "the request"
