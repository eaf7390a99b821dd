"""The fields of each error of the interface; a struct is named as its error is on the wire.

`request_id` is that of the call, in an error of a call that has one.
"""

from __future__ import annotations

from msgspec import Struct

from cucmd.protocol.jobs import Failure


class JobNotFound(Struct, frozen=True, omit_defaults=True):
    """An error of Start, Retry, Stop or Cancel has the request_id of that call, as the log has it.
    Those of org.varlink.service have no field for it: PermissionDenied, and InvalidParameter
    for what is no call. What is no frame of JSON gets no reply.
    """

    job_id: str
    request_id: str | None = None


class JobBusy(Struct, frozen=True, omit_defaults=True):
    """The job runs, or its last connection is not closed yet, or another call reads or changes
    it: try again later.
    """

    job_id: str
    reason: str
    request_id: str | None = None


class NodeNotFound(Struct, frozen=True, omit_defaults=True):
    job_id: str
    node: str
    request_id: str | None = None


class ProfileNotFound(Struct, frozen=True, omit_defaults=True):
    profile: str
    request_id: str | None = None


class CredentialNotFound(Struct, frozen=True, omit_defaults=True):
    credential: str
    cluster: str | None = None
    request_id: str | None = None


class InvalidRequest(Struct, frozen=True, omit_defaults=True):
    parameter: str
    reason: str
    request_id: str | None = None


class LimitReached(Struct, frozen=True, omit_defaults=True):
    limit: str
    maximum: int
    request_id: str | None = None


class ShuttingDown(Struct, frozen=True, omit_defaults=True):
    request_id: str | None = None


class StorageFailed(Struct, frozen=True, omit_defaults=True):
    reason: str
    request_id: str | None = None


class ScanFailed(Struct, frozen=True):
    """A node could not be asked for its keys."""

    node: str
    failure: Failure


class ReloadFailed(Struct, frozen=True):
    """The configuration or the known host keys cannot be read; it stays as it was."""

    reason: str


class InternalError(Struct, frozen=True, omit_defaults=True):
    """A defect of the daemon. Its log has the trace; the daemon goes on."""

    request_id: str | None = None
