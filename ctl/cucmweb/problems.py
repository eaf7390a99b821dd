"""PURE. Makes problem documents (RFC 9457) of what goes wrong: one status for each error of the
socket.

    type       "about:blank": the status says what kind of problem it is
    title      the words of the status
    status     as in the head of the reply
    detail     one line for a person
    code       the name of the error on the socket, or one of those below
    field      which part of the request is wrong, as a path: "nodes[2]"
    hint       what to do about it
    request_id as in the header X-Request-ID, and in the daemon's log where the call reached it

What an error of the socket tells besides (a job's id, a limit) are members of their own names.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from msgspec.structs import asdict

from cucmctl.client import errors

# Every error of the socket has one status. 502 and 503 say nothing of the request: the daemon could
# not be asked, or could not do it now.
STATUS: dict[type[errors.ClientError], int] = {
    errors.JobNotFound: 404,
    errors.NodeNotFound: 404,
    errors.ProfileNotFound: 404,
    errors.CredentialNotFound: 404,
    errors.InvalidRequest: 400,
    errors.InvalidParameter: 400,
    errors.NotPermitted: 403,
    errors.JobBusy: 409,
    errors.ReloadFailed: 409,
    errors.LimitReached: 429,
    errors.InternalError: 500,
    errors.MethodNotFound: 501,
    errors.ScanFailed: 502,
    errors.ProtocolError: 502,
    errors.ConnectionLost: 502,
    errors.DaemonUnavailable: 503,
    errors.ShuttingDown: 503,
    errors.StorageFailed: 503,
}
# Seconds after which it is worth another try.
RETRY_AFTER = {409: "5", 429: "5", 503: "5"}

# What is said of an error that the daemon has not answered with. Its own text names paths of this
# machine, and goes to the log.
_UNANSWERED: dict[type[errors.ClientError], str] = {
    errors.ConnectionLost: "the daemon went away in the middle of the call",
    errors.DaemonUnavailable: "the daemon does not answer",
    errors.ProtocolError: "what listens at the daemon's socket does not follow its protocol",
}
_HINTS = {
    errors.ConnectionLost: "the call may have had an effect: look at the job before it is repeated,"
    " or repeat it with the same Idempotency-Key",
    errors.DaemonUnavailable: "is cucmd.service running on this machine?",
    errors.InternalError: "the daemon's log has the details, by the request id",
    errors.JobBusy: "try again later",
    errors.LimitReached: "try again later",
    errors.MethodNotFound: "the daemon is older than cucmweb",
    errors.NotPermitted: "the caller needs the role operate, and so does cucmweb's own user at the"
    " daemon; who may view reads files where [access] view_reads_files is true",
    errors.ShuttingDown: "try again later",
}

_NAME_THE_USER = (
    "name the user that cucmweb runs as in [access] may_speak_for of the daemon's configuration,"
    " then systemctl reload cucmd"
)


class HttpProblem(Exception):
    """Is a refusal of cucmweb's own, or an error of the daemon as one. Nothing secret is in it."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.more = {name: value for name, value in more.items() if value is not None}
        self.headers: dict[str, str] = {}
        if status in RETRY_AFTER:
            self.headers["retry-after"] = RETRY_AFTER[status]

    def document(self, request_id: str) -> bytes:
        """Returns the body, as `application/problem+json`."""
        said = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        return msgspec.json.encode(said | self.more | {"request_id": request_id})


def problem_of(error: errors.ClientError) -> HttpProblem:
    """Says how an error of a call to the daemon is told."""
    kind = next((one for one in type(error).__mro__ if one in STATUS), None)
    status = 502 if kind is None else STATUS[kind]
    if not isinstance(error, errors.Refused):
        kind = kind if kind in _UNANSWERED else errors.DaemonUnavailable
        return HttpProblem(status, kind.__name__, _UNANSWERED[kind], hint=_HINTS.get(kind))
    if isinstance(error, errors.InvalidRequest) and error.parameters.parameter == "on_behalf_of":
        # cucmweb has set that member, and nobody who has called can mend it.
        detail = f"the daemon lets cucmweb speak for nobody: {error.parameters.reason}"
        return HttpProblem(503, "MayNotSpeakForOthers", detail, hint=_NAME_THE_USER)
    given, detail = error.parameters, str(error)
    # The client's own text of these speaks of its verbs.
    if isinstance(error, errors.JobNotFound):
        detail = f"no job {given.job_id!r}"
    elif isinstance(error, errors.NodeNotFound):
        detail = f"job {given.job_id} has no node {given.node!r}"
    elif isinstance(error, errors.NotPermitted):
        detail = "this caller may not do that"
    # Varlink's own errors leave fields empty.
    more = asdict(given) if isinstance(given, msgspec.Struct) else {}
    more = {name: value for name, value in more.items() if value != ""}
    more.pop("request_id", None)  # it is that of this request
    field = more.pop("parameter", None)
    more.pop("reason", None)  # it is in the detail
    code = error.name.rpartition(".")[2]
    hint = _HINTS.get(kind) if kind else None
    return HttpProblem(status, code, detail, field=field, hint=hint, **more)
