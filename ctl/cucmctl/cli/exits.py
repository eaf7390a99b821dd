"""Lists the exit codes. Scripts depend on them, so their meanings never change.

Every exit code of `cucmctl` has a name in this file. The comment above the name says what the code
means, and the table in cucmctl(1) is made from these comments.
"""

from __future__ import annotations

from cucmctl.client import errors
from cucmctl.client.errors import ClientError, DiscoveryFailed, InvalidParameter, InvalidRequest
from cucmd.job import work
from cucmd.job.collect import missing_room
from cucmd.protocol.jobs import Job

# done; the job succeeded
DONE = 0
# the job failed; `find` found nothing, and nothing is missing; `export` had no file; `verify` found
# files that differ; `reload` failed, or a host key could not be fetched; `delete` or `prune` was
# answered no; an upload was refused or not confirmed; originals are left after masking
FAILED = 1
# wrong usage
USAGE = 2
# the job ended partial, or with --strict has a gap; `find` found nothing, but something is missing;
# `export` left out files that are damaged or missing; `mask` left out files; a dry run has found
# that the files do not fit; of several sites, some are missing or have another code
PARTIAL = 3
# the job was cancelled
CANCELLED = 4
# no such job, node, cluster, profile, credential or host key
NOT_FOUND = 5
# the wait timed out; the job goes on
WAIT_TIMED_OUT = 6
# the daemon refused the request as invalid
INVALID = 65
# no daemon at the socket, or the daemon went away and did not come back; a site cannot be reached,
# or its process could not be started or was killed; an upload had no connection
UNAVAILABLE = 69
# a defect of `cucmd` or `cucmctl`
DEFECT = 70  # EX_SOFTWARE
# the output cannot be written
CANNOT_WRITE = 74  # EX_IOERR
# the daemon has reached a limit or is stopping, or the job still runs or is in use: try again later
TRY_LATER = 75
# not permitted; the login for an upload was refused
NOT_PERMITTED = 77
# Ctrl-C; the job goes on
INTERRUPTED = 130  # 128 + SIGINT
# the reader of the output has closed it, as in `cucmctl list | head`
PIPE_CLOSED = 141  # 128 + SIGPIPE


class Failed(Exception):
    """Ends the verb: `main` prints the text, and exits with `code`."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


# The help of a verb has these texts if its exit code depends on a job.
ENDED = "0 succeeded, 1 failed, 3 partial, 4 cancelled"
STARTED = f"0 started; with --wait or --watch: {ENDED}"

_CODE_OF_STATUS = {"succeeded": DONE, "failed": FAILED, "partial": PARTIAL, "cancelled": CANCELLED}

_CODES_OF_ERRORS: tuple[tuple[tuple[type[ClientError], ...], int], ...] = (
    ((errors.JobNotFound, errors.NodeNotFound, errors.ProfileNotFound), NOT_FOUND),
    ((errors.CredentialNotFound, errors.UnknownTarget), NOT_FOUND),
    ((InvalidRequest, InvalidParameter), INVALID),
    ((errors.LimitReached, errors.ShuttingDown, errors.StorageFailed, errors.JobBusy), TRY_LATER),
    ((errors.NotPermitted,), NOT_PERMITTED),
    ((errors.ScanFailed, errors.ReloadFailed, errors.NotAtHub), FAILED),
    ((errors.Refused,), DEFECT),  # InternalError, MethodNotFound, and errors without a class
)

# field of the request -> the argument from which the field was made
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
    "search.text": "WORDS",
    "found.text": "--found",
    "collection.paths": "--path",
    "added_paths": "--path",
    "login.username": "--user",
    "login.password": "password",
    "login.kept": "the login",
}
# part of the request that can be missing as a whole -> the options that supply it
_OPTIONS_FOR_PART = {
    "collection": "give --profile or --path",
    "login": "give --credential, or --user and --password-file, or only --user to be asked for the "
    "password",
}


def code_of_job(job: Job, *, strict: bool = False) -> int:
    """Returns the exit code for a job that has ended.

    strict  whether a job that succeeded is partial if a part of its window is missing, or if this
            is not known yet
    """
    code = _CODE_OF_STATUS[job.status]
    sizes = [node.sizes for node in job.nodes if node.sizes is not None]
    too_large = any(found.fits is False for found in sizes) or (
        missing_room(sizes) and not job.collection.compress  # the packed files may be smaller
    )
    has_gap = strict and (job.coverage_pending or any(node.gaps for node in job.nodes))
    return PARTIAL if (too_large or has_gap) and code == DONE else code


def code_of_error(error: ClientError | Failed) -> int:
    """Returns the exit code for an error: 69 for an error without a row in the table."""
    if isinstance(error, Failed):
        return error.code
    if isinstance(error, DiscoveryFailed):
        return code_of_job(error.job) or FAILED
    for kinds, code in _CODES_OF_ERRORS:
        if isinstance(error, kinds):
            return code
    return UNAVAILABLE


def message_of(error: ClientError | Failed) -> str:
    """Returns the error as one line, with a wrong field named as the argument that was typed."""
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
    known = ("", "timeouts", "collection", "login", "search", "found")
    if section not in (*known, *work.REQUEST_MEMBERS.values()):
        return path
    option = f"--{name.replace('_', '-')}"
    if section == "timeouts":
        option += "-timeout"
    return option if name else "the request"
