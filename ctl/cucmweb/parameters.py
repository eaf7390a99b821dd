"""PURE. Turns a request of HTTP into the parameters of a method: those of its path, query and body.

Values of a body go on to the daemon as they came, and it says what is wrong with them: it alone
knows, and a password that stands in a wrong place is looked at by nobody else.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any

import msgspec

from cucmweb.operations import Operation
from cucmweb.problems import HttpProblem

# Members of a request that are made here: of headers, and of who asks.
OF_HEADERS = frozenset({"request_id", "start_key", "on_behalf_of"})
# Characters of a name that is repeated.
_LONGEST_NAME = 64

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@cache
def members(operation: Operation) -> dict[str, Any]:
    """Returns the members that come from the query or the body, with their types."""
    hints = typing.get_type_hints(operation.request)
    in_path = {"job_id"} if "{job_id}" in operation.path else set()
    in_path |= {"node", "nodes"} if "{node}" in operation.path else set()
    return {
        name: hints[name]
        for name in operation.request.__struct_fields__
        if name not in in_path
        and name not in OF_HEADERS
        and (operation.takes is None or name in operation.takes)
    }


def parameters(
    operation: Operation, path: Mapping[str, str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns those of the method, but for what headers say."""
    in_path: dict[str, Any] = dict(path)
    if "node" in in_path:
        node = in_path.pop("node")
        one = "node" in operation.request.__struct_fields__
        in_path |= {"node": node} if one else {"nodes": [node]}
    return {**given, **in_path}


def from_query(query: Sequence[tuple[str, str]], known: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the members that a query gives. Raises `HttpProblem`.

    nodes=a&nodes=b are several; labels=case=1 is one of some with names.
    """
    given: dict[str, Any] = {}
    for name, value in query:
        if name not in known:
            raise _unknown(name, known)
        kind = kind_of(known[name])
        if kind is tuple:
            given.setdefault(name, []).append(value)
        elif kind is dict:
            label, equals, text = value.partition("=")
            if not equals or label in given.get(name, {}):
                raise invalid(name, "expected NAME=VALUE, and each name once")
            given.setdefault(name, {})[label] = text
        elif name in given:
            raise invalid(name, "is given twice; expected once")
        else:
            try:
                given[name] = msgspec.convert(value, kind, strict=False)
            except msgspec.ValidationError:
                expected = {bool: "true or false", int: "an integer"}.get(kind, "another value")
                text = f"{value[:_LONGEST_NAME]!a}: expected {expected}"
                raise invalid(name, text) from None
    return given


def from_body(body: bytes, known: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the members that a body gives. An empty one gives none. Raises `HttpProblem`."""
    if not body.strip():
        return {}
    try:
        given = _MEMBERS.decode(body.decode())  # of values that go on it checks no text itself
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid("body", "expected an object of JSON") from None
    for name in given:
        if name not in known:
            raise _unknown(name, known)
    return dict(given)


def kind_of(hint: Any) -> Any:
    """Returns a type without None and what is in it: `tuple` of `tuple[str, ...] | None`."""
    if typing.get_origin(hint) in (typing.Union, UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    return typing.get_origin(hint) or hint


def invalid(field: str, reason: str) -> HttpProblem:
    return HttpProblem(400, "InvalidRequest", f"{field}: {reason}", field=field)


def _unknown(name: str, known: Mapping[str, Any]) -> HttpProblem:
    shown = name if name.isidentifier() and len(name) <= _LONGEST_NAME else "?"
    return invalid(shown, f"is unknown; expected one of {', '.join(known) or 'no members'}")
