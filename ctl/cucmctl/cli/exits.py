"""Lists the exit codes. Their meanings are fixed, since scripts depend on them.

Every exit code of `cucmctl` has a name here, below what it means: cucmctl(1) is made of that.
"""

from __future__ import annotations

from cucmctl.client import errors
from cucmctl.client.errors import ClientError, DiscoveryFailed, InvalidParameter, InvalidRequest
from cucmd.job import work
from cucmd.protocol.jobs import Job

# done; the job succeeded
DONE = 0
# the job failed; `verify` has found files that differ; `reload`, or a key that was to be fetched,
# failed; `delete` or `prune` was answered no
FAILED = 1
# wrong usage
USAGE = 2
# the job ended partial; `export` has left out files that are damaged or gone
PARTIAL = 3
# the job was cancelled
CANCELLED = 4
# no such job, node, cluster, profile, credential or host key
NOT_FOUND = 5
# the wait timed out; the job goes on
WAIT_TIMED_OUT = 6
# the request is invalid
INVALID = 65
# no daemon at the socket, or it went away and did not come back
UNAVAILABLE = 69
# a defect of `cucmd` or `cucmctl`
DEFECT = 70  # EX_SOFTWARE
# the output cannot be written
CANNOT_WRITE = 74  # EX_IOERR
# a limit is reached, the daemon is stopping, or the job still runs or is in use: try again later
TRY_LATER = 75
# not permitted
NOT_PERMITTED = 77
# Ctrl-C; the job goes on
INTERRUPTED = 130  # 128 + SIGINT
# whoever read the output has closed it, as in `cucmctl list | head`
PIPE_CLOSED = 141  # 128 + SIGPIPE

_OF_STATUS = {"succeeded": DONE, "failed": FAILED, "partial": PARTIAL, "cancelled": CANCELLED}

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
_ARGUMENT_OF_FIELD = {
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
_OPTIONS_FOR_PART = {
    "collection": "give --profile or --path",
    "login": "give --password-file or --credential, or only --user to be asked for the password",
}


def code_of_job(job: Job) -> int:
    """Returns the exit code for a job that has ended."""
    return _OF_STATUS[job.status]


def code_of_error(error: ClientError) -> int:
    """Returns the exit code of an error: 69 for one not in the table, as no cucmd answered."""
    if isinstance(error, DiscoveryFailed):
        return code_of_job(error.job) or FAILED
    for kinds, code in _OF_ERROR:
        if isinstance(error, kinds):
            return code
    return UNAVAILABLE


def message_of(error: ClientError) -> str:
    """Says the error in one line. A wrong field is named as the argument that was given."""
    if isinstance(error, InvalidRequest):
        part, reason = error.parameters.parameter, error.parameters.reason
        if part in _OPTIONS_FOR_PART:
            return f"{_OPTIONS_FOR_PART[part]}: the {part} {reason}"
        return f"{_argument_name(part)}: {reason}"
    if isinstance(error, InvalidParameter):
        return f"{_argument_name(error.parameters.parameter)}: {error}"
    return str(error)


def _argument_name(parameter: str) -> str:
    path = parameter.removeprefix("$.").removeprefix("dry_run.").partition("[")[0]
    section, _, name = path.rpartition(".")
    if path in _ARGUMENT_OF_FIELD:
        return _ARGUMENT_OF_FIELD[path]
    if section not in ("", "timeouts", "collection", "login", *work.MEMBERS.values()):
        return path
    option = f"--{name.replace('_', '-')}"
    if section == "timeouts":
        option += "-timeout"
    return option if name else "the request"
