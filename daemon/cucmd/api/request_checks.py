"""PURE. Checks requests: the filter of a list, the rule of a prune, and texts of callers."""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias, get_args

import msgspec
from msgspec.structs import replace

from cucmd.cases.retention import Prune
from cucmd.config import InvalidValue, rules
from cucmd.job.duration import parse_last
from cucmd.job.request import OnBehalfOf
from cucmd.job.status import JobStatus
from cucmd.job.work import KINDS, StartRequest, kind_of
from cucmd.job.work_request import Login
from cucmd.plan import labels
from cucmd.plan.planner import MOST_NODES
from cucmd.plan.resolve import parse_instant
from cucmd.protocol.cases import PruneRequest
from cucmd.protocol.jobs import RetryRequest
from cucmd.protocol.requests import DEFAULT_LIMIT, ListRequest
from cucmd.store import JobFilter, StartKey
from cucmd.toml_file import wrong_value

STATUSES = get_args(JobStatus)
_KINDS = tuple(map(kind_of, KINDS))
MOST_LISTED = 1000
_NOTHING = "is missing; expected at least one of older_than, keep, larger_than and labels"
LONGEST = 128  # characters of an id or key that a caller chooses
_LONGEST_NAME = 64
_QUOTES = "'\"`"

KeyedRequest: TypeAlias = StartRequest | RetryRequest


def list_filter(request: ListRequest) -> tuple[int, JobFilter]:
    """Returns the most jobs of a list, and their filter. Raises `InvalidValue`."""
    limit = DEFAULT_LIMIT if request.limit is None else request.limit
    if not 1 <= limit <= MOST_LISTED:
        raise InvalidValue("limit", f"{limit}: expected 1 to {MOST_LISTED}")
    if request.status is not None and request.status not in STATUSES:
        expected = ", ".join(STATUSES)
        raise InvalidValue("status", f"'{request.status[:40]}': expected one of {expected}")
    if request.kind is not None and request.kind not in _KINDS:
        expected = ", ".join(_KINDS)
        raise InvalidValue("kind", f"'{request.kind[:40]}': expected one of {expected}")
    return limit, JobFilter(
        status=request.status,
        kind=request.kind,
        target=request.target,
        labels=labels.check_labels(request.labels or {}),
        since=parse_instant("since", request.since),
        before=request.before,
    )


def prune_rule(request: PruneRequest) -> Prune:
    """Returns the rule of a prune. Raises `InvalidValue` if a value is wrong, or if the request has
    no rule, because every job would be pruned then.
    """
    for name in ("keep", "larger_than"):
        value = getattr(request, name)
        if value is not None and value < 0:
            raise InvalidValue(name, f"{value}: expected 0 or more")
    which = Prune(
        keep=request.keep,
        larger_than=request.larger_than,
        labels=labels.check_labels(request.labels or {}),
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


def short_text(parameter: str, text: str, longest: int = LONGEST) -> str:
    """Returns the text. Raises `InvalidValue` if it is empty, too long or not printable ASCII."""
    if not (text.isascii() and text.isprintable() and 1 <= len(text) <= longest):
        expected = f"expected 1 to {longest} printable ASCII characters"
        raise InvalidValue(parameter, f"{text[:40]!a}: {expected}")
    return text


def checked_name(person: OnBehalfOf) -> str:
    """Returns the name of the person for whom a call is made. Log lines put the name between
    quotes, so it must not contain quotes. Raises `InvalidValue`.
    """
    name = short_text("on_behalf_of.name", person.name, _LONGEST_NAME)
    if any(quote in name for quote in _QUOTES):
        raise InvalidValue("on_behalf_of.name", f"{name[:40]!a}: expected a name without quotes")
    return name


def start_key(uid: int, request: KeyedRequest, asked_by: str | None = None) -> StartKey | None:
    """Returns the key by which a repeated call of a user is recognised, or None without a key.

    asked_by: the person for whom the user makes the call. Each person has keys of their own.
    Raises `InvalidValue`.
    """
    if request.start_key is None:
        return None
    key = short_text("start_key", request.start_key)
    # Neither part can contain a line break, so the keys of two people never collide.
    own = key if asked_by is None else f"{asked_by}\n{key}"
    # The fingerprint of the request. It leaves out the password, the request_id and the person.
    # It also leaves out fields that are not set, so that a field that a later version adds does not
    # change the fingerprint of a stored request.
    login = request.login or Login()
    counts = replace(
        request,
        login=Login(login.username, None, login.credential),
        request_id=None,
        on_behalf_of=None,
    )
    fields = _without_null(msgspec.to_builtins(counts))
    text = msgspec.json.encode((type(request).__name__, fields), order="deterministic")
    return StartKey(uid, own, hashlib.sha256(text).hexdigest())


def _without_null(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_null(item) for name, item in value.items() if item is not None}


def check_named(nodes: tuple[str, ...] | None, otherwise: str) -> None:
    """Checks the names of nodes of a job. Raises `InvalidValue`.

    otherwise: which nodes are meant if the field is absent, for the text of the error
    """
    if nodes is None:
        return
    if not nodes:
        raise InvalidValue("nodes", f"is empty; expected nodes, or no such field for {otherwise}")
    if len(nodes) > MOST_NODES:
        raise InvalidValue("nodes", f"{len(nodes)} names; a job has at most {MOST_NODES}")
