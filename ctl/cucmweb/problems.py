"""PURE. Makes problem documents (RFC 9457), whose members cucmweb(8) describes.

Each error of the socket has one HTTP status. Fields of the error, such as a job's id or a limit,
are members with their own names.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from msgspec.structs import asdict

from cucmctl.client import errors
from cucmctl.export.save import Damaged

# 502 and 503 do not mean that the request was wrong: the daemon could not be asked, or could not
# answer now.
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
    errors.NotAtHub: 501,
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
# Seconds after which a request may be repeated, for the header Retry-After.
RETRY_AFTER = {409: "5", 429: "5", 503: "5"}

# Texts for errors that are not answers of the daemon. The texts of the exceptions contain paths of
# this machine, so they are only logged.
_UNANSWERED: dict[type[errors.ClientError], str] = {
    errors.ConnectionLost: "the daemon went away in the middle of the call",
    errors.DaemonUnavailable: "the daemon does not answer",
    errors.ProtocolError: "what listens at the daemon's socket does not follow its protocol",
}
_HINTS = {
    errors.ConnectionLost: "the call may have had an effect: look at the job before it is repeated,"
    " or repeat it with the same Idempotency-Key",
    errors.DaemonUnavailable: "check that cucmd.service is running on this machine",
    errors.InternalError: "look for the request id in the daemon's log",
    errors.MethodNotFound: "the daemon is older than cucmweb",
    errors.NotPermitted: "this needs the role operate, of the caller and of cucmweb's own user; the"
    " role view can read files if the daemon has [access] view_reads_files = true",
}

_NAME_THE_USER = (
    "name the user that cucmweb runs as in [access] may_speak_for of the daemon's configuration,"
    " then cucmctl reload"
)


class HttpProblem(Exception):
    """Raised to answer with a problem document. Its texts must not contain secrets."""

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
        members = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        return msgspec.json.encode(members | self.more | {"request_id": request_id})


def problem_of(error: errors.ClientError) -> HttpProblem:
    """Returns the problem for an error of a call to the daemon, or of an export."""
    if isinstance(error, Damaged):
        return HttpProblem(500, "Damaged", str(error))
    kind = next((base for base in type(error).__mro__ if base in STATUS), None)
    status = 502 if kind is None else STATUS[kind]
    if not isinstance(error, errors.Refused):
        kind = kind if kind in _UNANSWERED else errors.DaemonUnavailable
        return HttpProblem(status, kind.__name__, _UNANSWERED[kind], hint=_HINTS.get(kind))
    if isinstance(error, errors.InvalidRequest) and error.parameters.parameter == "on_behalf_of":
        # cucmweb has set that member, so this is not the caller's mistake.
        detail = f"the daemon does not let cucmweb speak for others: {error.parameters.reason}"
        return HttpProblem(503, "MayNotSpeakForOthers", detail, hint=_NAME_THE_USER)
    fields, detail = error.parameters, str(error)
    # The texts of the client for these errors name verbs of cucmctl.
    if isinstance(error, errors.JobNotFound):
        detail = f"no job {fields.job_id!r}"
    elif isinstance(error, errors.NodeNotFound) and not fields.candidates:
        detail = f"job {fields.job_id} has no node {fields.node!r}"
    elif isinstance(error, errors.NotPermitted):
        detail = "this caller may not do that"
    # The standard errors of Varlink can have empty fields.
    more = asdict(fields) if isinstance(fields, msgspec.Struct) else {}
    more = {name: value for name, value in more.items() if value != ""}
    more.pop("request_id", None)  # the document has it anyway
    field = more.pop("parameter", None)
    more.pop("reason", None)  # the detail has it
    code = error.name.rpartition(".")[2]
    hint = _HINTS.get(kind) if kind else None
    return HttpProblem(status, code, detail, field=field, hint=hint, **more)
