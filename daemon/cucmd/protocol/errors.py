"""Declares the fields of each error of the interface; a struct is named as its error is there."""

from __future__ import annotations

from msgspec import Struct

from cucmd.job.failure import Failure


class _OfCall(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Is an error of a call that has an id: `request_id` is that of the call."""

    request_id: str | None = None


class JobNotFound(_OfCall, frozen=True):
    """An error of Start, Retry, Stop or Cancel has the request_id of that call, as the log has it.
    Parameters that do not fit their method are refused without one. Errors of org.varlink.service
    have no field for it: PermissionDenied, and InvalidParameter for what is no call. What is no
    frame of JSON gets no reply.
    """

    job_id: str


class JobBusy(_OfCall, frozen=True):
    """The job runs, or its last connection is not closed yet, or another call reads or changes
    it: try again later.
    """

    job_id: str
    reason: str


class NodeNotFound(_OfCall, frozen=True):
    job_id: str
    node: str


class ProfileNotFound(_OfCall, frozen=True):
    profile: str


class CredentialNotFound(_OfCall, frozen=True):
    credential: str
    cluster: str | None = None


class InvalidRequest(_OfCall, frozen=True):
    parameter: str
    reason: str


class LimitReached(_OfCall, frozen=True):
    limit: str
    maximum: int


class ShuttingDown(_OfCall, frozen=True):
    pass


class StorageFailed(_OfCall, frozen=True):
    reason: str


class ScanFailed(Struct, frozen=True):
    """A node could not be asked for its keys."""

    node: str
    failure: Failure


class ReloadFailed(Struct, frozen=True):
    """The configuration or the known host keys cannot be read; it stays as it was."""

    reason: str


class InternalError(_OfCall, frozen=True):
    """The daemon has a defect. Its log has the trace; the daemon goes on."""
