"""The fields of each error of the interface; a struct is named as its error is on the wire.

The one rule: as of structs.py. `request_id` is that of the call, in an error of Start, Retry or
Cancel.
"""

from __future__ import annotations

from msgspec import Struct

from cucmd.protocol.structs import Failure


class JobNotFound(Struct, frozen=True, omit_defaults=True):
    job_id: str
    request_id: str | None = None


class JobBusy(Struct, frozen=True, omit_defaults=True):
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
    """`cluster` is whose credential it is, if the request named none and the configuration did."""

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
    node: str
    failure: Failure


class ReloadFailed(Struct, frozen=True):
    reason: str


class InternalError(Struct, frozen=True, omit_defaults=True):
    request_id: str | None = None
