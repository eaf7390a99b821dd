"""PURE. Which jobs a request for a list means."""

from __future__ import annotations

from typing import get_args

from cucmd.config import InvalidValue
from cucmd.job.work import KINDS, kind_of
from cucmd.plan import labels
from cucmd.plan.resolve import instant
from cucmd.protocol.jobs import DEFAULT_LIMIT, JobStatus, ListRequest
from cucmd.store import JobFilter

STATUSES = get_args(JobStatus)
_NAMES = tuple(map(kind_of, KINDS))
MOST_LISTED = 1000


def list_filter(request: ListRequest) -> tuple[int, JobFilter]:
    """(how many jobs at most, which). Raises `InvalidValue`."""
    limit = DEFAULT_LIMIT if request.limit is None else request.limit
    if not 1 <= limit <= MOST_LISTED:
        raise InvalidValue("limit", f"{limit} is not one of 1 to {MOST_LISTED}")
    if request.status is not None and request.status not in STATUSES:
        expected = ", ".join(STATUSES)
        raise InvalidValue("status", f"'{request.status[:40]}' is not one of {expected}")
    if request.kind is not None and request.kind not in _NAMES:
        raise InvalidValue("kind", f"'{request.kind[:40]}' is not one of {', '.join(_NAMES)}")
    return limit, JobFilter(
        status=request.status,
        kind=request.kind,
        target=request.target,
        labels=labels.checked(request.labels or {}),
        since=instant("since", request.since),
        before=request.before,
    )
