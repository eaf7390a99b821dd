"""PURE. Says what requests mean: which jobs a list or a prune is about, and texts of callers."""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias, get_args

import msgspec
from msgspec.structs import replace

from cucmd.cases.retention import Prune
from cucmd.config import InvalidValue, rules
from cucmd.job.asked import Login
from cucmd.job.duration import parse_last
from cucmd.job.request import OnBehalfOf
from cucmd.job.status import JobStatus
from cucmd.job.work import KINDS, StartRequest, kind_of
from cucmd.plan import labels
from cucmd.plan.resolve import instant
from cucmd.protocol.cases import PruneRequest
from cucmd.protocol.jobs import RetryRequest
from cucmd.protocol.requests import DEFAULT_LIMIT, ListRequest
from cucmd.store import JobFilter, StartKey
from cucmd.toml_file import wrong_value

STATUSES = get_args(JobStatus)
_KINDS = tuple(map(kind_of, KINDS))
MOST_LISTED = 1000
_NOTHING = "is missing, as are keep, larger_than and labels; expected one of them"
LONGEST = 128  # characters of a text that a caller has made up
_LONGEST_NAME = 64
_QUOTES = "'\"`"

KeyedRequest: TypeAlias = StartRequest | RetryRequest


def list_filter(request: ListRequest) -> tuple[int, JobFilter]:
    """Returns (how many jobs at most, which). Raises `InvalidValue`."""
    limit = DEFAULT_LIMIT if request.limit is None else request.limit
    if not 1 <= limit <= MOST_LISTED:
        raise InvalidValue("limit", f"{limit} is not one of 1 to {MOST_LISTED}")
    if request.status is not None and request.status not in STATUSES:
        expected = ", ".join(STATUSES)
        raise InvalidValue("status", f"'{request.status[:40]}' is not one of {expected}")
    if request.kind is not None and request.kind not in _KINDS:
        raise InvalidValue("kind", f"'{request.kind[:40]}' is not one of {', '.join(_KINDS)}")
    return limit, JobFilter(
        status=request.status,
        kind=request.kind,
        target=request.target,
        labels=labels.checked(request.labels or {}),
        since=instant("since", request.since),
        before=request.before,
    )


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
        try:
            which = replace(which, older_than=parse_last(rules.check_window(request.older_than)))
        except ValueError as error:
            reason = wrong_value(request.older_than, str(error))
            raise InvalidValue("older_than", reason) from None
    if which == Prune():
        raise InvalidValue("older_than", _NOTHING)
    return which


def short_text(parameter: str, given: str, longest: int = LONGEST) -> str:
    """Checks what a caller made up to find a call again, and returns it. Raises `InvalidValue`."""
    if not (given.isascii() and given.isprintable() and 1 <= len(given) <= longest):
        expected = f"expected 1 to {longest} printable ASCII characters"
        raise InvalidValue(parameter, f"{given[:40]!a}: {expected}")
    return given


def name_of(asked: OnBehalfOf) -> str:
    """Returns the name as it stands in log lines, between quotes. Raises `InvalidValue`."""
    name = short_text("on_behalf_of.name", asked.name, _LONGEST_NAME)
    if any(quote in name for quote in _QUOTES):
        raise InvalidValue("on_behalf_of.name", f"{name[:40]!a}: expected a name without quotes")
    return name


def start_key(uid: int, request: KeyedRequest, asked_by: str | None = None) -> StartKey | None:
    """Makes the key of a call of that user, if it has one; `asked_by`: of whom the user calls for.

    Raises `InvalidValue`.
    """
    given = request.start_key
    if given is None:
        return None
    key = short_text("start_key", given)
    # A line break is in neither: no key of one person, nor of the user itself, is another's.
    own = key if asked_by is None else f"{asked_by}\n{key}"
    # By this the same request is known again. Its password and request_id do not count, nor for
    # whom it is, nor what is not set: a member that a later version adds changes nothing.
    login = request.login or Login()
    counts = replace(
        request,
        login=Login(login.username, None, login.credential),
        request_id=None,
        on_behalf_of=None,
    )
    given_only = _without_null(msgspec.to_builtins(counts))
    what = msgspec.json.encode((type(request).__name__, given_only), order="deterministic")
    return StartKey(uid, own, hashlib.sha256(what).hexdigest())


def _without_null(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_null(one) for name, one in value.items() if one is not None}
