"""PURE. The key of a call, by which the same call, made twice, has one effect.

The digest of a request has nothing of its password.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import msgspec
from msgspec.structs import asdict, replace

from cucmd.config import InvalidValue
from cucmd.job.asked import Login
from cucmd.job.work import StartRequest
from cucmd.protocol.jobs import RetryRequest
from cucmd.store import StartKey

LONGEST = 128

Keyed: TypeAlias = StartRequest | RetryRequest


def start_key(uid: int, request: Keyed) -> StartKey | None:
    """The key of a call of that user, if it has one. Raises `InvalidValue`."""
    given = request.start_key
    if given is None:
        return None
    if not (given.isascii() and given.isprintable() and 1 <= len(given) <= LONGEST):
        expected = f"expected 1 to {LONGEST} printable ASCII characters"
        raise InvalidValue("start_key", f"{given[:40]!a}: {expected}")
    return StartKey(uid, given, _digest(request))


def _digest(request: Keyed) -> str:
    """By which the same request is known again. Its password and request_id do not count, nor does
    what is not set: a member that a later version adds changes nothing.
    """
    given = request.login or Login()
    login = Login(given.username, None, given.credential)
    counts = replace(request, login=login, request_id=None)
    given_only = {name: value for name, value in asdict(counts).items() if value is not None}
    what = msgspec.json.encode((type(request).__name__, given_only), order="deterministic")
    return hashlib.sha256(what).hexdigest()
