"""The id by which a caller finds a call again: in the reply, in the log, in the job.

What stands in a log line is printable ASCII and short, whoever chose it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from cucmd.api.refusals import error, refusals
from cucmd.config import InvalidValue
from cucmd.protocol import errors as wire_errors
from cucmd.varlink import Caller, Method, VarlinkError, trace

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
    """Gives the id of a call. If the body raises, the call's log line has the id, and so has the
    error that is raised then, one of the interface.

    An id of the caller that is refused is replaced by a new one in that log line and error.
    """
    called = request_id(None)
    try:
        with refusals(caller):
            called = called if given is None else request_id(given)
        yield called
    except VarlinkError as refusal:
        _log(method, caller, called, refusal.name.rpartition(".")[2])
        raise VarlinkError(refusal.name, _with_id(refusal.parameters, called)) from None
    except Exception as defect:
        _log(method, caller, called, "a defect")
        log.error("a defect in request %s:\n%s", called, trace(defect), extra=caller.for_log)  # noqa: TRY400  the text of an exception can quote the request
        raise error(wire_errors.InternalError(called)) from None


def with_request_id(
    caller: Caller, method: Method, request: msgspec.Raw | msgspec.Struct, refusal: VarlinkError
) -> VarlinkError:
    """As `traced`, for what the server has refused itself: `Interface.refused`.

    A request that does not fit can still have an id that can be read.
    """
    if "request_id" not in method.request.__struct_fields__:
        return refusal
    try:
        called = request_id(_given(request))
    except InvalidValue:
        called = request_id(None)
    name = refusal.name.rpartition(".")[2]
    _log(method.name, caller, called, name)
    parameters = wire_errors.InternalError() if name == "InternalError" else refusal.parameters
    return VarlinkError(refusal.name, _with_id(parameters, called))


class _Given(msgspec.Struct, frozen=True):
    request_id: msgspec.Raw = msgspec.Raw(b"null")


_fields = msgspec.json.Decoder(_Given)
_text: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)


def _given(request: msgspec.Raw | msgspec.Struct) -> str | None:
    if isinstance(request, msgspec.Struct):
        given: str | None = getattr(request, "request_id", None)
        return given
    try:
        return _text.decode(_fields.decode(request).request_id)
    except (msgspec.MsgspecError, ValueError):  # no object, no string, no UTF-8
        return None


def _log(method: str, caller: Caller, called: str, why: str) -> None:
    who = caller.uid, caller.pid
    text = "refused %s to uid %d, pid %d, request %s: %s"
    log.info(text, method, *who, called, why, extra=caller.for_log)


def _with_id(parameters: msgspec.Struct | None, called: str) -> msgspec.Struct | None:
    if parameters is None or "request_id" not in parameters.__struct_fields__:
        return parameters
    return msgspec.structs.replace(parameters, request_id=called)
