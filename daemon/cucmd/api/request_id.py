"""The id by which a caller finds a call again: in the reply, in the log, in the job.

The one rule: what stands in a log line is printable ASCII and short, whoever chose it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from cucmd.api.refusals import refusals
from cucmd.config import InvalidValue
from cucmd.varlink import Caller, VarlinkError

log = logging.getLogger(__name__)

LONGEST = 128


def request_id(given: str | None) -> str:
    """The caller's own, or a new one. Raises `InvalidValue`."""
    if given is None:
        return secrets.token_hex(8)
    if not (given.isascii() and given.isprintable() and 1 <= len(given) <= LONGEST):
        expected = f"expected 1 to {LONGEST} printable ASCII characters"
        raise InvalidValue("request_id", f"{given[:40]!a}: {expected}")
    return given


@contextmanager
def traced(method: str, caller: Caller, given: str | None) -> Iterator[str]:
    """Gives the id of a call. If the body raises, the call's log line has the id, and so has an
    error of the interface.

    An id of the caller that is refused is replaced by a new one in that log line and error.
    """
    called = request_id(None)
    try:
        with refusals(caller):
            called = called if given is None else request_id(given)
        yield called
    except VarlinkError as error:
        _log(method, caller, called, error.name.rpartition(".")[2])
        raise VarlinkError(error.name, _with_id(error.parameters, called)) from None
    except Exception:
        _log(method, caller, called, "a defect")
        raise


def _log(method: str, caller: Caller, called: str, why: str) -> None:
    who = caller.uid, caller.pid
    text = "refused %s to uid %d, pid %d, request %s: %s"
    log.info(text, method, *who, called, why, extra=caller.for_log)


def _with_id(parameters: msgspec.Struct | None, called: str) -> msgspec.Struct | None:
    if parameters is None or "request_id" not in parameters.__struct_fields__:
        return parameters
    return msgspec.structs.replace(parameters, request_id=called)
