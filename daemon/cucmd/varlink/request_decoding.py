"""PURE. Decodes the parameters of a call to the struct of its method, or says what is wrong.

A field that the struct does not have is refused: a misspelt timeout must not be ignored. The check
is here and not in the structs (`forbid_unknown_fields`), because one struct can be part of a
request and of a reply, and a client has to read past the fields of a later daemon.

A reason repeats a wrong value only if it is a short plain value and is not below a field that the
interface calls secret.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union

import msgspec

from cucmd.varlink.framing import UNREADABLE, BadFrame, field_of, wrong_field
from cucmd.varlink.interface import Interface

_LONGEST_SHOWN = 80
_FIELD_NAME = re.compile(r"[a-z]+(?:_[a-z]+)*")
# A wrong value is only shown if the parameters have at most this many bytes, because all parameters
# have to be decoded once more to find the value.
_LONGEST_SEARCHED = 16 * 1024
# A step of a path: a field, an index, or `[...]`, which msgspec writes for any value of a `dict`.
_STEP = re.compile(r"\[\.\.\.\]|[^.\[\]]+|\[([0-9]+)\]")
_SOME_VALUE = "[...]"
_TYPE_NAMES = {str: "a string", bool: "true or false", int: "an integer", float: "a number"}
_CONTAINER_NAMES = {tuple: "an array", list: "an array", dict: "an object"}


def decode_request(
    decoder: msgspec.json.Decoder[Any], parameters: msgspec.Raw, interface: Interface
) -> msgspec.Struct:
    """Returns the request. Raises the error of the interface for an invalid request, and `BadFrame`
    for invalid JSON.
    """
    expected_type: Any = decoder.type
    unknown = _unknown_field(parameters, expected_type)
    if unknown is not None:
        path, struct = unknown
        names = ", ".join(field_types(struct))
        reason = f"is unknown; expected {f'one of {names}' if names else 'no fields'}"
        section, _, name = path.partition(".")
        # The unknown name may be the secret itself, in the wrong place. So below a secret field it
        # is repeated only if it looks like the name of a field.
        if section in interface.secrets and name and not _FIELD_NAME.fullmatch(name):
            path = f"{section}.?"
        raise interface.invalid(path or "parameters", reason)
    try:
        return typing.cast(msgspec.Struct, decoder.decode(parameters))
    except msgspec.ValidationError as error:
        where, what = wrong_field(error)
    except UNREADABLE:
        raise BadFrame("not JSON, or too deep") from None
    if not where and bytes(parameters) == b"null":  # some clients send null for "no parameters"
        return decode_request(decoder, msgspec.Raw(b"{}"), interface)
    if not where:
        raise interface.invalid("parameters", "expected an object")
    steps = tuple(_steps(where))
    kind = _type_at(expected_type, steps)
    origin = typing.get_origin(kind)
    if origin is Literal:
        expected = f"one of {', '.join(typing.get_args(kind))}"
    elif _is_struct(kind):
        expected = "an object"
    else:
        expected = _TYPE_NAMES.get(kind) or _CONTAINER_NAMES.get(origin, "another value")
    reason = f"expected {expected}"
    if what == "missing" or what.endswith("out of range"):
        reason = f"is {'missing' if what == 'missing' else 'out of range'}; {reason}"
    if what != "missing" and steps[0] not in interface.secrets:
        reason = _shown_value(parameters, steps) + reason
    raise interface.invalid(where, reason)


def _unknown_field(value: msgspec.Raw, struct: type[msgspec.Struct]) -> tuple[str, Any] | None:
    """Returns the path of the first field in `value` that `struct` does not have, and the struct
    without that field. Returns None if there is no such field, or if something else is wrong.
    """
    try:
        msgspec.json.decode(value, type=_names_only(struct))
    except msgspec.ValidationError as error:
        parent, name, what = field_of(error)
    except UNREADABLE:
        return None
    else:
        return None
    if what != "unknown":
        return None
    kind = _type_at(struct, tuple(_steps(parent)))
    # A field's name may contain dots and brackets. Then this is not a path that exists.
    within = kind if _is_struct(kind) else struct
    return f"{parent}.{name}" if parent else name or "", within


@functools.cache
def _names_only(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Returns a struct with the same fields that refuses unknown fields, also in structs within it,
    and checks no values.
    """
    fields: list[tuple[str, Any, Any]] = []
    for name, full in field_types(struct).items():
        kind, optional = without_none(full)
        item = (*typing.get_args(kind), None)[0]
        names: Any = msgspec.Raw
        if _is_struct(kind):
            names = _names_only(kind)
        elif typing.get_origin(kind) in (tuple, list) and _is_struct(item):
            names = list[_names_only(item)]  # type: ignore[misc]
        if optional and names is not msgspec.Raw:
            names = names | None
        fields.append((name, names, None))
    return msgspec.defstruct(struct.__name__, fields, forbid_unknown_fields=True)


def _steps(path: str) -> Iterator[str | int]:
    for step in _STEP.finditer(path):
        yield step[0] if step[1] is None else int(step[1])


def _shown_value(parameters: msgspec.Raw, steps: tuple[str | int, ...]) -> str:
    """Returns the value at a path as the beginning of a reason, or "" if it cannot be shown."""
    if len(bytes(parameters)) > _LONGEST_SEARCHED:
        return ""
    try:
        value = msgspec.json.decode(parameters)
        for step in steps:
            value = value[step]
    except (*UNREADABLE, LookupError, TypeError):
        return ""
    match value:
        case None:
            shown = "null"
        case bool():
            shown = "true" if value else "false"
        case str():
            shown = ascii(value[:_LONGEST_SHOWN])
            shown += "..." if len(value) > _LONGEST_SHOWN else ""
        case dict():
            shown = "an object"
        case list():
            shown = "an array"
        case _:
            shown = str(value)[:_LONGEST_SHOWN]
    return f"{shown}: "


# The types of fields.


@functools.cache
def field_types(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Returns the types of the fields of a struct by name, in the order of the struct."""
    hints = typing.get_type_hints(struct)
    return {name: hints[name] for name in struct.__struct_fields__}


def without_none(kind: Any) -> tuple[Any, bool]:
    """Returns a type without `| None`, and whether it had that part.

    Raises `TypeError` for other unions, which Varlink cannot express.
    """
    if typing.get_origin(kind) not in (Union, UnionType):
        return kind, False
    kinds = typing.get_args(kind)
    others = [member for member in kinds if member is not type(None)]
    if len(others) != 1:
        raise TypeError(f"{kind} has no form on the wire")
    return others[0], len(others) < len(kinds)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _type_at(struct: type[msgspec.Struct], steps: tuple[str | int, ...]) -> Any:
    """Returns the type of the value at a path, or None if the structs have no such path."""
    kind: Any = struct
    for step in steps:
        if step == _SOME_VALUE:
            kind = (*typing.get_args(kind), None, None)[1]
        elif isinstance(step, int):
            kind = (*typing.get_args(kind), None)[0]
        else:
            kind = field_types(kind).get(step) if _is_struct(kind) else None
        kind, _ = without_none(kind)
    return kind
