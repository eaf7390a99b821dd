"""Declares the fields of each error of the interface. A struct has the name of its error."""

from __future__ import annotations

from msgspec import Struct

from cucmd.job.failure import Failure


class _CallError(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The error of a call. `request_id` is the id of the call, if it has one."""

    request_id: str | None = None


class JobNotFound(_CallError, frozen=True):
    """An error of Start, Retry, Stop or Cancel has the request_id of its call, which is in the log
    too. An error for parameters that do not fit the method has none. PermissionDenied and
    InvalidParameter (for a message that is not a call) belong to org.varlink.service and have no
    such field. A frame that is not JSON gets no reply.
    """

    job_id: str


class JobBusy(_CallError, frozen=True):
    """The job runs, or its last connection is not closed yet, or another call reads or changes it.
    Try again later.
    """

    job_id: str
    reason: str


class NodeNotFound(_CallError, frozen=True):
    """The job has no node of this name, or it has several: candidates are the first of them."""

    job_id: str
    node: str
    candidates: tuple[str, ...] | None = None


class ProfileNotFound(_CallError, frozen=True):
    profile: str


class CredentialNotFound(_CallError, frozen=True):
    credential: str
    cluster: str | None = None


class InvalidRequest(_CallError, frozen=True):
    parameter: str
    reason: str


class LimitReached(_CallError, frozen=True):
    limit: str
    maximum: int


class ShuttingDown(_CallError, frozen=True):
    pass


class StorageFailed(_CallError, frozen=True):
    reason: str


class ScanFailed(Struct, frozen=True):
    """The daemon could not get the host keys of a node."""

    node: str
    failure: Failure


class ReloadFailed(Struct, frozen=True):
    """The configuration or the known host keys cannot be used. The old ones stay in use."""

    reason: str


class NotAtHub(_CallError, frozen=True):
    """Only the hub of several sites sends this: it does not answer the method. sites has those
    sites at which the same call can be made, with the id of the job there if it is about a job.
    """

    method: str
    sites: tuple[str, ...]


class InternalError(_CallError, frozen=True):
    """The daemon has a defect. Its log has the traceback, and the daemon keeps running."""
