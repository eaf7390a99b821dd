"""PURE. Which jobs a request to prune means."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from cucmd.cases.retention import Prune
from cucmd.config import InvalidValue, rules
from cucmd.config.errors import found
from cucmd.job.duration import parse_last
from cucmd.plan import labels
from cucmd.protocol.cases import PruneRequest

_NOTHING = "is missing, as are keep, larger_than and labels; expected one of them"


def prune_rule(request: PruneRequest) -> Prune:
    """Raises `InvalidValue`, also for a request that would mean every job."""
    for name in ("keep", "larger_than"):
        value = getattr(request, name)
        if value is not None and value < 0:
            raise InvalidValue(name, f"{value} is less than 0")
    which = Prune(
        keep=request.keep,
        larger_than=request.larger_than,
        labels=labels.checked(request.labels or {}),
    )
    if request.older_than is not None:
        which = replace(which, older_than=_duration(request.older_than))
    if which == Prune():
        raise InvalidValue("older_than", _NOTHING)
    return which


def _duration(text: str) -> timedelta:
    try:
        return parse_last(rules.last(text))
    except ValueError as error:
        raise InvalidValue("older_than", found(text, str(error))) from None
