"""PURE. Turns the path, query and body of an HTTP request into the parameters of a method.

Values of a body are passed on to the daemon unread, and the daemon says what is wrong with them. So
a password in a wrong place is not repeated in an error of this program.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any

import msgspec
from msgspec.structs import fields

from cucmweb.operations import Operation
from cucmweb.problems import HttpProblem

# Members of a request that are set from headers, and from the caller.
FROM_HEADERS = frozenset({"request_id", "start_key", "on_behalf_of"})
# Characters of a name that an error repeats.
_LONGEST_NAME = 64

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@cache
def members(operation: Operation) -> dict[str, Any]:
    """Returns the members that come from the query or the body, with their types.

    In a query an object is given by its members: `text=...` sets `text` of the member `search`.
    """
    hints = typing.get_type_hints(operation.request)
    in_path = set(re.findall(r"{(\w+)}", operation.path))
    in_path |= {"nodes"} if "node" in in_path else set()
    found = {
        name: hints[name]
        for name in operation.request.__struct_fields__
        if name not in in_path
        and name not in FROM_HEADERS
        and (operation.takes is None or name in operation.takes)
    }
    for name, kind in objects_in_query(operation).items():
        del found[name]
        found |= typing.get_type_hints(kind)
    return found


@cache
def objects_in_query(operation: Operation) -> dict[str, type[msgspec.Struct]]:
    """Returns the members of a request that are objects, if they come from a query."""
    kinds = {
        name: kind_of(hint)
        for name, hint in typing.get_type_hints(operation.request).items()
        if name not in FROM_HEADERS and (operation.takes is None or name in operation.takes)
    }
    return {
        name: kind
        for name, kind in kinds.items()
        if not operation.has_body and isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    }


def parameters(
    operation: Operation, path: Mapping[str, str], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the parameters of the method, without those that come from headers."""
    values = dict(values)
    for name, kind in objects_in_query(operation).items():
        inner = kind.__struct_fields__
        given = {each: values.pop(each) for each in inner if each in values}
        # `fields` takes longer than the rest of a request, so most requests do without it.
        if given or any(each.required for each in fields(operation.request) if each.name == name):
            values[name] = given
    in_path: dict[str, Any] = dict(path)
    if "node" in in_path:
        node = in_path.pop("node")
        takes_one = "node" in operation.request.__struct_fields__
        in_path |= {"node": node} if takes_one else {"nodes": [node]}
    return {**values, **in_path}


def from_query(query: Sequence[tuple[str, str]], known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the members of a query. Raises `HttpProblem`.

    nodes=a&nodes=b is a list of two; labels=case=1 sets one value of an object.
    """
    values: dict[str, Any] = {}
    for name, value in query:
        if name not in known:
            raise _unknown(name, known)
        kind = kind_of(known[name])
        if kind is tuple:
            values.setdefault(name, []).append(value)
        elif kind is dict:
            label, equals, text = value.partition("=")
            if not equals or label in values.get(name, {}):
                raise invalid(name, "expected NAME=VALUE, and each name once")
            values.setdefault(name, {})[label] = text
        elif name in values:
            raise invalid(name, "was given twice; expected once")
        else:
            try:
                values[name] = msgspec.convert(value, kind, strict=False)
            except msgspec.ValidationError:
                expected = {bool: "true or false", int: "an integer"}.get(kind, "another value")
                text = f"{value[:_LONGEST_NAME]!a}: expected {expected}"
                raise invalid(name, text) from None
    return values


def from_body(body: bytes, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the members of a body, none if it is empty. Raises `HttpProblem`."""
    if not body.strip():
        return {}
    try:
        values = _MEMBERS.decode(body.decode())  # msgspec does not check the text of raw values
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid("body", "expected a JSON object") from None
    for name in values:
        if name not in known:
            raise _unknown(name, known)
    return dict(values)


def kind_of(hint: Any) -> Any:
    """Returns a type without its arguments and `| None`: `tuple` for `tuple[str, ...] | None`."""
    if typing.get_origin(hint) in (typing.Union, UnionType):
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    return typing.get_origin(hint) or hint


def invalid(field: str, reason: str) -> HttpProblem:
    return HttpProblem(400, "InvalidRequest", f"{field}: {reason}", field=field)


def _unknown(name: str, known: Mapping[str, Any]) -> HttpProblem:
    shown = name if name.isidentifier() and len(name) <= _LONGEST_NAME else "?"
    return invalid(shown, f"is unknown; expected one of {', '.join(known) or 'no members'}")
